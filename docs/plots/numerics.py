#!/usr/bin/env python3
"""Draws docs/plots/numerics.svg: the errors of 1 - SSIM and of its gradient, plain formula and pixloss, against the oracle.

    docs/plots/numerics.py [build folder]       the default is build/release, as scripts/test.sh leaves it

Builds and runs pixloss_numerics (docs/plots/numerics.cpp). Needs matplotlib (Debian: python3-matplotlib)."""
import os
import subprocess
import sys

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
METHODS = {"plain-f32": ("plain formula, f32", "#c1272d"), "plain-f64": ("plain formula, f64", "#d9a400"),
           "pixloss-f32": ("pixloss, f32", "#0b6e99")}
IMAGES = {"photograph": ("photograph", "-"), "bright": ("the same at 0.95 ± 0.01", "--")}


def measure(build):
    subprocess.run(["cmake", "--build", build, "--target", "pixloss_numerics"], check=True, stdout=subprocess.DEVNULL)
    photo = os.path.join(ROOT, "tests", "data", "camera.png")
    printed = subprocess.run([os.path.join(build, "bin", "pixloss_numerics"), photo], check=True, stdout=subprocess.PIPE, text=True)
    curves = {}
    for line in printed.stdout.splitlines():
        image, method, *numbers = line.split()
        curves.setdefault((image, method), []).append([float(n) for n in numbers])
    return curves


def draw(curves, path):
    plt.rcParams.update({"font.size": 9, "svg.hashsalt": "pixloss", "axes.spines.top": False, "axes.spines.right": False})
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.9), sharex=True, sharey=True, layout="constrained")
    for axis, column, title in zip(axes, (1, 2), ("value of 1 − SSIM", "gradient, worst element")):
        axis.axhline(1, color="0.6", linewidth=0.8)
        for (image, method), rows in curves.items():
            name, colour = METHODS[method]
            label, style = IMAGES[image]
            axis.plot([r[0] for r in rows], [max(r[column], 1e-17) for r in rows], style, color=colour, linewidth=1.4,
                      label=f"{name}: {label}")
        axis.set(xscale="log", yscale="log", xlim=(1.5, 3e-13), ylim=(1e-17, 1e7), title=title, xlabel="1 − SSIM (float64)")
        axis.grid(True, color="0.92", linewidth=0.6)
    axes[0].set_ylabel("relative error")
    axes[0].text(1.2, 1.6, "no digit left", color="0.4", fontsize=8)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, ncol=2, loc="outside lower center", frameon=False)
    figure.savefig(path, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))


if __name__ == "__main__":
    draw(measure(sys.argv[1] if len(sys.argv) > 1 else os.path.join(ROOT, "build", "release")),
         os.path.join(ROOT, "docs", "plots", "numerics.svg"))
