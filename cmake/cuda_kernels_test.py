#!/usr/bin/env python3
"""Test of cuda_kernels.py: on machine code made up for it, and on kernels made to spill.

    cuda_kernels_test.py NVCC TOOLS_FOLDER...
"""
import os
import subprocess
import sys
import tempfile
import unittest

import cuda_kernels

SCRIPT = cuda_kernels.__file__
NVCC, TOOLS = None, []

KERNEL = """
extern "C" __global__ void %s(const float *from, float *to, int n) {
    float a[48];
#pragma unroll
    for (int i = 0; i < 48; i++) a[i] = from[i * 32 + threadIdx.x];
    for (int step = 0; step < n; step++) {
#pragma unroll
        for (int i = 0; i < 48; i++) a[i] = a[i] * a[(i + 7) %% 48] + a[(i + step * 0 + 1) %% 48];
    }
#pragma unroll
    for (int i = 0; i < 48; i++) to[i * 32 + threadIdx.x] = a[i];
}
"""


def code(*lines):
    """[(address, instruction)] of 16 bytes each; 'label:' names the next address, '@label' stands for one."""
    labels, instructions = {}, []
    for line in lines:
        if line.endswith(":"):
            labels[line[:-1]] = len(instructions) * 16
        else:
            instructions.append(line)
    for name, address in labels.items():
        instructions = [text.replace("->" + name, hex(address)) for text in instructions]
    return [(16 * i, text) for i, text in enumerate(instructions)]


class Loops(unittest.TestCase):
    def count(self, *lines):
        return cuda_kernels.local_accesses_in_loops(code(*lines))

    def test_straight_code_has_none(self):
        self.assertEqual(self.count("STL [R1], R2", "LDL R2, [R1]", "EXIT", "end:", "BRA ->end"), 0)

    def test_inside(self):
        self.assertEqual(self.count("MOV R1, c[0x0][0x28]", "top:", "LDL.LU R2, [R1+0x4]", "@P0 BRA ->top", "EXIT"), 1)
        self.assertEqual(self.count("top:", "FADD R3, R4, R5", "STL [R1], R2", "@!P0 BRA ->top", "LDL R2, [R1]", "EXIT"), 1)

    def test_before_and_after(self):
        self.assertEqual(self.count("STL [R1], R2", "top:", "FADD R3, R4, R5", "@P1 BRA ->top", "LDL R2, [R1]", "EXIT"), 0)

    def test_branch_over(self):
        self.assertEqual(self.count("@P0 BRA ->over", "STL [R1], R2", "over:", "LDL R2, [R1]", "EXIT"), 0)

    def test_code_moved_out_of_the_loop_counts(self):
        self.assertEqual(self.count("top:", "@P0 BRA ->aside", "back:", "FADD R1, R1, R2", "@P1 BRA ->top", "EXIT", "aside:",
                                    "STL [R1], R2", "BRA ->back"), 1)

    def test_predicate_as_operand(self):
        self.assertEqual(self.count("top:", "STL [R1], R2", "BRA.U UP0, ->top", "EXIT"), 1)
        self.assertEqual(self.count("BRA P0, ->over", "STL [R1], R2", "over:", "EXIT"), 0)


class Compiled(unittest.TestCase):
    def check(self, arch, most_registers, tools):
        with tempfile.TemporaryDirectory() as folder:
            source, object_file, table = (os.path.join(folder, name) for name in ("planted.cu", "planted.o", "table.md"))
            with open(source, "w", encoding="utf-8") as file:
                file.write(KERNEL % "planted")
            subprocess.run([sys.executable, SCRIPT, "compile", object_file + ".ptxas", "--", NVCC, "-arch=" + arch, "-O3",
                            "-Xptxas=-v", f"-maxrregcount={most_registers}", "-c", source, "-o", object_file], check=True)
            command = [sys.executable, SCRIPT, "check", "--table", table, object_file]
            for folder_of_tools in tools:
                command[-1:-1] = ["--tools", folder_of_tools]
            run = subprocess.run(command, stderr=subprocess.PIPE, text=True)
            with open(table, encoding="utf-8") as file:
                return run.returncode, run.stderr, file.read()

    def test_kernel_that_fits_passes(self):
        status, said, table = self.check("sm_90", 255, TOOLS)
        self.assertEqual((status, said), (0, ""))
        self.assertIn("| `planted` | sm_90 |", table)

    def test_kernel_that_spills_fails_and_is_named(self):
        for arch in ("sm_75", "sm_90"):
            status, said, table = self.check(arch, 32, TOOLS)
            self.assertEqual(status, 1)
            self.assertIn(f"planted ({arch}) spills", said)
            self.assertRegex(table, r"\| `planted` \| " + arch + r" \| 32 \|.*\| (yes|unknown) \|")

    def test_spill_inside_the_loop_is_seen(self):
        if not (cuda_kernels.find_tool("cuobjdump", TOOLS) and cuda_kernels.find_tool("nvdisasm", TOOLS)):
            self.skipTest("no cuobjdump or nvdisasm here")
        self.assertRegex(self.check("sm_90", 40, TOOLS)[2], r"`planted`.*\| yes \|")


if __name__ == "__main__":
    NVCC, *TOOLS = sys.argv[1:]
    unittest.main(argv=sys.argv[:1])
