#!/usr/bin/env python3
"""scripts/mutate.py's faults: where they lie, that the seed decides them, and that they can be taken back."""
import glob
import itertools
import os
import re
import sys
import unittest

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
sys.dont_write_bytecode = True  # the source stays as it is
sys.path.insert(0, os.path.join(ROOT, "scripts"))
import mutate  # noqa: E402
import mutate_faults  # noqa: E402
import mutate_worker  # noqa: E402

SOURCE = r'''/* a + b < 1 */
#include <a.h> // x + 1
#define ADD(a, b) \
    ((a) + (b) + 2)
static const char *const text = "a + b; // 3";
float scale(float value, float by);
template <int N, class T>
__device__ float sum(const T *values, const float (&more)[2 * N]) {
    float total[3] = {}, last = 0.5f;
    for (int i = 0; i < N; i += 2) total[0] += values[i] * 4;
    if (!values && N > 1) return last;
    __syncthreads();
    last = scale(total[1], total[2]), total[2] = 'a' + 1e-3f;
    x.wait(), __pipeline_wait_prior(0);
    return static_cast<float>(last) - 0x10u; /* 7 */
}
'''


# What begins so is skipped to the end of the pattern.
SKIPPED = (("//", r"[^\n]*"), ("/*", r"(?s:.*?\*/)"), ('"', r'(?:\\.|[^"\\])*"'), ("'", r"(?:\\.|[^'\\])*'"),
           ("#", r"(?:\\\n|[^\n])*"))


def found(source=SOURCE):
    """(kind, line before without indentation, line after) of all faults."""
    result = set()
    for fault in mutate_faults.draw({"a.cu": source}, 1):
        before, after = fault.lines(source)
        result.add((fault.kind, before.strip(), after.strip()))
    return result


def skipped(source):
    """Positions in comments, strings and preprocessor lines, by a reading of its own."""
    inside, i = set(), 0
    while i < len(source):
        begins_line = not source[source.rfind("\n", 0, i) + 1:i].strip()
        for start, pattern in SKIPPED:
            if source.startswith(start, i) and (start != "#" or begins_line):
                end = re.compile(pattern).match(source, i + len(start)).end()
                inside.update(range(i, end))
                i = end - 1
                break
        i += 1
    return inside


def read_source(pattern="*.[ch]*"):
    files = glob.glob(os.path.join(ROOT, "src", "**", pattern), recursive=True)
    sources = {}
    for path in files:
        with open(path, encoding="utf-8", newline="") as file:
            sources[os.path.relpath(path, ROOT)] = file.read()
    return sources


class Faults(unittest.TestCase):
    def test_tokens(self):
        texts = [token.text for token in mutate_faults.tokenize(SOURCE)]
        self.assertEqual(texts[:9], ["static", "const", "char", "*", "const", "text", "=", '"a + b; // 3"', ";"])
        for text in ("+=", "&&", "0.5f", "1e-3f", "0x10u", "'a'"):
            self.assertIn(text, texts)
        for text in ("ADD", "a", "include", "7"):
            self.assertNotIn(text, texts)

    def test_every_kind(self):
        faults = found()
        self.assertEqual({kind for kind, _, _ in faults}, set(mutate_faults.KINDS))
        loop = "for (int i = 0; i < N; i += 2) total[0] += values[i] * 4;"
        guard = "if (!values && N > 1) return last;"
        for expected in (
            ("arithmetic", loop, loop.replace("* 4", "/ 4")),
            ("comparison", loop, loop.replace("<", "<=")),
            ("logical", guard, guard.replace("&&", "||")),
            ("logical", guard, "if (!(!values && N > 1)) return last;"),
            ("constant", loop, loop.replace("4", "5")),
            ("index", loop, loop.replace("[i]", "[i - 1]")),
            ("assignment", loop, loop.replace("0] +=", "0] =")),
            ("statement", guard, "if (!values && N > 1) {}"),
            ("barrier", "__syncthreads();", "{}"),
            ("wait", "x.wait(), __pipeline_wait_prior(0);", "x.wait();"),
        ):
            self.assertIn(expected, faults)

    def test_parts_and_arguments(self):
        line = "last = scale(total[1], total[2]), total[2] = 'a' + 1e-3f;"
        after = {text for kind, before, text in found() if before == line and kind in ("statement", "arguments")}
        self.assertEqual(after, {"total[2] = 'a' + 1e-3f;", "last = scale(total[1], total[2]);",
                                 line.replace("total[1], total[2]", "total[2], total[1]")})

    def test_declarations_and_steps_stay(self):
        before = {(kind, line) for kind, line, _ in found()}
        self.assertFalse([line for _, line in before if "(&more)" in line or "template" in line])
        self.assertNotIn(("index", "float total[3] = {}, last = 0.5f;"), before)
        self.assertFalse([text for kind, _, text in found() if kind == "assignment" and "i -= 2" in text])

    def test_numbers(self):
        for number, other in (("0", "1"), ("1u", "2u"), ("0x0fu", "0x10u"), ("010", "9"), ("15ull", "16ull"),
                              ("0.5f", "0.75f"), ("0.0", "1.0"), ("1e-3", "0.0015"), ("0x1p-1f", "0.75f")):
            self.assertEqual(mutate_faults.other_number(number), other)


