#!/usr/bin/env python3
"""Counts what a GPU has to issue: registers, shared memory and the instructions of each innermost loop of CUDA kernels.

    sass.py FILE.cubin|FILE.cu [--arch sm_90] [--kernel REGEX] [--all-loops] [--nvdisasm PATH] [--nvcc PATH] [-- nvcc's options]

For each kernel the resources that the compiler recorded, then each innermost loop by class of instruction, with its depth and,
in all, the instructions outside of loops. --all-loops adds the outer ones; their counts leave the inner loops out. A loop is the
code between a branch back and its target, so that rarely taken branches inside count in full: --blocks lists the basic blocks,
from which to leave them out, and --least finds a way round that does. Issue slots for a pixel = count x threads / pixels / 32:
see bench/README.md, "Predictions". nvdisasm comes with CUDA's toolkit and is on PyPI (scripts/setup.sh --cuda brings it).
"""
import argparse
import collections
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CLASSES = [  # the first that matches
    ("FFMA", "FFMA"), ("FADD", "FADD"), ("FMUL", "FMUL"), ("F64", "DADD|DMUL|DFMA|DSETP|F2F|DMNMX"), ("MUFU", "MUFU"),
    ("F other", "FMNMX|FSETP|FSEL|FCHK|FSET|HADD2|HMUL2|HFMA2|F2FP|I2F|I2FP|F2I|FRND|HSETP2"),
    ("LDS", "LDS|LDSM"), ("STS", "STS|STSM"), ("LDGSTS", "LDGSTS"), ("LDG", "LDG|LD"), ("STG", "STG|ST"), ("LDL/STL", "LDL|STL"),
    ("LDC", "LDC|ULDC|LDCU"), ("SHFL", "SHFL"), ("BAR", "BAR|LDGDEPBAR|DEPBAR|MEMBAR|WARPSYNC|ERRBAR|CCTL"),
    ("IMAD/IADD", r"IMAD|IADD|IADD3|LEA|UIMAD|UIADD3|ULEA|IABS|VIADD|SHF|USHF|LOP3|ULOP3|IMNMX|VIMNMX|"
     "PRMT|UPRMT|SGXT|BFE|POPC|FLO|BREV|UFLO"),
    ("MOV", "MOV|R2UR|S2R|S2UR|CS2R|P2R|R2P|SEL|USEL|UMOV"), ("SETP", "ISETP|PLOP3|UISETP|UPLOP3|VOTE|VOTEU"),
    ("BRA", "BRA|BRX|EXIT|CALL|RET|JMP|BSSY|BSYNC|BREAK|YIELD|NANOSLEEP|WARPSYNC"), ("NOP", "NOP"),
]

Instruction = collections.namedtuple("Instruction", "address opcode text")
Loop = collections.namedtuple("Loop", "first last depth inner")  # indices of instructions; the loops directly inside


def tool(name, given, folders):
    for path in [given] + [os.path.join(folder, name) for folder in folders]:
        if path and os.access(path, os.X_OK):
            return path
    found = shutil.which(name)
    if not found:
        sys.exit(f"sass.py: no {name} in PATH or build/cuda/bin; --{name} names one, scripts/setup.sh --cuda brings it")
    return found


def compile_cubin(source, options, folder):
    nvcc = tool("nvcc", options.nvcc, [os.path.join(ROOT, "build/cuda/bin")])
    cubin = os.path.join(folder, "kernels.cubin")
    command = [nvcc, "-cubin", "-std=c++17", "-O3", f"-arch={options.arch}", f"-I{ROOT}/include", "-DPXLI_CUDA", "-Xptxas=-v",
               source, "-o", cubin] + options.rest
    run = subprocess.run(command, stderr=subprocess.PIPE, text=True)
    if run.returncode:
        sys.exit(run.stderr + f"sass.py: {' '.join(command)}: exit status {run.returncode}")
    return cubin, spills_of(run.stderr)


