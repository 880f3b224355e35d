#!/usr/bin/env python3
"""Google Benchmark's JSON to a Markdown table of medians, and to JSON that may be published.

    table.py RAW.json --commit HASH [--json CLEAN.json] > TABLE.md

CLEAN.json keeps the aggregates; what would tell one machine from another of its kind (host name, paths) is left out.
"""
import argparse
import json
import platform
import sys

PRIVATE = ("host_name", "executable", "caches", "library_build_type")  # the last is Google Benchmark's own, not pixloss's


def cpu_model():
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as lines:
            for line in lines:
                if line.lower().startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.machine()


def significant(value):
    """Three digits, and no power of ten."""
    return f"{value:.{max(0, 3 - len(str(int(value))))}f}"


def duration(seconds):
    for unit, size in (("s", 1), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size:
            return f"{significant(seconds / size)} {unit}"
    return f"{significant(seconds * 1e9)} ns"


def row(median, spread):
    _, loss, dtype, size, what = median["run_name"].removesuffix("/real_time").split("/")
    seconds = median["real_time"] * {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1}[median["time_unit"]]
    loss = loss if loss == "copy" else f"`{loss}`"
    cells = [loss, dtype, size.replace(",", ", "), what, duration(seconds), significant(median["px/s"] / 1e6),
             significant(median["B/s"] / 1e9), f"{100 * median['of_copy']:.0f} %", f"{100 * spread:.1f} %"]
    return "| " + " | ".join(cells) + " |"


def table(results):
    of_kind = {kind: {run["run_name"]: run for run in results["benchmarks"] if run.get("aggregate_name") == kind}
               for kind in ("median", "cv")}
    lines = ["| loss | type | size | | time | Mpx/s | GB/s | of copy | spread |",
             "|---|---|---|---|---:|---:|---:|---:|---:|"]
    lines += [row(run, of_kind["cv"][name]["real_time"]) for name, run in of_kind["median"].items()]  # in the list's order: see main
    return "\n".join(lines)


def heading(context, repetitions):
    load = ", ".join(f"{value:.1f}" for value in context.get("load_avg", []))
    return (f"{context['cpu']}, {context['num_cpus']} cores. {context['device']}; pixloss {context['pixloss']}, "
            f"commit {context['commit']}; {context['date']}.\n\n"
            f"Medians of {repetitions} interleaved repetitions; spread: their standard deviation over their mean; load average at "
            f"the start {load or 'unknown'}. Made by `scripts/bench.sh`; what the columns mean: [bench/README.md](../README.md).")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("raw")
    parser.add_argument("--commit", required=True)
    parser.add_argument("--json", help="where the cleaned results go")
    options = parser.parse_args()
    with open(options.raw, encoding="utf-8") as file:
        results = json.load(file)
    results["benchmarks"].sort(key=lambda run: run["family_index"])  # interleaving has shuffled them
    medians = [run for run in results["benchmarks"] if run.get("aggregate_name") == "median"]
    if not medians or any(run.get("error_occurred") for run in results["benchmarks"]):
        sys.exit(f"table.py: {options.raw}: a case failed its check, or there are no medians (--benchmark_repetitions)")
    context = {key: value for key, value in results["context"].items() if key not in PRIVATE}
    results["context"] = context = {"cpu": cpu_model(), "commit": options.commit, **context}
    print(heading(context, medians[0]["repetitions"]) + "\n\n" + table(results))
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(results, file, indent=1)
            file.write("\n")


if __name__ == "__main__":
    main()