class Source(unittest.TestCase):
    """The library's own files."""

    def test_none_in_comments_strings_or_preprocessor_lines(self):
        for file, source in {**read_source(), "a.cu": SOURCE}.items():
            inside = skipped(source)
            for fault in itertools.islice(mutate_faults.draw({file: source}, 1), 300):
                whole = fault.kind in ("arithmetic", "comparison", "constant", "assignment")
                # Others may have a string or a comment inside: a condition that is negated.
                places = range(fault.start, fault.end if whole else fault.start + 1)
                self.assertFalse(inside.intersection(places), fault)

    def test_the_seed_decides(self):
        sources = read_source("*.cu*")
        first, second, other = (list(itertools.islice(mutate_faults.draw(sources, seed), 200))
                                for seed in (3, 3, 4))
        self.assertEqual(first, second)
        self.assertNotEqual(first, other)
        self.assertEqual(len(set(first)), 200)
        self.assertEqual({fault.kind for fault in first}, set(mutate_faults.KINDS))

    def test_apply_and_revert(self):
        sources = read_source("*.c")
        for fault in itertools.islice(mutate_faults.draw(sources, 5), 200):
            source = sources[fault.file]
            faulty = fault.apply(source)
            self.assertNotEqual(faulty, source)
            back = fault._replace(end=fault.start + len(fault.text), text=source[fault.start:fault.end])
            self.assertEqual(back.apply(faulty), source)
            self.assertEqual(source.count("\n", 0, fault.start) + 1, fault.line)

    def test_every_file_has_a_list(self):
        for file in read_source():
            self.assertTrue(mutate.runs_of(file, "constant"), file)


    def test_the_check_s_lists_are_read(self):
        with open(os.path.join(ROOT, "tests", "CMakeLists.txt"), encoding="utf-8") as file:
            text = file.read()
        for name in ("oracle_tests", "digits_tests", "device_tests", "network_tests"):
            words = re.findall(name + r' "([^"]*)"', text)
            self.assertEqual(mutate.FILTERS[name], "".join(words))
        self.assertIn("CudaOrder", mutate.RACE_TESTS)


class Reports(unittest.TestCase):
    def test_counts(self):
        outcomes = ("killed: cpu: A.b", "survived", "compiler", "same code", "killed: c")
        records = [{"outcome": outcome} for outcome in outcomes]
        self.assertEqual(list(mutate.count_outcomes(records).values()), [2, 1, 1, 1])

    def test_names_of_tests(self):
        for output, status, expected in (
            ("[ RUN      ] A.b\n[  FAILED  ] A.b (3 ms)\n", 1, "A.b"),
            ("[ RUN      ] A.b\n[       OK ] A.b\n[ RUN      ] A.c/2\n", -11, "A.c/2 (signal 11)"),
            ("[ RUN      ] A.b\n", None, "A.b (timeout)"),
            ("", 127, "before the first test"),
        ):
            self.assertEqual(mutate_worker.reason(output, status), expected)


if __name__ == "__main__":
    unittest.main()
