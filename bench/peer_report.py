"""What peers.py prints and writes: rows of peers, pixloss's figures of the same session beside them, and how far to trust both.

A row has peer, loss, size, what ("value", "gradient"), and seconds, minimum, spread, px/s, version, threads; or error.
"""
import contextlib
import datetime
import importlib.metadata
import json
import math
import platform
import re
import statistics
import subprocess

import trust
from table import results_of, seconds

PACKAGES = ["torch", "triton", "fused-ssim", "pytorch-msssim", "torchmetrics", "piq", "kornia", "scikit-image",
            "opencv-python-headless", "numpy"]


def timing(times, size):
    """The figures of a row, from the seconds of one call in each sample."""
    middle = statistics.median(times)
    return {"seconds": middle, "minimum": min(times), "spread": trust.spread(times), "px/s": math.prod(size) / middle}


def version(package):
    """"torch 2.13.0"; the name alone if it is not an installed package."""
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        return f"{package} {importlib.metadata.version(package)}"
    return package


# ---- pixloss -------------------------------------------------------------------------------------------------------------------

def single_runs(runs):
    """{name: (seconds, spread)} of runs without repetitions."""
    return {run["run_name"]: (seconds(run), run.get("spread")) for run in runs
            if "aggregate_name" not in run and not run.get("error_occurred")}


def pixloss_results(runs):
    """{(loss, size, what): (seconds, spread)}. Other types than f32 are named: "ssim in f16"."""
    found = {name: (seconds(result.median), result.spread()) for name, result in results_of(runs).items()} or single_runs(runs)
    results = {}
    for name, result in found.items():
        parts = re.sub(r"/(real_time|manual_time)$", "", re.sub(r"/(iterations|repeats):\d+", "", name)).split("/")
        if len(parts) == 5:
            loss = parts[1] if parts[2] == "f32" else f"{parts[1]} in {parts[2]}"
            results[loss, parts[3], parts[4]] = result
    return results


def add_ratios(rows, path):
    """Adds pixloss's figures from the file to the rows, and the ratio where both sides are steady. Returns pixloss's device."""
    with open(path, encoding="utf-8") as file:
        raw = json.load(file)
    results = pixloss_results(raw["benchmarks"])
    for row in rows:
        ours, spread = results.get((row["loss"], row["size"], row["what"]), (None, None))
        if ours is None or "seconds" not in row:
            continue
        row["pixloss_seconds"], row["pixloss_spread"] = ours, spread
        if trust.is_steady(row["spread"], spread):
            row["ratio"] = row["seconds"] / ours
    return raw["context"].get("device", "unknown")


# ---- Text ----------------------------------------------------------------------------------------------------------------------

def versions():
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def driver_version():
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        return subprocess.run(["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"], check=True, timeout=30,
                              stdout=subprocess.PIPE, text=True).stdout.splitlines()[0].strip()
    return "unknown"


def context(device, load, on_cuda):
    """To be called after the last case, with the trust.Load from before the first."""
    return {"device": device, "driver": driver_version() if on_cuda else None,
            "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"), "versions": versions(),
            "load_avg_at_start": load.average_at_start, "load_avg_at_end": trust.average(), "others_at_start": load.at_start,
            "others_meanwhile": load.meanwhile()}


def beside(row):
    """Cells: pixloss's time and spread, how many times as fast it is."""
    if "pixloss_seconds" not in row:
        return ["", "", ""]
    ratio = f"{row['ratio']:.2f}" if "ratio" in row else "-"
    return [f"{row['pixloss_seconds'] * 1e6:.1f} µs", trust.percent(row["pixloss_spread"]), ratio]


def table(rows):
    lines = ["| peer | version | threads | computes | size | | time | fastest | spread | Mpx/s | pixloss | its spread | "
             "times faster |",
             "|---|---|--:|---|---|---|--:|--:|--:|--:|--:|--:|--:|"]
    for row in rows:
        if "error" in row:
            continue
        threads = "" if row["threads"] is None else str(row["threads"])
        cells = [row["peer"], row["version"], threads, f"`{row['loss']}`", row["size"], row["what"],
                 f"{row['seconds'] * 1e6:.1f} µs", f"{row['minimum'] * 1e6:.1f} µs", trust.percent(row["spread"]), f"{row['px/s'] / 1e6:.0f}"]
        lines.append("| " + " | ".join(cells + beside(row)) + " |")
    return "\n".join(lines)


def text(about, rows):
    load = [about[key] for key in ("load_avg_at_start", "load_avg_at_end", "others_at_start", "others_meanwhile")]
    driver = f", driver {about['driver']}" if about["driver"] else ""
    beside_pixloss = f" Beside pixloss on: {about['pixloss']}." if "pixloss" in about else ""
    found = ", ".join(f"{name} {value}" for name, value in about["versions"].items())
    parts = [f"{about['device']}{driver}. {found}; {about['date']}.{beside_pixloss}", trust.load_line(*load).capitalize() + "."]
    parts += [f"**Warning:** {warning}." for warning in trust.load_warnings(*load[2:])]
    parts.append(table(rows))
    if any("pixloss_seconds" in row and "ratio" not in row for row in rows):
        parts.append(trust.FOOTNOTE)
    left_out = [f"- {row['peer']}, {row['size']}, {row['what']}: {row['error']}" for row in rows if "error" in row]
    if left_out:
        parts.append("Left out:\n\n" + "\n".join(left_out))
    return "\n\n".join(parts)
