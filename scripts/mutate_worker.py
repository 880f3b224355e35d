"""Builds and tests one fault at a time, for mutate.py: processes that always end, a folder for each worker."""
import filecmp
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import threading
import time
from typing import NamedTuple

from mutate_faults import KINDS

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CONFIGURE = [
    "-DPIXLOSS_WERROR=ON", "-DPIXLOSS_CUDA=ON", "-DPIXLOSS_CUDA_ARCHITECTURES=90-real",
    "-DPIXLOSS_BUILD_CLI=OFF", "-DPIXLOSS_BUILD_BENCH=OFF", "-DPIXLOSS_SHARED=OFF", "-DPIXLOSS_INSTALL=OFF",
]
TEST_MEMORY = 12 << 20  # KiB of addresses for a test
TEST_FILE = 1 << 19  # blocks of 512 bytes that a test may write into one file
SLOWER = 6  # a run's time limit: so many times as long as without a fault,
AT_LEAST = 60  # and so many seconds
BUILD_SECONDS = 3600


class Run(NamedTuple):
    """A program with its arguments, in the build's folder. Shards, of Google Test, run one after another."""
    name: str
    target: str  # ninja's
    command: str
    environment: dict = {}
    shards: int = 1
    kinds: tuple = KINDS  # the kinds of faults that it is run for
    limited: bool = True  # in memory: the sanitizers reserve terabytes of addresses


class Stopped(Exception):
    """The user stops the script."""


class Failed(Exception):
    """Something does not work without a fault."""


class Processes:
    """Starts programs; ends them, and all that they started, at the time limit or when the user stops."""

    def __init__(self):
        self.lock, self.stopped, self.running = threading.Lock(), False, {}

    def stop(self):
        with self.lock:
            self.stopped = True
            for process, end in self.running.items():
                if process.returncode is None:
                    self.send(process, end)

    @staticmethod
    def send(process, end):
        try:
            os.killpg(process.pid, end)
        except ProcessLookupError:
            pass

    def run(self, command, log, seconds, end=signal.SIGKILL, **options):
        """The exit status, or None at the time limit. `end` is the signal that ends the program."""
        with self.lock:
            if self.stopped:
                raise Stopped
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log,
                                       stderr=subprocess.STDOUT, start_new_session=True, **options)
            self.running[process] = end
        try:
            status = process.wait(seconds)
        except subprocess.TimeoutExpired:
            status = None
            self.send(process, end)
            process.wait()
        with self.lock:
            del self.running[process]
            if self.stopped:
                raise Stopped
        return status


