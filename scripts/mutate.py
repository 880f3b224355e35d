#!/usr/bin/env python3
"""Tests the tests: plants small faults in src/, one at a time, and tells which of them no test notices.

    nice scripts/mutate.py --seed 1                  # 100 faults; a second call goes on where the first stopped
    nice scripts/mutate.py --seed 1 --only src/cuda  # in these files alone
    scripts/mutate.py --seed 1 --list                # the faults, without a test
    scripts/mutate.py --seed 1 --show 7              # fault 7 as a diff

The seed and the source decide the faults (mutate_faults.py). Each worker has a copy of the tracked files and a
build of its own, whose tests must pass without a fault (mutate_worker.py). Then, for each fault, it builds and
runs the tests of LISTS until one fails. Outcomes:

    killed     a test fails, crashes, or takes several times as long as without the fault
    compiler   the fault does not compile: warnings are errors
    same code  all objects are the same to the byte, so another fault is drawn instead. Code for GPUs alone is
               such, as the CUDA kernels are compiled for the CPU here (tests/cuda_host)
    survived   no test notices: a test is missing, or the code is not needed, or the fault changes no result

DIRECTORY/seed-S.jsonl has a line for each fault. Exit status: 0 if every fault was judged, 1 if something did
not work.
"""
import argparse
import difflib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time

from mutate_faults import draw
from mutate_worker import ROOT, Failed, Processes, Run, Stopped, Worker

HOST = "pixloss_cuda_host_tests"  # has the CPU's kernels and, compiled for the CPU, CUDA's


def read_filters(path):
    """The check's lists, {variable: filter}, from a CMakeLists.txt."""
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        text = file.read()
    filters = {}
    setting = r'^(?:set\(|string\((APPEND) )(\w+_tests) "([^"]*)"\)'
    for append, name, words in re.findall(setting, text, re.M):
        filters[name] = filters.get(name, "") + words if append else words
    return filters


FILTERS = {**read_filters("tests/CMakeLists.txt"), **read_filters("tests/cuda_host/CMakeLists.txt")}
ORACLE_TESTS = FILTERS["oracle_tests"] + ":" + FILTERS["digits_tests"]
DEVICE_TESTS, NETWORK_TESTS = FILTERS["device_tests"], FILTERS["network_tests"]
RACE_TESTS = FILTERS["tsan_tests"]
SMALL_TESTS = "*/Sampled.*/2:*/Sampled.*/3:Evaluate.*:*/EqualImages.*:*/CudaStrip.*"
# Quick ones.
CALLS = "Evaluate.*:Reduce.*:TotalVariation.*:*MsSsim*"
CUDA_CALLS = "CudaShort.*:*/CudaOrder.*:Evaluate.*:Reduce.*"
TEXTS = "Loss*:Check*:Presets.*:Status.*:Context.*:MapSize.*:Tensor.*:Workspace.*:Wrapper.*:Network*"
NETWORKS = "Network*:Safetensors*:Features.*:FeatureCalls.*:*/FeaturesSampled.*"
CUDA_NETWORKS = "CudaNetwork*:*/CudaNetwork*:Features.*:*/FeaturesSampled.*"


def on(device, name, tests, target=HOST, **options):
    """A run of the tests on a device; what is in capitals goes into the environment."""
    environment = {key: value for key, value in options.items() if key.isupper()}
    others = {key: value for key, value in options.items() if not key.isupper()}
    return Run(f"{device} {name}", target, f"bin/{target} --gtest_filter={tests}",
               {"PXLOSS_TEST_DEVICE": device, **environment}, **others)


REST_CPU = on("cpu", "rest", f"-*Slow*:*Cuda*:{ORACLE_TESTS}", shards=4)
REST_CUDA = on("cuda", "rest", f"{DEVICE_TESTS}:{NETWORK_TESTS}-*Slow*", shards=4)
ALLOCATION = on("cpu", "allocation", "*", "pixloss_allocation_tests")
FORKS = on("cpu", "forks", "*", "pixloss_fork_tests")
ORACLE_CPU = on("cpu", "oracle", ORACLE_TESTS, shards=4)  # in every instruction set
ORACLE_CUDA = on("cuda", "oracle", ORACLE_TESTS, shards=4)
# The tests by the files that the fault is in: the longest prefix counts. The quickest tests come first, then
# the lists of the default check that this program has. The check has more: the program,
# threads, single instruction sets, the address sanitizer. A run's `kinds` are the kinds of faults that it is
# for: ThreadSanitizer is slow to build and to run, and sees what a barrier was for.
LISTS = {
    "src/cuda/": [
        on("cuda", "calls", CUDA_CALLS),
        ORACLE_CUDA,
        on("cuda", "races", RACE_TESTS, "pixloss_cuda_host_tsan", kinds=("barrier", "wait"), limited=False),
        on("cuda:1", "small device", SMALL_TESTS),
        REST_CUDA,
    ],
    "src/cuda/layer": [on("cuda", "networks", CUDA_NETWORKS), REST_CUDA],
    "src/cuda/network": [on("cuda", "networks", CUDA_NETWORKS), REST_CUDA],
    "src/cuda/pool": [on("cuda", "networks", CUDA_NETWORKS), REST_CUDA],
    "src/cpu/": [on("cpu", "calls", CALLS), ORACLE_CPU, REST_CPU, ALLOCATION],
    "src/cpu/features.c": [on("cpu", "networks", NETWORKS), REST_CPU, ALLOCATION],
    "src/cpu/threads.c": [on("cpu", "calls", CALLS), FORKS, REST_CPU, ALLOCATION],
    "src/cpu/layer": [on("cpu", "networks", NETWORKS), REST_CPU],
    "src/network/": [
        on("cpu", "networks", NETWORKS),
        on("cuda", "networks", CUDA_NETWORKS),
        REST_CPU,
        REST_CUDA,
        ALLOCATION,
    ],
    "src/math/": [on("cpu", "calls", CALLS), ORACLE_CPU, REST_CPU, ORACLE_CUDA, REST_CUDA],
    "src/": [
        on("cpu", "texts", TEXTS),
        on("cpu", "calls", CALLS),
        ORACLE_CPU,
        REST_CPU,
        ORACLE_CUDA,
        REST_CUDA,
        ALLOCATION,
    ],
}
OUTCOMES = ("killed", "survived", "compiler", "same code")


