#!/usr/bin/env python3
"""The parts of scripts/digest.sh that read machine code and compare files.

    digest.py code BUILD [--tools FOLDER]...    a line for each function and kernel in BUILD
    digest.py compare OLD NEW                   says what differs; exits with 1 if anything does

A line of code is: object, function, hash, hash without names. The hash is of the instructions as
objdump writes them, without addresses, and of the constants and strings themselves. So it does not
depend on other functions, on line numbers or on the build's folder. The second hash leaves out the
names of functions and variables.
"""
import argparse
import collections
import glob
import hashlib
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile

SHOWN = 20  # lines of each kind that a comparison names

# nvcc puts a hash of the source into the name of a file's anonymous namespace.
ANONYMOUS = re.compile(r"\d+_GLOBAL__N__[0-9a-f]{8}_\d+_\w+?_cu_[0-9a-f]{8}")


def normalised(name):
    return ANONYMOUS.sub("12_GLOBAL__N_1", name)


def digest(parts):
    return hashlib.sha256("\n".join(parts).encode("utf-8", "surrogateescape")).hexdigest()[:16]


# ---- Object files --------------------------------------------------------------------------------

Section = collections.namedtuple("Section", "name kind flags size link info entry data")
Symbol = collections.namedtuple("Symbol", "name kind section value size")

SYMBOLS, RELOCATIONS, NOTHING = 2, 4, 8  # kinds of sections
ALLOCATED, EXECUTABLE, MERGED, STRINGS = 0x2, 0x4, 0x10, 0x20  # flags of sections
VARIABLE, FUNCTION, WHOLE_SECTION = 1, 2, 3  # kinds of symbols


def text_at(data, offset):
    return data[offset:data.index(b"\0", offset)].decode("latin-1")


class Elf:
    """The sections, symbols and relocations of a 64-bit ELF file, little-endian."""

    def __init__(self, path):
        with open(path, "rb") as file:
            self.bytes = file.read()
        if self.bytes[:6] != b"\x7fELF\x02\x01":
            raise ValueError(f"{path}: not a 64-bit ELF file")
        self.sections = self.read_sections()
        self.symbols = self.read_symbols()

    def read_sections(self):
        start = struct.unpack_from("<Q", self.bytes, 40)[0]
        size, count, names = struct.unpack_from("<HHH", self.bytes, 58)
        headers = [struct.unpack_from("<IIQQQQIIQQ", self.bytes, start + i * size)
                   for i in range(count)]
        strings = self.bytes[headers[names][4]:][:headers[names][5]]
        sections = []
        for name, kind, flags, _, offset, length, link, info, _, entry in headers:
            data = b"" if kind == NOTHING else self.bytes[offset:offset + length]
            name = text_at(strings, name)
            sections.append(Section(name, kind, flags, length, link, info, entry, data))
        return sections

    def read_symbols(self):
        symbols = []
        for table in (s for s in self.sections if s.kind == SYMBOLS):
            strings = self.sections[table.link].data
            for name, info, _, section, value, size in struct.iter_unpack("<IBBHQQ", table.data):
                symbols.append(Symbol(text_at(strings, name), info & 15, section, value, size))
        return symbols

    def relocations(self, index):
        """(offset, type, symbol, addend) of those that apply to a section."""
        for section in self.sections:
            if section.kind == RELOCATIONS and section.info == index:
                for offset, info, addend in struct.iter_unpack("<QQq", section.data):
                    yield offset, info & 0xffffffff, self.symbols[info >> 32], addend

    def covering(self, section, offset):
        """The function or variable at an offset of a section, or None."""
        for symbol in self.symbols:
            is_named = symbol.kind in (VARIABLE, FUNCTION)
            is_here = symbol.section == section and 0 <= offset - symbol.value < symbol.size
            if is_named and is_here:
                return symbol
        return None

    def named(self, name):
        """The symbol or the section of this name."""
        for symbol in self.symbols:
            if symbol.name == name:
                return symbol
        for index, section in enumerate(self.sections):
            if section.name == name:
                return Symbol("", WHOLE_SECTION, index, 0, 0)
        return Symbol(name, 0, 0, 0, 0)

    def describe(self, symbol, addend):
        """What is at a symbol's address + addend: (with names, without names)."""
        if 0 < symbol.section < len(self.sections):
            section = self.sections[symbol.section]
            offset = symbol.value + addend
            if section.flags & STRINGS and 0 <= offset < section.size:
                return (repr(normalised(text_at(section.data, offset))),) * 2
            if section.flags & MERGED and 0 <= offset < section.size:
                end = offset - offset % section.entry + section.entry
                return (section.data[offset:end].hex(),) * 2
            found = self.covering(symbol.section, offset)
            if found:
                offset -= found.value
                return f"{normalised(found.name)}+{offset}", f"{section.name}: {offset}"
            return (f"{section.name}+{offset}",) * 2
        return f"{normalised(symbol.name)}+{addend}", f"outside: {addend}"