def spills_of(log):
    spills, name = {}, None
    for line in log.splitlines():
        if match := re.search(r"Function properties for '?([^\s']+)", line):
            name = match.group(1)
        elif match := re.search(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", line):
            spills[name] = tuple(int(n) for n in match.groups())
    return spills


# ---- The disassembly -----------------------------------------------------------------------------------------------------------

def opcode(text):
    return re.sub(r"^@!?U?P\w+\s+", "", text).split()[0]


def kernels(disassembly):
    """Yields (name, instructions, {label: index})."""
    name, instructions, labels = None, [], {}
    for line in disassembly.splitlines():
        if match := re.match(r"\s*\.section\s+\.text\.(\S+?),", line):
            if name:
                yield name, instructions, labels
            name, instructions, labels = match.group(1), [], {}
        elif re.match(r"\s*\.section\s", line) and name:
            yield name, instructions, labels
            name = None
        elif name is None:
            continue
        elif match := re.match(r"\s*(\.L\w+):", line):
            labels[match.group(1)] = len(instructions)
        elif match := re.search(r"/\*([0-9a-f]{4,6})\*/\s+(.*?);", line):
            text = match.group(2).strip()
            instructions.append(Instruction(int(match.group(1), 16), opcode(text), text))
    if name:
        yield name, instructions, labels


def target_of(instruction):
    match = re.search(r"\((\.L\w+)\)", instruction.text)
    return match.group(1) if match and instruction.opcode.split(".")[0] in ("BRA", "JMP") else None


def loops_of(instructions, labels):
    """By branches back, outer before inner; branches back to one target are one loop."""
    last = {}
    for i, instruction in enumerate(instructions):
        target = labels.get(target_of(instruction))
        if target is not None and target < i:
            last[target] = max(i, last.get(target, 0))
    last = {first: end for first, end in last.items() if end > first}
    spans = sorted(last.items(), key=lambda span: (span[0], -span[1]))
    result = []
    for first, end in spans:
        depth = sum(a <= first and end <= b and (a, b) != (first, end) for a, b in spans)
        inner = [(a, b) for a, b in spans if first <= a and b <= end and (a, b) != (first, end)]
        result.append(Loop(first, end, depth, inner))
    return result


def classify(code):
    base = code.split(".")[0]
    for name, pattern in CLASSES:
        if re.fullmatch(pattern, base):
            return name
    return "other"


def count(instructions):
    counts = collections.Counter(classify(i.opcode) for i in instructions)
    order = [name for name, _ in CLASSES] + ["other"]
    return "  ".join(f"{name} {counts[name]}" for name in order if counts[name])


def own_instructions(instructions, loop):
    inside = set()
    for a, b in loop.inner:
        inside.update(range(a, b + 1))
    return [instructions[i] for i in range(loop.first, loop.last + 1) if i not in inside]


def print_blocks(instructions, labels, first, last):
    starts = {first} | {i for i in labels.values() if first <= i <= last}
    starts |= {i + 1 for i in range(first, last) if instructions[i].opcode.split(".")[0] in ("BRA", "EXIT", "RET")}
    starts = sorted(starts)
    for begin, end in zip(starts, starts[1:] + [last + 1]):
        branch = instructions[end - 1].text if "BRA" in instructions[end - 1].opcode else ""
        goes = f"  -> {instructions[labels[t]].address:#06x}" if (t := target_of(instructions[end - 1])) in labels else ""
        print(f"      {instructions[begin].address:#06x} {end - begin:5}  {count(instructions[begin:end])}"
              f"{'   [' + branch.split('`')[0].strip() + goes + ']' if branch else ''}")


# ---- The way round a loop for dense fp32 images --------------------------------------------------------------------------------

def is_conditional(instruction):
    return bool(re.match(r"@", instruction.text) or re.match(r"BRA\S*\s+(!?U?P\d|~?UR|!?UP)", instruction.text) or
                ".DIV" in instruction.opcode)


def targets_of(instruction):
    match = re.search(r"BRANCH_TARGETS\s+([^\"]*)", instruction.text)
    return [t.strip() for t in match.group(1).split(",")] if match else [target_of(instruction)]


def least_way(instructions, labels, loop, wanted):
    """Of the ways round the loop that do `wanted` 16-byte loads and stores (None: the most that any does), the one with the
    fewest instructions, as their indices. Goes forward only: inner loops once."""
    starts = {loop.first} | {i for i in labels.values() if loop.first <= i <= loop.last}
    ends_block = ("BRA", "BRX", "EXIT", "RET")
    starts |= {i + 1 for i in range(loop.first, loop.last) if instructions[i].opcode.split(".")[0] in ends_block}
    starts = sorted(starts)
    ways = {loop.first: {0: (0, ())}}  # block: {wide copies: (instructions, blocks)}
    ends = {}
    for begin, end in zip(starts, starts[1:] + [loop.last + 1]):
        block = instructions[begin:end]
        last = block[-1]
        wide = sum(bool(re.match(r"(LDG|STG|LDGSTS)\.(?=.*\b128\b)", i.opcode)) for i in block)
        nexts = [labels[t] for t in targets_of(last) if t in labels]
        leaves = last.opcode.split(".")[0] in ("BRA", "BRX", "EXIT", "RET", "JMP") and not is_conditional(last)
        if not leaves and end <= loop.last:
            nexts.append(end)
        for copies, (cost, path) in ways.get(begin, {}).items():
            way = (cost + len(block), path + ((begin, end),))
            for to in nexts:
                known = ends if to == loop.first else ways.setdefault(to, {}) if to > begin else {}
                if copies + wide not in known or known[copies + wide][0] > way[0]:
                    known[copies + wide] = way
    copies = max(ends, default=None) if wanted is None else wanted
    if copies not in ends:
        return None
    return copies, [i for begin, end in ends[copies][1] for i in range(begin, end)]


def demangled(name):
    run = shutil.which("c++filt") and subprocess.run(["c++filt", name], stdout=subprocess.PIPE, text=True)
    text = run.stdout.strip() if run else name
    text = text.replace("(anonymous namespace)::", "").replace("pxli::", "")
    return re.sub(r"\((?:unsigned )?(?:int|bool|char|long|strip::Back|strip::Others)\)", "", text)


def report(name, instructions, labels, resources, options):
    while instructions and instructions[-1].opcode.startswith(("NOP", "BRA")):  # what fills the last line of the cache
        if instructions[-1].opcode.startswith("BRA") and target_of(instructions[-1]) in labels and \
                labels[target_of(instructions[-1])] != len(instructions) - 1:
            break
        instructions = instructions[:-1]
    loops = loops_of(instructions, labels)
    covered = {i for loop in loops for i in range(loop.first, loop.last + 1)}
    print(f"{demangled(name)}\n  {resources}; {len(instructions)} instructions, "
          f"{len(instructions) - len(covered)} outside of loops")
    for loop in loops:
        if loop.inner and not options.all_loops:
            continue
        own = own_instructions(instructions, loop)
        kind = "loop" if not loop.inner else "loop without its inner ones"
        print(f"  {kind} {instructions[loop.first].address:#06x}-{instructions[loop.last].address:#06x}, depth {loop.depth + 1}: "
              f"{len(own)} instructions: {count(own)}")
        if options.least and (found := least_way(instructions, labels, loop, options.copies)):
            copies, way = found
            nested = [(a, b) for a, b in loop.inner if a in way]
            print(f"    least way round with {copies} copies of 16 bytes: {len(way)}: {count([instructions[i] for i in way])}")
            for a, b in nested:
                print(f"      of which {sum(a <= i <= b for i in way)} once round the loop at {instructions[a].address:#06x}")
        if options.blocks:
            print_blocks(instructions, labels, loop.first, loop.last)


def resources_of(name, spills, options):
    """Registers and shared memory from cuobjdump if it is there, spills from the compiler if this script ran it."""
    text = []
    if name in options.usage:
        text.append(options.usage[name])
    if name in spills:
        stack, stores, loads = spills[name]
        text.append(f"{stack} bytes of stack, {stores} spilled, {loads} reloaded")
    return ", ".join(text) or "resources unknown (no cuobjdump)"


def usage_of(cubin, options):
    path = options.cuobjdump or shutil.which("cuobjdump")
    for folder in [os.path.join(ROOT, "build/cuda/bin")] + ([os.path.dirname(options.nvdisasm)] if options.nvdisasm else []):
        candidate = os.path.join(folder, "cuobjdump")
        path = path or (candidate if os.access(candidate, os.X_OK) else None)
    if not path:
        return {}
    run = subprocess.run([path, "--dump-resource-usage", cubin], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    usage = {}
    for match in re.finditer(r"Function (\S+?):\s*\n?\s*REG:(\d+) STACK:(\d+) SHARED:(\d+) LOCAL:(\d+)", run.stdout):
        name, registers, stack, shared, local = match.groups()
        usage[name] = f"{registers} registers, {shared} bytes static shared, {stack} stack, {local} local"
    return usage


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file")
    parser.add_argument("--arch", default="sm_90")
    parser.add_argument("--kernel", default="", help="only kernels whose demangled name matches")
    parser.add_argument("--all-loops", action="store_true")
    parser.add_argument("--blocks", action="store_true", help="the basic blocks of each printed loop")
    parser.add_argument("--least", action="store_true", help="the shortest way round each loop that does all its 16-byte loads "
                        "and stores: what dense fp32 images take, or less")
    parser.add_argument("--copies", type=int, metavar="N", help="with --least: ways that do exactly N 16-byte loads and stores")
    parser.add_argument("--nvdisasm")
    parser.add_argument("--cuobjdump")
    parser.add_argument("--nvcc")
    parser.add_argument("rest", nargs="*", help="after --: further options of nvcc")
    options = parser.parse_args()
    nvdisasm = tool("nvdisasm", options.nvdisasm, [os.path.join(ROOT, "build/cuda/bin")])
    with tempfile.TemporaryDirectory() as folder:
        cubin, spills = compile_cubin(options.file, options, folder) if options.file.endswith(".cu") else (options.file, {})
        options.usage = usage_of(cubin, options)
        run = subprocess.run([nvdisasm, "-c", cubin], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if run.returncode:
            sys.exit(f"sass.py: {nvdisasm}: {run.stderr.strip()}")
        for name, instructions, labels in kernels(run.stdout):
            if re.search(options.kernel, demangled(name)):
                report(name, instructions, labels, resources_of(name, spills, options), options)


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    main()
