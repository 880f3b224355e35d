#!/usr/bin/env python3
"""The table and the plot of bench.py's results.

    python/bench/table.py results/cpu.json [--readme ../README.md] [--plot results/cpu.svg]

--readme puts the table between its markers there; the plot takes matplotlib."""

import argparse
import json
import sys

BEGIN, END = "<!-- speeds: bench/table.py -->\n", "<!-- end of speeds -->\n"


def time(us):
    return f"{us:.0f} µs" if us < 1000 else f"{us / 1000:.3g} ms"


def rows(data):
    for case in data["results"]:
        if case["loss"].startswith("overhead"):
            continue
        times = case["times"]
        others = {name: t for name, t in times.items() if name != "pixloss"}
        fastest = min(others, key=lambda name: others[name]["us"])
        cells = [
            f"`{case['loss']}`",
            " ".join(filter(None, (case["size"], case["layout"]))),
            time(times["pixloss"]["us"]),
            f"{fastest}, {time(others[fastest]['us'])}",
            ratio(others[fastest]),
            ratio(others.get("pytorch-msssim")),
        ]
        yield "| " + " | ".join(cells) + " |"


def ratio(found):
    return f"{found['ratio']:.3g} ({found['p10']:.3g}-{found['p90']:.3g})" if found else ""


def table(data):
    lines = [
        f"{data['processor']}, threads: {data['threads']}, torch {data['versions']['torch']}, "
        f"{data['date']}; load of the machine {data['load']:.1f}. Forward and backward; ratios: "
        "median over rounds (10th to 90th percentile).",
        "",
        "| loss | size | pixloss | fastest other | times pixloss | pytorch-msssim, times pixloss |",
        "|---|---|--:|---|--:|--:|",
    ]
    lines += rows(data)
    for case in data["results"]:
        if case["loss"].startswith("overhead"):
            name = "compiled" if "compiled" in case["loss"] else "eager"
            lines += [
                "",
                f"`l1` at {case['size']}, {name}: {time(case['times']['pixloss']['us'])}, "
                f"{case['times']['mse_loss']['pixloss_more_us']:.0f} µs more than torch's "
                "`mse_loss`.",
            ]
    for size in dict.fromkeys(m["size"] for m in data["memory"]):
        found = {
            m["name"]: m["kib"]
            for m in data["memory"]
            if m["size"] == size and m["kib"] is not None
        }
        lines += [
            "",
            f"Peak memory of a step of `ssim` at {size} beyond images and gradient: "
            + ", ".join(f"{name} {kib / 1024:.1f} MiB" for name, kib in found.items())
            + ".",
        ]
    return "\n".join(lines) + "\n"


def put(path, text):
    with open(path, encoding="utf-8") as file:
        before, _, rest = file.read().partition(BEGIN)
    if END not in rest:
        sys.exit(f"{path} has no place for the table, between {BEGIN.strip()} and {END.strip()}")
    with open(path, "w", encoding="utf-8") as file:
        file.write(before + BEGIN + text + END + rest.partition(END)[2])


def plot(path, data):
    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as plt

    cases = [case for case in data["results"] if case["loss"] == "ssim"]
    names = list(dict.fromkeys(name for case in cases for name in case["times"]))
    figure, axes = plt.subplots(figsize=(9, 4))
    for i, name in enumerate(names):
        at = [
            (x, case["times"][name]["us"]) for x, case in enumerate(cases) if name in case["times"]
        ]
        axes.bar(
            [x + (i - len(names) / 2) * 0.13 for x, _ in at], [us for _, us in at], 0.13, label=name
        )
    axes.set_yscale("log")
    axes.set_ylabel("µs, forward and backward")
    axes.set_xticks(range(len(cases)), [f"{case['size']}\n{case['layout']}" for case in cases])
    axes.legend(ncols=3, fontsize="small")
    axes.set_title(
        f"SSIM with its gradient; {data['processor']}, threads: {data['threads']}, {data['date']}",
        fontsize="small",
    )
    figure.tight_layout()
    figure.savefig(path)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("results")
    parser.add_argument("--readme")
    parser.add_argument("--plot")
    options = parser.parse_args()
    with open(options.results, encoding="utf-8") as file:
        data = json.load(file)
    if options.readme:
        put(options.readme, table(data))
    else:
        print(table(data), end="")
    if options.plot:
        plot(options.plot, data)


if __name__ == "__main__":
    main()
