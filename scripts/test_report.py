#!/usr/bin/env python3
"""The end of scripts/test.sh: where the time went, what was skipped and why, whether the check stayed within its budget.

    test_report.py FOLDER SECONDS MINUTES

SECONDS: what all of it took, as steps may run side by side. MINUTES: its budget, 0 if it has none.
FOLDER has steps.tsv (name, seconds, passed or FAILED) and, if anything was left out, skipped.tsv
(what, why). What Google Test wrote about each suite (cmake/PixlossSuite.cmake) lies in
build/PRESET/results, what ctest wrote in build/PRESET/Testing. Ends with 1 if a suite has no tests, as a filter that fits none passes.
"""
import collections
import glob
import json
import os
import re
import sys

PRESETS = "release", "sanitize"
SLOWEST = 10


def read_table(path):
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as file:
        return [line.rstrip("\n").split("\t") for line in file]


def read_groups(path):
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)["testsuites"]
    except (OSError, ValueError, KeyError):
        print(f"test_report: {path} cannot be read: its tests are not counted", file=sys.stderr)
        return []


def read_tests(presets):
    """{suite: [(test, seconds)]}"""
    suites = collections.defaultdict(list)
    for preset in presets:
        for path in sorted(glob.glob(f"build/{preset}/results/*.json")):
            suite = preset + "/" + re.sub(r"(\.\d+)?\.json$", "", os.path.basename(path))
            suites[suite] += [(f"{group['name']}.{test['name']}", float(test["time"].rstrip("s")))
                              for group in read_groups(path) for test in group["testsuite"]]
    return suites


def read_skipped(presets):
    """(suite, why) of each test that was skipped, and of each suite. Google Test says why on the terminal alone."""
    for preset in presets:
        path = f"build/{preset}/Testing/Temporary/LastTest.log"
        if not os.path.exists(path):
            continue
        with open(path, encoding="utf-8", errors="replace") as file:
            sections = re.split(r"^\d+/\d+ Testing: ", file.read(), flags=re.M)[1:]
        for section in sections:
            suite = preset + "/" + re.sub(r"\.\d+$", "", section.split()[0])
            for reason in re.findall(r"^(?:\S+:\d+: Skipped\n|skipped: |left out: )(.*)$", section, re.M):
                yield suite, reason


def print_tests(suites):
    print(f"\n== Tests ({sum(map(len, suites.values()))})")
    for suite, tests in sorted(suites.items(), key=lambda item: -sum(seconds for _, seconds in item[1])):
        print(f"  {sum(seconds for _, seconds in tests):7.1f} s  {len(tests):5d}  {suite}")
    print("Slowest:")
    everything = [(seconds, suite, name) for suite, tests in suites.items() for name, seconds in tests]
    for seconds, suite, name in sorted(everything, reverse=True)[:SLOWEST]:
        print(f"  {seconds:7.1f} s  {suite}: {name}")


def print_skipped(skipped):
    """A line for each reason: most are those of many tests."""
    reasons = collections.defaultdict(collections.Counter)
    for what, why in skipped:
        reasons[why][what] += 1
    if reasons:
        print("\n== Skipped")
    for reason, names in reasons.items():
        print("  " + ", ".join(f"{name} ({count} tests)" if count > 1 else name for name, count in names.items()) + f": {reason}")


def print_steps(steps, total):
    print(f"\n== Where the time went ({total // 60} min {total % 60:02d} s; "
          "Python and fuzzing run side by side)")
    for name, seconds, result in steps:
        print(f"  {int(seconds):5d} s  {100 * int(seconds) / max(total, 1):3.0f} %  {result:6s}  {name}")


def main():
    folder, total, budget = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    steps = read_table(os.path.join(folder, "steps.tsv"))
    presets = [preset for preset in PRESETS if any(name == f"{preset}: tests" for name, _, _ in steps)]
    suites = read_tests(presets)
    print_tests(suites)
    print_skipped([*read_skipped(presets), *read_table(os.path.join(folder, "skipped.tsv"))])
    print_steps(steps, total)
    if budget and total > budget * 60:
        print(f"\nWARNING: this took over {budget} minutes, the budget on two cores such as these: "
              "CONTRIBUTING.md.")
    empty = [suite for suite, tests in suites.items() if not tests]
    for suite in empty:
        print(f"\nFAILED: {suite} has no tests: does its filter fit any?")
    return 1 if empty else 0


if __name__ == "__main__":
    sys.exit(main())
