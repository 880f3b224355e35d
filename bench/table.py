#!/usr/bin/env python3
"""Google Benchmark's JSON, of the CPU's cases or of a GPU's, to a Markdown table of medians, and to JSON that may be published.

    table.py RAW.json --commit HASH [--json CLEAN.json] [--partial] > TABLE.md

CLEAN.json keeps the aggregates; what would tell one machine from another of its kind (host name, paths) is left out.
"""
import argparse
import json
import platform
import re
import subprocess
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


def driver():
    """The NVIDIA driver's version, as the machine that runs this has it."""
    try:
        said = subprocess.run(["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"], stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, text=True, timeout=30, check=True).stdout.split()
    except (OSError, subprocess.SubprocessError):
        said = []
    return said[0] if said else None


def name_parts(run):
    """[device, loss, type, size, what] of a case, [device, roof] of a roof of the card."""
    return re.sub(r"/(real_time|manual_time)$", "", run["run_name"]).split("/")


def row(median, spread):
    parts = name_parts(median)
    seconds = median["real_time"] * {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1}[median["time_unit"]]
    _, loss, dtype, size, what = parts if len(parts) == 5 else (*parts, "", "", "")
    loss = loss if loss == "copy" or len(parts) == 2 else f"`{loss}`"
    cells = [loss, dtype, size.replace(",", ", "), what, duration(seconds)]
    cells.append(significant(median["px/s"] / 1e6) if "px/s" in median else "")
    cells.append(significant(median["B/s"] / 1e9) if "B/s" in median else f"{significant(median['FMA/s'] / 1e9)} GFMA/s")
    cells.append(f"{100 * median['of_copy']:.0f} %" if "of_copy" in median else "")
    return "| " + " | ".join(cells + [f"{100 * spread:.1f} %"]) + " |"


def table(results):
    of_kind = {kind: {run["run_name"]: run for run in results["benchmarks"] if run.get("aggregate_name") == kind}
               for kind in ("median", "cv")}
    lines = ["| loss | type | size | | time | Mpx/s | GB/s | of copy | spread |",
             "|---|---|---|---|---:|---:|---:|---:|---:|"]
    lines += [row(run, of_kind["cv"][name]["real_time"]) for name, run in of_kind["median"].items()]  # in the list's order: see main
    return "\n".join(lines)


def gpu_heading(context, repetitions):
    l2 = int(context["l2_bytes"]) / 2**20
    return (f"{context['device']}, L2 {l2:.0f} MiB, driver {context.get('driver', 'unknown')}; CUDA runtime "
            f"{context['cuda_runtime']}; pixloss {context['pixloss']}, commit {context['commit']}; {context['date']}.\n\n"
            f"Medians of {repetitions} repetitions, timed by CUDA events; spread: their standard deviation over their mean. The "
            f"images of a case take turns with copies of them over 4 times the L2 and more, but for *warm* and *graph*. Made by "
            f"`bench/table.py`; what the columns mean: [bench/README.md](../README.md).")


def failures(results):
    """{case: message} of those that were not timed."""
    return {"/".join(name_parts(run)): run.get("error_message", "") for run in results["benchmarks"] if run.get("error_occurred")}


def heading(context, repetitions):
    if "l2_bytes" in context:
        return gpu_heading(context, repetitions)
    load = ", ".join(f"{value:.1f}" for value in context.get("load_avg", []))
    return (f"{context['cpu']}, {context['num_cpus']} cores. {context['device']}; pixloss {context['pixloss']}, "
            f"commit {context['commit']}; {context['date']}.\n\n"
            f"Medians of {repetitions} interleaved repetitions; spread: their standard deviation over their mean; load average at "
            f"the start {load or 'unknown'}. Made by `scripts/bench.sh`; what the columns mean: [bench/README.md](../README.md).")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("raw")
    parser.add_argument("--commit", required=True)
    parser.add_argument("--partial", action="store_true", help="where cases failed their check, list them below the others' table")
    parser.add_argument("--json", help="where the cleaned results go")
    options = parser.parse_args()
    with open(options.raw, encoding="utf-8") as file:
        results = json.load(file)
    results["benchmarks"].sort(key=lambda run: run["family_index"])  # interleaving has shuffled them
    medians = [run for run in results["benchmarks"] if run.get("aggregate_name") == "median"]
    failed = failures(results)
    if not medians or (failed and not options.partial):
        sys.exit(f"table.py: {options.raw}: a case failed its check, or there are no medians (--benchmark_repetitions)")
    context = {key: value for key, value in results["context"].items() if key not in PRIVATE}
    if "l2_bytes" in context:
        context["driver"] = driver() or context.get("driver", "unknown")
    results["context"] = context = {"cpu": cpu_model(), "commit": options.commit, **context}
    print(heading(context, medians[0]["repetitions"]) + "\n\n" + table(results))
    if failed:
        print("\nNot timed:\n\n" + "\n".join(f"- `{name}`: {message}" for name, message in failed.items()))
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(results, file, indent=1)
            file.write("\n")


if __name__ == "__main__":
    main()
