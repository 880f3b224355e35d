#!/usr/bin/env python3
"""Sums up gcov's counters of a build: coverage.sh calls it.

    coverage.py BUILD FILE [OLD]

Writes FILE, a line for each file of src: path, lines, lines that ran, branches, branches that were taken. A source that is compiled
several times (instruction sets, precisions) counts as one: a line ran if it did in any of them. With OLD it also prints what each
file gained or lost, and ends with 1 if one lost more than MOST_LOST of its lines or branches.
"""
import json
import os
import subprocess
import sys

MOST_LOST = 0.01
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def measure(build):
    """{path: [lines, ran, branches, taken]}"""
    run = subprocess.run(["gcovr", "--root", ROOT, "--filter", os.path.join(ROOT, "src/"), "--json-summary", "-",
                          "--exclude-throw-branches", "-j", str(os.cpu_count()), build],
                         stdout=subprocess.PIPE, check=True, cwd=ROOT)
    return {file["filename"]: [file[key] for key in ("line_total", "line_covered", "branch_total", "branch_covered")]
            for file in json.loads(run.stdout)["files"]}


def share(part, whole):
    return part / whole if whole else 1.0


def read(path):
    with open(path, encoding="utf-8") as file:
        rows = [line.split() for line in file if not line.startswith("#")]
    return {row[0]: [int(number) for number in row[1:]] for row in rows}


def write(path, coverage):
    with open(path, "w", encoding="utf-8") as file:
        file.write("# file, lines, lines that ran, branches, branches taken\n")
        for name, numbers in sorted(coverage.items()):
            file.write(" ".join(map(str, [name, *numbers])) + "\n")


def print_all(coverage):
    for name, numbers in [*sorted(coverage.items()), ("all", [sum(column) for column in zip(*coverage.values())])]:
        lines, ran, branches, taken = numbers
        print(f"{name:<34} lines {100 * share(ran, lines):6.2f} %  branches {100 * share(taken, branches):6.2f} %")


def compare(old, new):
    """Prints the differences; the number of files that lost too much."""
    lost = 0
    for name in sorted(old.keys() & new.keys()):
        a, b = old[name], new[name]
        change = [share(b[i + 1], b[i]) - share(a[i + 1], a[i]) for i in (0, 2)]
        if max(map(abs, change)) < 0.0005:
            continue
        bad = min(change) < -MOST_LOST
        lost += bad
        print(f"{name:<34} lines {100 * change[0]:+6.2f} %  branches {100 * change[1]:+6.2f} %{'  LOST' if bad else ''}")
    for name in sorted(old.keys() ^ new.keys()):
        bad = name in old and os.path.exists(os.path.join(ROOT, name))  # none of it was reached
        lost += bad
        print(f"{name:<34} only in the {'old' if name in old else 'new'} file{'  LOST' if bad else ''}")
    print(f"{lost} files lost more than {100 * MOST_LOST:.0f} % of their lines or branches")
    return lost


def main():
    build, path, *old = sys.argv[1:]
    coverage = measure(build)
    write(path, coverage)
    print_all(coverage)
    return 1 if old and compare(read(old[0]), coverage) else 0


if __name__ == "__main__":
    sys.exit(main())
