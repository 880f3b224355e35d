#!/usr/bin/env python3
"""Puts the short table of speeds into README.md, between its two comments, from what scripts/bench.sh has written.

    readme.py [RESULTS_FOLDER] [README.md]

Everything in it is also in bench/results/cpu.md. Other libraries are left out where the folder has no cpu-peers.json.
"""
import json
import pathlib
import re
import sys

import trust
from table import duration, name_parts, results_of, seconds, significant

MIX = "0.5*mse+0.5*ssim+0.1*sobel"
HD, BATCH, TINY = "1x3x1080x1920", "16x1x256x256", "1x1x64x64"
# What is shown: loss, type, size, value or gradient.
CASES = [("ssim", "f32", HD, "gradient"), ("ssim", "f32", HD, "value"), (MIX, "f32", HD, "gradient"),
         ("ssim", "f32", BATCH, "gradient"), (MIX, "f32", BATCH, "gradient"), ("ssim", "f32", TINY, "gradient"),
         (MIX, "f32", TINY, "gradient")]
CASES += [(loss, "f32", HD, "gradient") for loss in ("mse", "l1", "huber", "charbonnier", "tv", "sobel", "laplacian")]
# SSIM in other forms, each beside plain SSIM: what to call it, loss, type, size.
FORMS = [("f16", "ssim", "f16", HD), ("bf16", "ssim", "bf16", HD), ("channels last", "ssim", "f32", HD + ",nhwc"),
         ("a crop of odd width", "ssim", "f32", "1x3x1080x1919,crop"), ("border=reflect", "ssim(border=reflect)", "f32", HD),
         ("7 taps", "ssim(preset=skimage)", "f32", HD), ("33 taps", "ssim(window=33)", "f32", HD),
         ("both gradients", "ssim", "f32", HD + ",both"), ("with a mask", "ssim", "f32", HD + ",mask"),
         ("MS-SSIM", "ms_ssim", "f32", HD)]
SQUARES = [TINY] + [f"1x1x{edge}x{edge}" for edge in (256, 1024, 2048, 4096, 8192)]


def measured(path):
    """{(loss, type, size, what): Result}"""
    with open(path, encoding="utf-8") as file:
        results = results_of(json.load(file)["benchmarks"])
    return {tuple(parts[1:]): result for result in results.values() if len(parts := name_parts(result.median)) == 5}


def best_peers(path):
    """{(loss, size, what): its row} of the fastest; empty where there are none."""
    best = {}
    if path.exists():
        for row in json.loads(path.read_text(encoding="utf-8"))["results"]:
            key = row["loss"], row["size"], row["what"]
            if "seconds" in row and (key not in best or row["seconds"] < best[key]["seconds"]):
                best[key] = row
    return best


def rate(result):
    return f"{result.median['px/s'] / 1e6:,.0f}"


def beside_peer(result, peer):
    """Cells: the peer, and how many times as fast pixloss is."""
    if not peer:
        return ["", ""]
    times = significant(peer["seconds"] / seconds(result.median))
    return [f"{peer['peer']}, {duration(peer['seconds'])}", trust.ratio(f"{times} x", result.spread(), peer.get("spread"))]


def main_table(results, peers):
    lines = ["| loss | size | | time | Mpx/s | of copy | of FMA | fastest other | pixloss is |",
             "|---|---|---|--:|--:|--:|--:|---|--:|"]
    for loss, dtype, size, what in CASES:
        result = results[loss, dtype, size, what]
        cells = [f"`{loss}`", size, what, duration(seconds(result.median)), rate(result), result.share("copy"),
                 result.share("fma")]
        lines.append("| " + " | ".join(cells + beside_peer(result, peers.get((loss, size, what)))) + " |")
    return "\n".join(lines)


def shares(results):
    plain = results["ssim", "f32", HD, "gradient"]

    def part(name, result):
        share = f"{result.median['px/s'] / plain.median['px/s']:.2f}"
        return f"{name} {trust.ratio(share, plain.spread(), result.spread())}"
    parts = [part(name, results[loss, dtype, size, "gradient"]) for name, loss, dtype, size in FORMS]
    return "Of plain SSIM's rate, with its gradient: " + ", ".join(parts) + "."


def narrower(folder, results):
    key = "ssim", "f32", HD, "gradient"
    found = []
    for name, file in (("one thread", "cpu-1-thread"), ("AVX2", "cpu-avx2"), ("SSE2", "cpu-sse2")):
        if (folder / f"{file}.json").exists():
            found.append(f"{name} {rate(measured(folder / f'{file}.json')[key])}")
    return f"SSIM with its gradient, Mpx/s: {rate(results[key])}; " + ", ".join(found) + "."


def growth(results):
    parts = [f"{size.split('x')[-1]}² {rate(results['ssim', 'f32', size, 'gradient'])}" for size in SQUARES]
    return "Time grows with the pixels; Mpx/s of one square plane: " + ", ".join(parts) + "."


def section(folder):
    with open(folder / "cpu.json", encoding="utf-8") as file:
        context = json.load(file)["context"]
    results, peers = measured(folder / "cpu.json"), best_peers(folder / "cpu-peers.json")
    heading = f"{context['cpu']}, {context['num_cpus']} cores, {context['device']}; commit {context['commit']}, {context['date'][:10]}:"
    parts = [heading, main_table(results, peers), shares(results), narrower(folder, results), growth(results)]
    if re.search(r" -(?=[ ,.])", parts[1] + parts[2]):
        parts.insert(3, trust.FOOTNOTE)
    return "\n\n".join(parts)


def main():
    root = pathlib.Path(__file__).resolve().parent.parent
    folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else root / "bench" / "results"
    readme = pathlib.Path(sys.argv[2]) if len(sys.argv) > 2 else root / "README.md"
    begin, end = "<!-- speeds: bench/readme.py -->\n", "<!-- end of speeds -->"
    text = readme.read_text(encoding="utf-8")
    if not re.search(f"{begin}.*{end}", text, re.DOTALL):
        sys.exit(f"readme.py: {readme} has no '{begin.strip()}' and '{end}' to put the table between")
    text = re.sub(f"{begin}.*{end}", lambda _: f"{begin}{section(folder)}\n{end}", text, flags=re.DOTALL)
    readme.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
