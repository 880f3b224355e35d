#!/usr/bin/env python3
"""Google Benchmark's JSON, of the CPU's cases or of a GPU's, to Markdown tables of medians, and to JSON that may be published.

    table.py RAW.json --commit HASH [--json CLEAN.json] [--partial] > TABLE.md

CLEAN.json keeps the aggregates; what would tell one machine from another of its kind (host name, paths) is left out.
"""
import argparse
import json
import re
import subprocess
import sys
from dataclasses import dataclass

import trust

PRIVATE = ("host_name", "executable", "caches", "library_build_type")  # the last is Google Benchmark's own, not pixloss's
UNITS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1}


def significant(value):
    """Three digits, and no power of ten."""
    return f"{value:.{max(0, 3 - len(str(int(value))))}f}"


def duration(seconds):
    for unit, size in (("s", 1), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size:
            return f"{significant(seconds / size)} {unit}"
    return f"{significant(seconds * 1e9)} ns"


def driver():
    """The NVIDIA driver's version, as the machine that runs this has it."""
    try:
        said = subprocess.run(["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"], stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, text=True, timeout=30, check=True).stdout.split()
    except (OSError, subprocess.SubprocessError):
        said = []
    return said[0] if said else None


def name_parts(run):
    """[device, loss, type, size, what] of a case, [device, yardstick] of one without a size."""
    return re.sub(r"/(real_time|manual_time)$", "", run["run_name"]).split("/")


def seconds(run):
    """The median of the samples, as all rates and ratios; without samples Google Benchmark's time, a mean."""
    return run["median"] if "median" in run else run["real_time"] * UNITS[run["time_unit"]]


@dataclass
class Result:
    """A case's aggregates over its repetitions: of each counter the median, the least, and (90th - 10th percentile) / median."""
    median: dict
    least: dict
    between: dict

    def spread(self):
        """The larger of that within a repetition and that between repetitions."""
        return max(self.median.get("spread", 0), self.between.get("median", 0))

    def spread_of(self, yardstick):
        """The same for "copy" or "fma" beside the case; None where there is none."""
        within = self.median.get(f"{yardstick}_spread")
        return None if within is None else max(within, self.between.get(f"{yardstick}_median", 0))

    def share(self, yardstick):
        """"12 %" of the copy or the multiply-adds; "-" where either side varied too much; "" without such a yardstick."""
        spread = self.spread_of(yardstick)
        if spread is None:
            return ""
        share = self.median.get(f"of_{yardstick}")  # left out by pixloss_bench where each repetition varied too much
        return trust.ratio(f"{100 * share:.0f} %", self.spread(), spread) if share is not None else "-"


def results_of(runs):
    """{name: Result} in the order of the list, which interleaving has shuffled."""
    kinds = {"median": {}, "min": {}, "spread": {}}
    for run in sorted(runs, key=lambda run: run["family_index"]):
        if run.get("aggregate_name") in kinds:
            kinds[run["aggregate_name"]][run["run_name"]] = run
    return {name: Result(median, kinds["min"].get(name, {}), kinds["spread"].get(name, {}))
            for name, median in kinds["median"].items()}


# ---- Columns: title, and a result's cell. A column without a cell is left out of a table -------------------------------------

def sized(number):
    def cell(result):
        parts = name_parts(result.median)
        return parts[number].replace(",", ", ") if len(parts) == 5 else ""
    return cell


def loss(result):
    name = name_parts(result.median)[1]
    return name if name in ("copy", "sweep", "fma", "memcpy") else f"`{name}`"


def rate(counter, unit):
    return lambda result: significant(result.median[counter] / unit) if counter in result.median else ""


def spread_beside(yardstick):
    def cell(result):
        spread = result.spread_of(yardstick)
        return "" if spread is None else trust.percent(spread)
    return cell


COLUMNS = [("loss", loss), ("type", sized(2)), ("size", sized(3)), ("", sized(4)),
           ("time", lambda result: duration(seconds(result.median))),
           ("fastest", lambda result: duration(result.least["min"]) if "min" in result.least else ""),
           ("spread", lambda result: trust.percent(result.spread())),
           ("Mpx/s", rate("px/s", 1e6)), ("Mpx/s x taps", rate("px*taps/s", 1e6)),
           ("GB/s", rate("B/s", 1e9)), ("of copy", lambda result: result.share("copy")), ("copy's spread", spread_beside("copy")),
           ("GFMA/s", lambda result: "" if "px/s" in result.median else rate("FMA/s", 1e9)(result)),
           ("of FMA", lambda result: result.share("fma"))]
TEXTS = 4  # columns that are aligned to the left


def table(results):
    rows = [[cell(result) for _, cell in COLUMNS] for result in results]
    used = [i for i in range(len(COLUMNS)) if i < TEXTS or any(row[i] for row in rows)]
    lines = ["| " + " | ".join(COLUMNS[i][0] for i in used) + " |",
             "|" + "|".join("---" if i < TEXTS else "---:" for i in used) + "|"]
    return "\n".join(lines + ["| " + " | ".join(row[i] for i in used) + " |" for row in rows])


def tables(results):
    """A table for each group of the list, below the group's name, which is Google Benchmark's label."""
    groups = {}
    for result in results:
        groups.setdefault(result.median.get("label", ""), []).append(result)
    texts = [(f"### {name}\n\n" if name else "") + table(group) for name, group in groups.items()]
    if any(result.share(yardstick) == "-" for result in results for yardstick in ("copy", "fma")):
        texts.append(trust.FOOTNOTE)
    return "\n\n".join(texts)


# ---- Heading -------------------------------------------------------------------------------------------------------------------

def load_of(results):
    """The arguments of trust.load_line()."""
    context, end = results["context"], results.get("end", {})
    at_start = float(context["others_at_start"]) if "others_at_start" in context else None
    return (context.get("load_avg") or [None])[0], end.get("load_avg"), at_start, end.get("others_meanwhile")


def warnings(results, cases):
    found = trust.load_warnings(*load_of(results)[2:])
    unsteady = sum(not trust.is_steady(case.spread()) for case in cases)
    if unsteady:
        found.append(f"{unsteady} of {len(cases)} cases varied by more than {trust.percent(trust.SPREAD_LIMIT)}")
    return found


def heading(results, cases):
    context, repetitions = results["context"], cases[0].median["repetitions"]
    if "l2_bytes" in context:
        machine = (f"{context['device']}, L2 {int(context['l2_bytes']) / 2**20:.0f} MiB, driver {context.get('driver', 'unknown')}; "
                   f"CUDA runtime {context['cuda_runtime']}")
        method = (f"Medians of {repetitions} repetitions, timed by CUDA events. The images of a case take turns with copies of them "
                  f"over 4 times the L2 and more, but for *warm* and *graph*. Made by `bench/table.py`")
    else:
        machine = f"{context['cpu']}, {context['num_cpus']} cores. {context['device']}"
        method = f"Medians of {repetitions} interleaved repetitions. Made by `scripts/bench.sh`"
    load = trust.load_line(*load_of(results))
    lines = [f"{machine}; pixloss {context['pixloss']}, commit {context['commit']}; {context['date']}.",
             f"{method}; what the columns mean: [bench/README.md](../README.md). {load[0].upper()}{load[1:]}."]
    return "\n\n".join(lines + [f"**Warning:** {warning}." for warning in warnings(results, cases)])


def failures(results):
    """{case: message} of those that were not timed."""
    return {"/".join(name_parts(run)): run.get("error_message", "") for run in results["benchmarks"] if run.get("error_occurred")}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("raw")
    parser.add_argument("--commit", required=True)
    parser.add_argument("--partial", action="store_true", help="where cases failed their check, list them below the others' table")
    parser.add_argument("--json", help="where the cleaned results go")
    options = parser.parse_args()
    with open(options.raw, encoding="utf-8") as file:
        results = json.load(file)
    results["benchmarks"].sort(key=lambda run: run["family_index"])
    cases = list(results_of(results["benchmarks"]).values())
    failed = failures(results)
    if not cases or (failed and not options.partial):
        sys.exit(f"table.py: {options.raw}: a case failed its check, or there are no medians (--benchmark_repetitions)")
    context = {key: value for key, value in results["context"].items() if key not in PRIVATE}
    if "l2_bytes" in context:
        context["driver"] = driver() or context.get("driver", "unknown")
    results["context"] = {"cpu": trust.cpu_model(), "commit": options.commit, **context}
    print(heading(results, cases) + "\n\n" + tables(cases))
    if failed:
        print("\nNot timed:\n\n" + "\n".join(f"- `{name}`: {message}" for name, message in failed.items()))
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(results, file, indent=1)
            file.write("\n")


if __name__ == "__main__":
    main()
