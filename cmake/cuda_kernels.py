#!/usr/bin/env python3
"""What the compiler makes of each CUDA kernel, and whether that is good enough.

    cuda_kernels.py compile LOG -- nvcc ...     runs nvcc; what ptxas says goes to LOG, all else to the terminal
    cuda_kernels.py check --table FILE OBJECT... reads OBJECT.ptxas of each, writes a table of all kernels and architectures, and
                                                fails where a kernel spills more than 32 bytes, or anything inside a loop

Whether a spill is inside a loop is read off the machine code, by cuobjdump and nvdisasm (looked for in --tools and PATH; they are
on PyPI, scripts/setup.sh --cuda brings them). Without them every spill counts as one inside a loop.
"""
import argparse
import collections
import os
import re
import shutil
import subprocess
import sys

MOST_SPILLED = 32  # bytes, stores or loads

Kernel = collections.namedtuple("Kernel", "object name arch registers shared stack stores loads")


def compile_object(log, command):
    """Runs nvcc, keeps ptxas' lines of information for later; returns its exit status."""
    run = subprocess.run(command, stderr=subprocess.PIPE, text=True, errors="replace")
    kept, shown = [], []
    for line in run.stderr.splitlines():
        is_information = line.startswith("ptxas info") or re.match(r"\s+\d+ bytes (stack frame|gmem)", line)
        (kept if is_information else shown).append(line)
    with open(log, "w", encoding="utf-8") as file:
        file.write("\n".join(kept) + "\n")
    if shown:
        print("\n".join(shown), file=sys.stderr)
    return run.returncode