# ---- The processor's code ------------------------------------------------------------------------

Instruction = collections.namedtuple("Instruction", "address text relocations")


def disassembled(path):
    """{function: [Instruction]}"""
    command = ["objdump", "--disassemble", "--reloc", "--wide", "--no-show-raw-insn", path]
    run = subprocess.run(command, stdout=subprocess.PIPE, text=True, errors="replace", check=True,
                         env=dict(os.environ, LC_ALL="C"))
    functions, current = {}, []
    for line in run.stdout.splitlines():
        if match := re.match(r"[0-9a-f]+ <(.*)>:$", line):
            current = functions.setdefault(match.group(1), [])
        elif match := re.match(r"\s*([0-9a-f]+):\t([^\t]+)((?:\t.*)?)$", line):
            address, text, rest = match.groups()
            relocations = re.findall(r"\t([0-9a-f]+): (R_\w+)\t(\S+)", rest)
            current.append(Instruction(int(address, 16), text.strip(), relocations))
    return functions


def split_addend(text):
    match = re.match(r"(.+?)([+-]0x[0-9a-f]+)?$", text)
    return match.group(1), int(match.group(2) or "0", 16)


def targets(elf, instruction, end):
    """What the relocations of an instruction point at; relative ones count from its end."""
    for place, kind, text in instruction.relocations:
        name, addend = split_addend(text)
        if re.search(r"PC|PLT", kind):
            addend += end - int(place, 16)
        yield (kind,) + elf.describe(elf.named(name), addend)


def without_addresses(text, function):
    """'je 6d0 <f+0x10> # 7' of the function f -> 'je <+0x10>'."""
    text = re.sub(f"<{re.escape(function)}(?=[+>])", "<", text)
    text = re.sub(r"-?0x[0-9a-f]+\(%rip\)", "(%rip)", text)
    text = re.sub(r"\b[0-9a-f]+ <", "<", text)
    return normalised(re.sub(r"\s+", " ", text))


def is_padding(instruction):
    return bool(re.search(r"\bnop[wl]?\b|^xchg +%ax,%ax$|^int3$", instruction.text))


def function_lines(elf, function, instructions):
    """The instructions as text: with names, and without."""
    while instructions and is_padding(instructions[-1]):
        instructions.pop()
    with_names, without = [], []
    for i, instruction in enumerate(instructions):
        is_last = i + 1 == len(instructions)
        end = 0 if is_last else instructions[i + 1].address
        if is_last and instruction.relocations:
            end = int(instruction.relocations[-1][0], 16) + 4
        text = without_addresses(instruction.text, function)
        if instruction.relocations:
            text = re.sub(r"<.*>", "<>", text)
        with_names.append(text)
        without.append(re.sub(r"<[^+>]+", "<", text))
        for kind, named, unnamed in targets(elf, instruction, end):
            with_names.append(f"{kind} {named}")
            without.append(f"{kind} {unnamed}")
    return with_names, without


def is_table(section):
    name = section.name.startswith((".rodata", ".data"))
    return name and section.size and section.flags & ALLOCATED and not section.flags & MERGED


def table_lines(elf, index):
    """A section of data: its bytes and what its pointers point at."""
    with_names = [elf.sections[index].data.hex()]
    without = list(with_names)
    for offset, kind, symbol, addend in elf.relocations(index):
        named, unnamed = elf.describe(symbol, addend)
        with_names.append(f"{offset} {kind} {named}")
        without.append(f"{offset} {kind} {unnamed}")
    return with_names, without


def host_entries(path):
    """(function or table, hash, hash without names)"""
    elf = Elf(path)
    for function, instructions in disassembled(path).items():
        lines = function_lines(elf, function, instructions)
        yield function, digest(lines[0]), digest(lines[1])
    for index, section in enumerate(elf.sections):
        if is_table(section):
            lines = table_lines(elf, index)
            yield f"[{section.name}]", digest(lines[0]), digest(lines[1])


# ---- The GPU's code ------------------------------------------------------------------------------

def find_tool(name, folders):
    for folder in folders:
        path = os.path.abspath(os.path.join(folder, name))
        if os.access(path, os.X_OK):
            return path
    return shutil.which(name)


def section_lines(elf, index):
    """A section of a kernel: with the names that it refers to, and without."""
    section = elf.sections[index]
    kind = re.match(r"\.(text|nv\.\w+)", section.name).group(1)
    with_names = [f"{kind} {section.size} {section.data.hex()}"]
    without = list(with_names)
    for offset, kind, symbol, addend in elf.relocations(index):
        with_names.append(f"{offset} {kind} {normalised(symbol.name)} {addend}")
        without.append(f"{offset} {kind} {addend}")
    return with_names, without


