#!/usr/bin/env python3
"""The end of scripts/test.sh: where the time went, what was skipped and why, and whether the check stayed within its budget.

    test_report.py FOLDER RESULTS...

FOLDER has steps.tsv (name, seconds, passed or FAILED) and, if anything was left out, skipped.tsv (what, why); RESULTS are folders of
what Google Test wrote about each suite (cmake/PixlossSuite.cmake).
"""
import collections
import glob
import json
import os
import re
import sys

BUDGET_MINUTES = 14  # of the default check, on two cores with AVX-512; CONTRIBUTING.md
SLOWEST = 10


def read_table(path):
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as file:
        return [line.rstrip("\n").split("\t") for line in file]


def read_tests(folders):
    """(suite, test, seconds, why it was skipped or None) of every test that ran."""
    for folder in folders:
        preset = os.path.basename(os.path.dirname(folder))
        for path in sorted(glob.glob(os.path.join(folder, "*.json"))):
            suite = re.sub(r"\.\d+$", "", os.path.basename(path)[:-len(".json")])
            with open(path, encoding="utf-8") as file:
                groups = json.load(file)["testsuites"]
            for group in groups:
                for test in group["testsuite"]:
                    reason = None
                    if test["result"] == "SKIPPED":
                        reason = test.get("skipped", [{}])[0].get("message", "").strip() or "no reason given"
                        reason = reason.splitlines()[-1]
                    yield f"{preset}/{suite}", f"{group['name']}.{test['name']}", float(test["time"].rstrip("s")), reason


def print_steps(steps):
    total = sum(int(seconds) for _, seconds, _ in steps)
    print(f"\n== Where the time went ({total // 60} min {total % 60:02d} s)")
    for name, seconds, result in steps:
        print(f"  {int(seconds):5d} s  {100 * int(seconds) / max(total, 1):3.0f} %  {result:6s}  {name}")
    return total


def print_tests(tests):
    suites = collections.defaultdict(lambda: [0, 0.0])
    for suite, _, seconds, reason in tests:
        suites[suite][0] += reason is None
        suites[suite][1] += seconds
    print(f"\n== Tests ({sum(count for count, _ in suites.values())} run)")
    for suite, (count, seconds) in sorted(suites.items(), key=lambda item: -item[1][1]):
        print(f"  {seconds:7.1f} s  {count:5d}  {suite}")
    print("Slowest:")
    for suite, name, seconds, _ in sorted(tests, key=lambda test: -test[2])[:SLOWEST]:
        print(f"  {seconds:7.1f} s  {suite}: {name}")


def print_skipped(tests, left_out):
    reasons = collections.defaultdict(list)
    for suite, name, _, reason in tests:
        if reason is not None:
            reasons[reason].append(f"{suite}: {name}")
    for what, why in left_out:
        reasons[why].append(what)
    if reasons:
        print("\n== Skipped")
    for reason, names in reasons.items():
        shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        print(f"  {shown}: {reason}")


def skipped_suites(folder):
    """Suites that ended before their first test, and what they said."""
    for path in sorted(glob.glob(os.path.join(folder, "*.log"))):
        preset = os.path.basename(path)[:-len(".log")]
        with open(path, encoding="utf-8", errors="replace") as file:
            text = file.read()
        for name in re.findall(r"^\s*\d+ - (\S+) \((?:Skipped|Not Run|Disabled)\)$", text, re.M):
            said = re.search(rf'^\d+/\d+ Test: {re.escape(name)}\n.*?^(?:skipped|left out): ([^\n]*)', text, re.M | re.S)
            yield f"{preset}/{name}", said.group(1) if said else "see " + path


def main():
    folder, *results = sys.argv[1:]
    steps, tests = read_table(os.path.join(folder, "steps.tsv")), list(read_tests(results))
    print_tests(tests)
    print_skipped(tests, list(skipped_suites(folder)) + read_table(os.path.join(folder, "skipped.tsv")))
    total = print_steps(steps)
    if total > BUDGET_MINUTES * 60 and os.environ.get("PXLOSS_TEST_LISTS") != "long":
        print(f"\nWARNING: over {BUDGET_MINUTES} minutes, the budget of this check on two cores with AVX-512 (CONTRIBUTING.md).")


if __name__ == "__main__":
    main()