def read_log(path, object_file):
    """The kernels of one object; functions that were not inlined count as kernels without a size."""
    arch, properties, kernels = "", {}, []
    compiling = function = None
    with open(path, encoding="utf-8") as file:
        for line in file:
            if match := re.search(r"Compiling entry function '(\S+)' for '(\S+)'", line):
                compiling, arch = match.groups()
                properties = {}
            elif match := re.search(r"Function properties for '?([^\s']+)", line):
                function = match.group(1)
            elif match := re.search(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", line):
                properties[function] = [int(n) for n in match.groups()]
                if function != compiling and int(match.group(2)) + int(match.group(3)) > 0:
                    kernels.append(Kernel(object_file, function, arch, 0, 0, *properties[function]))
            elif match := re.search(r"Used (\d+) registers", line):
                shared = re.search(r"(\d+) bytes smem", line)
                kernels.append(Kernel(object_file, compiling, arch, int(match.group(1)), int(shared.group(1)) if shared else 0,
                                      *properties.get(compiling, [0, 0, 0])))
    return kernels


# ---- Machine code ------------------------------------------------------------------------------------------------------

def find_tool(name, folders):
    for folder in folders:
        path = os.path.join(folder, name)
        if os.access(path, os.X_OK):
            return path
    return shutil.which(name)


def machine_code(object_file, arch, folders):
    """{kernel: [(address, instruction)]}, or None where the tools are missing."""
    cuobjdump, nvdisasm = find_tool("cuobjdump", folders), find_tool("nvdisasm", folders)
    if not cuobjdump or not nvdisasm:
        return None
    path = os.path.dirname(nvdisasm) + os.pathsep + os.environ.get("PATH", "")
    run = subprocess.run([cuobjdump, "--dump-sass", "--gpu-architecture", arch, object_file], stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, text=True, env=dict(os.environ, PATH=path))
    if run.returncode:
        print(f"cuda_kernels: {cuobjdump}: {run.stderr.strip()}", file=sys.stderr)
        return None
    code, current = {}, None
    for line in run.stdout.splitlines():
        if match := re.search(r"Function : (\S+)", line):
            current = code.setdefault(match.group(1), [])
        elif current is not None and (match := re.match(r"\s+/\*([0-9a-f]+)\*/\s+(.*?);", line)):
            current.append((int(match.group(1), 16), match.group(2).strip()))
    return code


def successors(instructions):
    """{index: indices that may run next}. A call's target counts as one, and the call returns."""
    index_of = {address: i for i, (address, _) in enumerate(instructions)}
    result = {}
    for i, (_, text) in enumerate(instructions):
        guard, body = re.match(r"(@!?U?P\w+\s+)?(.*)", text).groups()
        name = body.split(".")[0].split()[0] if body else ""
        following = [i + 1] if i + 1 < len(instructions) else []
        targets = [index_of[t] for t in (int(h, 16) for h in re.findall(r"\b0x([0-9a-f]+)\b", body)) if t in index_of]
        if name in ("BRA", "JMP", "BRX", "JMX", "BRXU", "JMXU"):
            # "BRA P0, target" and "BRA.DIV" go on too.
            conditional = guard or re.match(r"\S+\s+(!?U?P\d|~?UR|!?UP)", body) or ".DIV" in body.split()[0]
            result[i] = targets[-1:] + (following if conditional else [])
        elif name in ("EXIT", "RET"):
            result[i] = following if guard else []
        elif name in ("CALL", "WARPSYNC", "BSSY") and targets and name == "CALL":
            result[i] = targets[-1:] + following
        else:
            result[i] = following
    return result


def blocks_of(instructions):
    """Basic blocks as (first, last) indices, and the edges between their numbers."""
    after = successors(instructions)
    leaders = {0}
    for i, nexts in after.items():
        if nexts != [i + 1]:
            leaders.update(nexts)
            leaders.add(i + 1)
    starts = sorted(i for i in leaders if i < len(instructions))
    number = {start: n for n, start in enumerate(starts)}
    blocks = [(start, (starts + [len(instructions)])[n + 1] - 1) for n, start in enumerate(starts)]
    return blocks, [[number[i] for i in after[last]] for _, last in blocks]


def loop_blocks(edges):
    """Numbers of the blocks that can reach themselves: those of strongly connected components with an edge inside (Tarjan,
    without recursion)."""
    order, low, on_stack, stack, found, counter = {}, {}, set(), [], set(), 0
    for root in range(len(edges)):
        if root in order:
            continue
        work = [(root, iter(edges[root]))]
        order[root] = low[root] = counter
        counter += 1
        stack.append(root)
        on_stack.add(root)
        while work:
            node, rest = work[-1]
            for child in rest:
                if child not in order:
                    order[child] = low[child] = counter
                    counter += 1
                    stack.append(child)
                    on_stack.add(child)
                    work.append((child, iter(edges[child])))
                    break
                if child in on_stack:
                    low[node] = min(low[node], order[child])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == order[node]:
                    component = []
                    while True:
                        member = stack.pop()
                        on_stack.discard(member)
                        component.append(member)
                        if member == node:
                            break
                    if len(component) > 1 or node in edges[node]:
                        found.update(component)
    return found


def local_accesses_in_loops(instructions):
    """How many loads and stores of local memory can run more than once."""
    blocks, edges = blocks_of(instructions)
    count = 0
    for number in loop_blocks(edges):
        first, last = blocks[number]
        count += sum(bool(re.search(r"\b(STL|LDL)\b", text)) for _, text in instructions[first:last + 1])
    return count


# ---- The check ---------------------------------------------------------------------------------------------------------

def demangled(names):
    filter_ = shutil.which("c++filt")
    if not filter_ or not names:
        return {name: name for name in names}
    run = subprocess.run([filter_], input="\n".join(names), stdout=subprocess.PIPE, text=True, check=True)
    return dict(zip(names, run.stdout.splitlines()))


def shortened(name):
    """'void pxli::(anonymous namespace)::strip_kernel<256, true>(pxli::Strip)' -> 'strip_kernel<256, true>'."""
    name = name.replace("(anonymous namespace)::", "").replace("pxli::", "")
    depth, end = 0, len(name)
    for i, character in enumerate(name):
        depth += (character == "<") - (character == ">")
        if character == "(" and depth == 0:
            end = i
            break
    name = re.sub(r"\((?:unsigned )?(?:int|bool|char|long)\)", "", name[:end])
    return re.sub(r"^(void|static) ", "", name)


def in_loop(kernel, code_of, folders):
    """Whether a kernel that spills does so inside a loop: "yes", "no", or "unknown"."""
    key = (kernel.object, kernel.arch)
    if key not in code_of:
        code_of[key] = machine_code(*key, folders)
    code = code_of[key]
    if code is None or kernel.name not in code:
        return "unknown"
    return "yes" if local_accesses_in_loops(code[kernel.name]) else "no"


def check(options):
    kernels = []
    for object_file in options.objects:
        kernels += read_log(object_file + ".ptxas", object_file)
    names = demangled(sorted({k.name for k in kernels}))
    rows, faults, code_of = [], [], {}
    for k in sorted(kernels, key=lambda k: (os.path.basename(k.object), names[k.name], int(re.sub(r"\D", "", k.arch) or 0))):
        short, spilled = shortened(names[k.name]), max(k.stores, k.loads)
        loop = in_loop(k, code_of, options.tools) if spilled else ""
        rows.append(f"| {os.path.basename(k.object)[:-2]} | `{short}` | {k.arch} | {k.registers} | {k.shared} | {k.stack} | "
                    f"{k.stores} / {k.loads} | {loop} |")
        if spilled > MOST_SPILLED:
            faults.append(f"{short} ({k.arch}) spills {k.stores} bytes, loads {k.loads}; {MOST_SPILLED} are allowed")
        elif loop == "yes":
            faults.append(f"{short} ({k.arch}) spills {spilled} bytes, some of them inside a loop")
        elif loop == "unknown":
            faults.append(f"{short} ({k.arch}) spills {spilled} bytes; whether inside a loop is unknown, since there is no "
                          "cuobjdump with nvdisasm here (scripts/setup.sh --cuda brings them)")
    with open(options.table, "w", encoding="utf-8") as file:
        file.write("# CUDA kernels, as compiled\n\nShared memory is the static part. Bytes of spills: stores / loads, and whether "
                   "any is inside a loop.\n\n| file | kernel | architecture | registers | shared, bytes | stack, bytes | "
                   "spills, bytes | in a loop |\n|---|---|---|--:|--:|--:|--:|---|\n")
        file.write("\n".join(rows) + "\n")
    for fault in faults:
        print(f"cuda_kernels: {fault}", file=sys.stderr)
    if faults:
        print(f"cuda_kernels: all kernels are in {options.table}", file=sys.stderr)
    return 1 if faults else 0


def main():
    if len(sys.argv) > 4 and sys.argv[1] == "compile" and sys.argv[3] == "--":
        return compile_object(sys.argv[2], sys.argv[4:])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mode", choices=["check"])
    parser.add_argument("--table", required=True)
    parser.add_argument("--tools", action="append", default=[])
    parser.add_argument("objects", nargs="+")
    return check(parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