def runs_of(file, kind):
    prefix = max((prefix for prefix in LISTS if file.startswith(prefix)), key=len)
    return [run for run in LISTS[prefix] if kind in run.kinds]


class Campaign:
    """The faults of one seed and what became of them."""

    def __init__(self, options):
        self.options = options
        self.lock, self.drawing, self.processes = threading.Lock(), threading.Lock(), Processes()
        self.sources = read_sources(options.only)
        self.faults, self.drawn = draw(self.sources, options.seed), []
        only = "".join("-" + re.sub(r"\W+", "_", prefix).strip("_") for prefix in options.only)
        self.path = os.path.join(options.directory, f"seed-{options.seed}{only}.jsonl")
        self.records, self.running, self.errors = {}, set(), []
        self.commit = git("describe", "--always", "--dirty", "--abbrev=12", "--exclude=*").strip()
        self.judged, self.since = 0, None  # faults of this call, and when the first was begun

    def fault(self, number):
        with self.drawing:
            while len(self.drawn) <= number:
                fault = next(self.faults, None)
                if not fault:
                    return None
                self.drawn.append(fault)
            return self.drawn[number]

    def describe(self, number):
        fault = self.fault(number)
        before, after = fault.lines(self.sources[fault.file])
        return {"seed": self.options.seed, "number": number, "file": fault.file, "line": fault.line,
                "kind": fault.kind, "before": before, "after": after}

    def load(self):
        """Takes the results of earlier calls, which must be of the same faults."""
        if not os.path.exists(self.path):
            return
        with open(self.path) as file:
            for line in file:
                record = json.loads(line)
                expected = self.describe(record["number"])
                if any(record[key] != expected[key] for key in expected if key != "line"):
                    raise Failed(f"{self.path} has faults of another source, as number {record['number']}: "
                                 "move it, or take another seed")
                self.records[record["number"]] = record
        if self.options.again:
            self.records = {n: record for n, record in self.records.items() if record["outcome"] != "survived"}

    def real(self):
        return [record for _, record in sorted(self.records.items()) if record["outcome"] != "same code"]

    def next_number(self):
        """The first fault that nobody has, while those under way may not be enough. So the number of jobs does
        not change which faults are judged."""
        with self.lock:
            known = self.records.keys() | self.running
            number = next(n for n in range(len(known) + 1) if n not in known)
            if len(self.real()) + len(self.running) >= self.options.count or not self.fault(number):
                return None
            self.running.add(number)
            return number

    def runs(self, number):
        fault = self.fault(number)
        return runs_of(fault.file, fault.kind)

    def expected_runs(self):
        """Those of the faults to come, unless some of these turn out to be none."""
        numbers = [n for n in range(self.options.count) if n not in self.records and self.fault(n)]
        return [run for number in numbers for run in self.runs(number)]

    def work(self, k):
        folder = os.path.join(self.options.directory, f"worker-{k}")
        os.makedirs(folder, exist_ok=True)
        try:
            worker = Worker(folder, self.processes, self.sources, self.options)
            worker.prepare(unique(self.expected_runs()), lambda text: self.say(k, text))
            number = self.next_number()
            while number is not None:
                worker.prepare(self.runs(number), lambda text: self.say(k, text))
                self.judge(worker, number)
                number = self.next_number()
        except Stopped:
            pass
        except Exception as error:  # shown at the end; the other workers stop
            self.errors.append(str(error) if isinstance(error, Failed) else repr(error))
            self.processes.stop()

    def judge(self, worker, number):
        start = time.monotonic()
        self.since = self.since or start
        outcome = worker.judge(self.fault(number), self.runs(number))
        record = {**self.describe(number), "outcome": outcome,
                  "seconds": round(time.monotonic() - start, 1), "commit": self.commit}
        with self.lock:
            self.running.discard(number)
            self.records[number] = record
            self.judged += 1
            with open(self.path, "a") as file:
                file.write(json.dumps(record) + "\n")
            self.show_progress()

    def say(self, k, text):
        with self.lock:
            print(f"worker {k}: {text}", file=sys.stderr, flush=True)

    def show_progress(self):
        real = self.real()
        counts = count_outcomes(real)
        left = max(self.options.count - len(real), 0) * (time.monotonic() - self.since) / self.judged
        line = (f"{len(real)}/{self.options.count}, killed {counts['killed']}, compiler {counts['compiler']}, "
                f"survived {counts['survived']}, about {left / 60:.0f} min left")
        start, end = ("\r", "") if sys.stderr.isatty() else ("", "\n")
        print(f"{start}{line:<76}", end=end, file=sys.stderr, flush=True)

    def run(self):
        """Returns whether every fault was judged."""
        os.makedirs(self.options.directory, exist_ok=True)
        self.load()
        # A handler, as join() does not wait for its thread any more once an exception interrupts it.
        for number in signal.SIGINT, signal.SIGTERM:
            signal.signal(number, self.stop)
        threads = [threading.Thread(target=self.work, args=(k,)) for k in range(self.options.jobs)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        print(file=sys.stderr)
        return not self.errors

    def stop(self, *_):
        if not self.processes.stopped:
            self.errors.append("stopped; the same call goes on from here")
        self.processes.stop()


def git(*arguments):
    return subprocess.check_output(["git", *arguments], cwd=ROOT, text=True)


def unique(runs):
    return [run for i, run in enumerate(runs) if run not in runs[:i]]


def count_outcomes(records):
    counts = dict.fromkeys(OUTCOMES, 0)
    for record in records:
        counts[record["outcome"].split(":")[0]] += 1
    return counts


def print_table(title, records, key):
    rows = {}
    for record in records:
        rows.setdefault(key(record), []).append(record)
    print(f"{title:<14}{'drawn':>10}" + "".join(f"{outcome:>10}" for outcome in OUTCOMES))
    for name, part in [*sorted(rows.items()), ("all", records)]:
        print(f"{name:<14}{len(part):>10}" + "".join(f"{count:>10}" for count in count_outcomes(part).values()))
    print()


def print_report(records):
    print_table("kind", records, lambda record: record["kind"])
    print_table("folder", records, lambda record: os.path.dirname(record["file"]))
    survivors = [record for record in records if record["outcome"] == "survived"]
    print("Survived:" if survivors else "None survived.")
    for record in survivors:
        print_fault(record)


def print_fault(record):
    print(f"{record['number']} {record['file']}:{record['line']} {record['kind']}")
    for sign, key in ("-", "before"), ("+", "after"):
        for line in record[key].splitlines() or [""]:
            print(f"  {sign} {line}")


def print_diff(fault, source):
    old, new = source.splitlines(), fault.apply(source).splitlines()
    print("\n".join(difflib.unified_diff(old, new, "a/" + fault.file, "b/" + fault.file, lineterm="")))


def read_sources(prefixes):
    names = [name for name in git("ls-files", "-z", "src").split("\0")
             if name.endswith((".c", ".h", ".cu", ".cuh")) and name.startswith(tuple(prefixes) or "")]
    sources = {}
    for name in names:
        with open(os.path.join(ROOT, name), encoding="utf-8", newline="") as file:
            sources[name] = file.read()
    if not sources:
        sys.exit(f"mutate.py: no source begins with {' or '.join(prefixes)}")
    return sources


def parse_options(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--seed", type=int, required=True)
    add("--count", type=int, default=100, help="faults to judge, without those that change no code (100)")
    add("--jobs", type=int, default=2, help="workers (2)")
    add("--compilers", type=int, help="compilers at a time in a worker (processors by workers)")
    add("--only", nargs="+", default=[], metavar="PREFIX", help="faults in files whose paths begin so")
    add("--again", action="store_true", help="judge those anew that survived")
    add("--list", action="store_true", help="list the faults and stop")
    add("--show", type=int, metavar="N", help="print fault N as a diff and stop")
    add("--directory", default=os.path.join(ROOT, "build", "mutate"))
    options = parser.parse_args(arguments)
    options.directory = os.path.abspath(options.directory)
    options.compilers = options.compilers or max(1, (os.cpu_count() or 1) // options.jobs)
    return options


def print_drawn(campaign, options):
    """What --list and --show ask for."""
    for number in range(options.count) if options.list else [options.show]:
        fault = campaign.fault(number)
        if fault and options.list:
            print_fault(campaign.describe(number))
        elif fault:
            print_diff(fault, campaign.sources[fault.file])


def main(arguments):
    options = parse_options(arguments)
    campaign = Campaign(options)
    if options.list or options.show is not None:
        print_drawn(campaign, options)
        return 0
    try:
        done = campaign.run()
    except Failed as error:
        sys.exit(f"mutate.py: {error}")
    print_report([record for _, record in sorted(campaign.records.items())])
    for error in campaign.errors:
        print(f"mutate.py: {error}", file=sys.stderr)
    return 0 if done else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