class Worker:
    """A copy of the source, its build, and the build's files as they are without a fault."""

    def __init__(self, folder, processes, sources, options):
        self.source, self.build = os.path.join(folder, "source"), os.path.join(folder, "build")
        self.clean = os.path.join(folder, "unchanged")
        self.log, self.checks = os.path.join(folder, "log"), os.path.join(folder, "checks.json")
        self.processes, self.sources, self.options, self.prepared = processes, sources, options, []
        self.seconds = {}  # of each shard, by the run as text: without a fault

    # ---- Without a fault

    def prepare(self, runs, say):
        """Builds and tests the source as it is, as far as runs need it and no earlier call has done so."""
        runs = [run for run in runs if run not in self.prepared]
        if not runs:
            return
        self.copy_source()
        for target in dict.fromkeys(run.target for run in runs):
            say(f"builds {target}")
            if not os.path.exists(os.path.join(self.build, "build.ninja")):
                self.must(["cmake", "--preset", "release", "-B", self.build, *CONFIGURE], "cannot be configured")
            self.must(self.build_command(target), f"{target} cannot be built", signal.SIGTERM)
        self.keep_outputs()
        for run in runs:
            self.check(run, say)
        say("ready")

    def copy_source(self):
        """Rewrites what differs: a file that keeps its time is not compiled again."""
        names = subprocess.check_output(["git", "ls-files", "-z"], cwd=ROOT, text=True).split("\0")
        self.remove_others({os.path.join(self.source, name) for name in names})
        for name in filter(None, names):
            old, new = os.path.join(ROOT, name), os.path.join(self.source, name)
            if not os.path.isfile(old) or os.path.exists(new) and filecmp.cmp(old, new, shallow=False):
                continue
            os.makedirs(os.path.dirname(new), exist_ok=True)
            shutil.copyfile(old, new)
            shutil.copymode(old, new)
        cuda = os.path.join(self.source, "build", "cuda")  # what scripts/setup.sh brought
        if not os.path.lexists(cuda):
            os.makedirs(os.path.dirname(cuda), exist_ok=True)
            os.symlink(os.path.join(ROOT, "build", "cuda"), cuda)

    def remove_others(self, names):
        """What an earlier call copied and is no more: CMake would find it."""
        for folder, folders, files in os.walk(self.source):
            if folder == self.source and "build" in folders:
                folders.remove("build")
            for path in (os.path.join(folder, file) for file in files):
                if path not in names:
                    os.remove(path)

    def must(self, command, complaint, end=signal.SIGKILL):
        with open(self.log, "wb") as log:
            status = self.processes.run(command, log, None, end, cwd=self.source)
        if status:
            raise Failed(f"without a fault, {complaint}: see {self.log}\n{self.tail()}")

    def build_command(self, target):
        """To be ended by SIGTERM: ninja gives each compiler a process group, and ends these itself."""
        return ["ninja", "-C", self.build, "-j", str(self.options.compilers), target]

    def outputs(self):
        for folder, _, names in os.walk(self.build):
            for name in names:
                path = os.path.join(folder, name)
                if name.endswith((".o", ".a", ".so")) or folder == os.path.join(self.build, "bin"):
                    yield path

    def kept(self, path):
        return os.path.join(self.clean, os.path.relpath(path, self.build))

    @staticmethod
    def is_same_file(a, b):
        a, b = os.stat(a), os.stat(b)
        return (a.st_mtime_ns, a.st_size) == (b.st_mtime_ns, b.st_size)

    def keep_outputs(self):
        for path in self.outputs():
            copy = self.kept(path)
            if not os.path.exists(copy) or not self.is_same_file(path, copy):
                os.makedirs(os.path.dirname(copy), exist_ok=True)
                shutil.copy2(path, copy)

    def restore_outputs(self):
        """Puts the objects and programs back with their times, so that nothing is compiled for it."""
        for folder, _, names in os.walk(self.clean):
            for name in names:
                copy = os.path.join(folder, name)
                path = os.path.join(self.build, os.path.relpath(copy, self.clean))
                if not os.path.exists(path) or not self.is_same_file(path, copy):
                    shutil.copy2(copy, path)

    def check(self, run, say):
        """Times a run, which must pass. An earlier call's times stand while the program is the same."""
        with open(os.path.join(self.build, run.command.split()[0]), "rb") as file:
            state = hashlib.sha256(repr(run).encode() + file.read()).hexdigest()
        known = self.load_checks()
        if state not in known:
            say(f"tests {run.name}")
            known[state] = [self.check_shard(run, shard) for shard in range(run.shards)]
            with open(self.checks, "w") as file:
                json.dump(known, file)
        self.seconds[str(run)] = known[state]
        self.prepared.append(run)

    def check_shard(self, run, shard):
        start = time.monotonic()
        failed = self.run_shard(run, shard, None)
        if not failed and run.shards == 1 and "Running 0 tests" in self.output():
            failed = "no test fits the filter"
        if failed:
            raise Failed(f"without a fault, {run.name} fails: {failed}\n{run.command}\n"
                         f"see {self.log}\n{self.tail()}")
        return time.monotonic() - start

    def load_checks(self):
        try:
            with open(self.checks) as file:
                return json.load(file)
        except (OSError, ValueError):
            return {}

    # ---- With a fault

    def judge(self, fault, runs):
        """The outcome. However this ends, the source and the build are as before."""
        path = os.path.join(self.source, fault.file)
        before = os.stat(path)
        try:
            with open(path, "w", encoding="utf-8", newline="") as file:
                file.write(fault.apply(self.sources[fault.file]))
            return self.judge_written(runs)
        finally:
            self.restore_outputs()  # before the source: what is interrupted in between is built again
            with open(path, "w", encoding="utf-8", newline="") as file:
                file.write(self.sources[fault.file])
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    def judge_written(self, runs):
        built = set()
        for run in runs:
            if run.target not in built:
                with open(self.log, "wb") as log:
                    status = self.processes.run(self.build_command(run.target), log, BUILD_SECONDS,
                                                signal.SIGTERM)
                if status != 0:
                    return "compiler" if status else "killed: the compiler takes too long"
                if not built and not self.code_differs():
                    return "same code"
                built.add(run.target)
            for shard in range(run.shards):
                limit = max(AT_LEAST, SLOWER * self.seconds[str(run)][shard])
                failed = self.run_shard(run, shard, limit)
                if failed:
                    return f"killed: {run.name}: {failed}"
        return "survived"

    def code_differs(self):
        for path in self.outputs():
            copy = self.kept(path)
            if not path.endswith(".o") or os.path.exists(copy) and self.is_same_file(path, copy):
                continue
            if not os.path.exists(copy) or not filecmp.cmp(path, copy, shallow=False):
                return True
        return False

    def run_shard(self, run, shard, limit):
        """Why a run fails, by its first test that does; None if it passes."""
        # The processors' time as well: should this script be killed, what hangs ends all the same.
        limits = [f"-f {TEST_FILE}", "-c 0", *([f"-v {TEST_MEMORY}"] if run.limited else []),
                  *([f"-t {int(limit) * (os.cpu_count() or 1)}"] if limit else [])]
        shell = "".join(f"ulimit {words}; " for words in limits) + f"exec {run.command}"
        # Workers share the processors: threads that wait must not spin.
        inherited = {name: value for name, value in os.environ.items()
                     if not name.startswith("PXLOSS_")}
        environment = {**inherited, "OMP_WAIT_POLICY": "passive", **run.environment,
                       "GTEST_FAIL_FAST": "1"}
        if run.shards > 1:
            environment.update(GTEST_TOTAL_SHARDS=str(run.shards), GTEST_SHARD_INDEX=str(shard))
        with open(self.log, "wb") as log:
            status = self.processes.run(["/bin/sh", "-f", "-c", shell], log, limit, cwd=self.build,
                                        env=environment)
        return None if status == 0 else reason(self.output(), status)

    def output(self):
        with open(self.log, errors="replace") as file:
            return file.read()

    def tail(self):
        return "\n".join(self.output().splitlines()[-20:])


def reason(output, status):
    """The test at which a program failed; after a crash, the last that began: --gtest_brief would not name it."""
    failed = re.search(r"^\[  FAILED  \] ([^\s,]+)", output, re.M)
    begun = re.findall(r"^\[ RUN      \] (\S+)", output, re.M)
    name = failed[1] if failed else begun[-1] if begun else "before the first test"
    if status is None:
        return f"{name} (timeout)"
    return name if status > 0 else f"{name} (signal {-status})"