# Not constant bank 0, which holds the arguments of a launch.
PART_OF_KERNEL = re.compile(r"\.(?:text|nv\.shared|nv\.constant[1-9]|nv\.global\.init)\b\.?(.*)")


def cubin_entries(path):
    """(kernel, hash, hash without names): machine code, constants and bytes of shared memory."""
    elf = Elf(path)
    lines = collections.defaultdict(lambda: ([], []))
    for index, section in enumerate(elf.sections):
        match = PART_OF_KERNEL.match(section.name)
        if not match or section.name.startswith(".nv.shared.reserved"):
            continue
        parts = lines[match.group(1) or "[constants]"]
        for to, more in zip(parts, section_lines(elf, index)):
            to += more
    for kernel, (with_names, without) in lines.items():
        yield normalised(kernel), digest(with_names), digest(without)


def kernel_entries(cuobjdump, path):
    """(architecture, kernel, hash, hash without names)"""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([cuobjdump, "--extract-elf", "all", os.path.abspath(path)], cwd=folder,
                       stdout=subprocess.DEVNULL, check=True)
        for cubin in sorted(glob.glob(os.path.join(folder, "*.cubin"))):
            architecture = re.search(r"sm_\w+", os.path.basename(cubin)).group(0)
            for entry in cubin_entries(cubin):
                yield (architecture,) + entry


# ---- All of the library's code -------------------------------------------------------------------

def source_folder():
    return os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "src")


def objects(build, pattern):
    """(path, name of the source below src) of those objects whose source is still there."""
    for path in sorted(glob.glob(os.path.join(build, "src", pattern), recursive=True)):
        source = re.sub(r"^.*?/CMakeFiles/[^/]+\.dir/", "", path[len(build):])
        source = re.sub(r"^/?src/", "", source)[:-len(".o")]
        if os.path.exists(os.path.join(source_folder(), source)):
            yield path, source


def label(path, source):
    """'kernels_avx2_1.dir/cpu/strip.c.o' -> 'avx2 f64 cpu/strip.c'."""
    match = re.search(r"/kernels_(\w+)_([01])\.dir/", path)
    if not match:
        return source
    return f"{match.group(1)} {('f32', 'f64')[int(match.group(2))]} {source}"


def demangled(lines):
    tool = shutil.which("c++filt")
    if not tool:
        return lines
    names = "".join(f"{line[1]}\n" for line in lines)
    run = subprocess.run([tool], input=names, stdout=subprocess.PIPE, text=True, check=True)
    return [(line[0], name) + line[2:] for line, name in zip(lines, run.stdout.splitlines())]


def host_code(build):
    lines = []
    for pattern in ("CMakeFiles/pixloss_objects.dir/**/*.o", "CMakeFiles/kernels_*.dir/**/*.o",
                    "cuda/*.cu.o"):
        for path, source in objects(build, pattern):
            for name, *hashes in host_entries(path):
                lines.append((label(path, source), normalised(name), *hashes))
    return lines


def gpu_code(build, folders):
    found = list(objects(build, "cuda/*.cu.o"))
    cuobjdump = find_tool("cuobjdump", folders)
    if not found:
        print("# kernels: skipped, this build has no CUDA")
        return []
    if not cuobjdump:
        print("# kernels: skipped, there is no cuobjdump (scripts/setup.sh --cuda brings it)")
        return []
    lines = []
    for path, source in found:
        for architecture, *entry in kernel_entries(cuobjdump, path):
            lines.append((f"{source} {architecture}", *entry))
    if not lines:
        raise ValueError(f"{build} has the kernels as PTX alone, as scripts/test.sh leaves it: "
                         "cmake --preset release -DPIXLOSS_CUDA_ARCHITECTURES= compiles them for all architectures")
    return lines


def print_code(options):
    lines = []
    if shutil.which("objdump"):
        lines += host_code(options.build)
    else:
        print("# functions: skipped, there is no objdump (Debian: binutils)")
    lines += gpu_code(options.build, options.tools)
    for line in demangled(lines):
        print("\t".join(line))
    return 0


# ---- Comparison ----------------------------------------------------------------------------------

def read(path):
    """The header as {key: text}, and {section: {key: hashes}}; keys and hashes are pairs."""
    header, sections, current = {}, {}, None
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        for line in file.read().splitlines():
            if line.startswith("# "):
                key, _, text = line[2:].partition(": ")
                header[key] = text
            elif match := re.match(r"\[(bits|code)\]$", line):
                current = sections.setdefault(match.group(1), {})
            else:
                fields = line.split("\t")
                if current is None or len(fields) != 4:
                    raise ValueError(f"{path}: not a file of digest.sh: {line[:60]!r}")
                current[tuple(fields[:2])] = tuple(fields[2:])
    return header, sections


def pair_moved(old, new, only_old, only_new):
    """Functions that are in one file each, with the same code: [(old key, new key)]."""
    candidates = collections.defaultdict(list)
    for key in only_new:
        candidates[new[key][1]].append(key)
    pairs = []
    for key in only_old:
        same = candidates[old[key][1]]
        if same:
            by_name = [k for k in same if k[1] == key[1]]
            chosen = (by_name or same)[0]
            same.remove(chosen)
            pairs.append((key, chosen))
    return pairs


def compare_section(name, old, new):
    """{what: [keys]} of a section; "names" and "moved" are for code alone."""
    both = [key for key in old if key in new]
    found = {"equal": [key for key in both if old[key] == new[key]]}
    different = [key for key in both if old[key] != new[key]]
    found["changed"], found["names"] = different, []
    if name == "code":
        found["names"] = [key for key in different if old[key][1] == new[key][1]]
        found["changed"] = [key for key in different if old[key][1] != new[key][1]]
    only_old = [key for key in old if key not in new]
    only_new = [key for key in new if key not in old]
    moved = pair_moved(old, new, only_old, only_new) if name == "code" else []
    found["moved"] = [(f"{a[0]} {a[1]}", f"{b[0]} {b[1]}") for a, b in moved]
    gone, come = {a for a, _ in moved}, {b for _, b in moved}
    found["only in the old"] = [key for key in only_old if key not in gone]
    found["only in the new"] = [key for key in only_new if key not in come]
    return found


TITLES = {"equal": "equal", "changed": "changed",
          "names": "the same but for names that they refer to",
          "moved": "moved or renamed, with the same code",
          "only in the old": "only in the old file", "only in the new": "only in the new file"}


def changed_columns(name, old, new):
    if name == "code":
        return ""
    columns = zip(("values", "gradients and maps"), old, new)
    return ": " + " and ".join(what for what, a, b in columns if a != b)


def print_keys(name, title, keys, old, new):
    for key in keys[:SHOWN]:
        detail = changed_columns(name, old[key], new[key]) if title == "changed" else ""
        print(f"  {title}: {key[0]} | {key[1]}{detail}")
    if len(keys) > SHOWN:
        print(f"  {title}: {len(keys) - SHOWN} more")


def print_groups(name, keys):
    """How many of the changed lines each way to compute, or each object, has."""
    counts = collections.Counter(key[1] if name == "bits" else key[0] for key in keys)
    if counts:
        print("  changed by " + ("way: " if name == "bits" else "object: ") +
              ", ".join(f"{group} {count}" for group, count in sorted(counts.items())))


def verdict(name, found):
    counts = {what: len(keys) for what, keys in found.items() if what != "equal" and keys}
    if not counts:
        return f"{name}: the same"
    text = ", ".join(f"{count} {TITLES[what]}" for what, count in counts.items())
    alone = set(counts) <= {"names", "moved"}
    return f"{name}: " + ("the same but for names" if alone else "different") + f" ({text})"


def print_section(name, old, new):
    """Whether the section differs, and its verdict."""
    found = compare_section(name, old, new)
    print(f"{name}: " + ", ".join(f"{len(keys)} {TITLES[what]}" for what, keys in found.items()
                                  if keys or what not in ("names", "moved")))
    print_groups(name, found["changed"])
    for what, keys in found.items():
        if what != "equal":
            print_keys(name, what, keys, old, new)
    return len(found["equal"]) != max(len(old), len(new)), verdict(name, found)


def print_header(old, new):
    for key in list(old) + [key for key in new if key not in old]:
        if key not in ("commit", "tree") and old.get(key) != new.get(key):
            print(f"note: {key} differs: {old.get(key)} | {new.get(key)}")


def compare(options):
    old_header, old = read(options.old)
    new_header, new = read(options.new)
    print_header(old_header, new_header)
    differs, verdicts = False, []
    for name in ("bits", "code"):
        if old.get(name) and new.get(name):
            section_differs, text = print_section(name, old[name], new[name])
            differs = differs or section_differs
            verdicts.append(text)
        elif old.get(name) or new.get(name):
            verdicts.append(f"{name}: not compared, as one file has none")
    if not verdicts or all("not compared" in text for text in verdicts):
        raise ValueError("the files have no section in common")
    print("; ".join(verdicts))
    return 1 if differs else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    modes = parser.add_subparsers(dest="mode", required=True)
    code = modes.add_parser("code")
    code.add_argument("build")
    code.add_argument("--tools", action="append", default=[])
    both = modes.add_parser("compare")
    both.add_argument("old")
    both.add_argument("new")
    options = parser.parse_args()
    try:
        return print_code(options) if options.mode == "code" else compare(options)
    except (OSError, ValueError, subprocess.CalledProcessError) as error:
        print(f"digest.py: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
