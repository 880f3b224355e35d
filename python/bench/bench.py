#!/usr/bin/env python3
"""Times losses of pixloss.torch beside other packages' in one process: forward and backward, in
turns, values compared first.

    python/bench/bench.py [--out results/cpu.json] [--rounds 15] [--filter REGEX] [--threads N]
    python/bench/table.py results/cpu.json            # the table of README.md, and the plot

Packages that are not installed are named and left out (pip install pytorch-msssim torchmetrics
kornia; pip install --no-deps piq). A round calls each contestant of a case in turn for at least 20
ms; reported are medians over the rounds, and of ratios the median and the 10th and 90th percentile
over rounds, so that what else the machine does falls on both sides. Peak memory is that of one step
in a process of its own, beyond images and gradient."""

import argparse
import datetime
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import time

import torch
import torch.nn.functional as F

import pixloss.torch as pt

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "tests"))
from make_compat_signatures import (  # noqa: E402  piq wants torchvision, which it does not use
    import_package,
)

SIZES = ["1x1x64x64", "16x1x256x256", "8x3x256x256", "1x3x1080x1920"]
LAYOUTS = {
    "": lambda x: x,
    "channels_last": lambda x: x.contiguous(memory_format=torch.channels_last),
    "bf16": lambda x: x.bfloat16(),
}


# ---- Contestants: {loss: {name: a function of pred and target that gives the loss}} --------------
def plain_ssim(pred, target):
    """pytorch-msssim's formula by grouped convolutions, for torch.compile."""
    x = torch.arange(11, dtype=torch.float32) - 5
    taps = torch.exp(-x * x / (2 * 1.5**2))
    taps = (taps / taps.sum()).to(pred.dtype).repeat(pred.shape[1], 1, 1, 1)

    def blur(image):
        return F.conv2d(
            F.conv2d(image, taps.transpose(2, 3), groups=image.shape[1]),
            taps,
            groups=image.shape[1],
        )

    mx, my = blur(pred), blur(target)
    vx, vy, vxy = (
        blur(pred * pred) - mx * mx,
        blur(target * target) - my * my,
        blur(pred * target) - mx * my,
    )
    ssim = ((2 * mx * my + 1e-4) / (mx * mx + my * my + 1e-4)) * (
        (2 * vxy + 9e-4) / (vx + vy + 9e-4)
    )
    return 1 - ssim.float().mean()


def plain_l1(pred, target):
    return (pred - target).abs().float().mean()


def package(name):
    try:
        return import_package(name)
    except ImportError as error:
        print(f"{name} is left out: {error}", file=sys.stderr)
        return None


# Whose definition differs from plain ssim, by its preset: what its value is held to.
DEFINITIONS = {"torchmetrics": "ssim(preset=torchmetrics, data_range=1)"}


def ssim_contestants():
    made = {"torch.compile": torch.compile(plain_ssim)}
    if module := package("pytorch_msssim"):
        made["pytorch-msssim"] = lambda p, t: 1 - module.ssim(p, t, data_range=1.0)
    if metrics := package("torchmetrics.functional.image"):
        made["torchmetrics"] = lambda p, t: 1 - metrics.structural_similarity_index_measure(
            p, t, data_range=1.0
        )
    if piq := package("piq"):
        made["piq"] = lambda p, t: 1 - piq.ssim(p, t, downsample=False)
    if kornia := package("kornia"):
        made["kornia"] = lambda p, t: 2 * kornia.losses.ssim_loss(p, t, 11, padding="valid")
    return made


def contestants(threads):
    ssim, l1 = pt.Loss("ssim", threads=threads), pt.Loss("l1", threads=threads)
    return {
        "ssim": {"pixloss": ssim, **ssim_contestants()},
        "l1": {"pixloss": l1, "torch": F.l1_loss, "torch.compile": torch.compile(plain_l1)},
        "overhead": {"pixloss": l1, "mse_loss": F.mse_loss},
        "overhead compiled": {
            "pixloss": torch.compile(l1, fullgraph=True),
            "mse_loss": torch.compile(lambda p, t: F.mse_loss(p, t)),
        },
    }


# ---- Measuring -----------------------------------------------------------------------------------
def images(size, layout):
    shape = [int(n) for n in size.split("x")]
    generator = torch.Generator().manual_seed(1)
    target = torch.randint(32, 225, shape, generator=generator).float() / 256
    pred = target + torch.randint(-16, 17, shape, generator=generator).float() / 256
    pred, target = (LAYOUTS[layout](image) for image in (pred, target))
    return pred.requires_grad_(), target


def step(function, pred, target):
    pred.grad = None
    function(pred, target).backward()


def agree(functions, pred, target):
    """Those whose value is that of pixloss for their definition: within rounding of the type that
    they compute in."""
    tolerance = 0.05 if pred.dtype is torch.bfloat16 else 1e-3
    kept = {}
    for name, function in functions.items():
        loss = pt.Loss(DEFINITIONS[name]) if name in DEFINITIONS else functions["pixloss"]
        expected = loss(pred, target).item()
        try:
            value = function(pred, target).item()
        except Exception as error:
            print(f"  {name} is left out: {str(error).splitlines()[0][:120]}", file=sys.stderr)
            continue
        if abs(value - expected) <= tolerance * abs(expected):
            kept[name] = function
        else:
            print(
                f"  {name} is left out: its value is {value:.6g}, pixloss's {expected:.6g}",
                file=sys.stderr,
            )
    return kept


def time_in_turns(functions, pred, target, rounds):
    """{name: [seconds of one call in each round]}."""
    repeats = {}
    times = {name: [] for name in functions}
    for name, function in functions.items():
        step(function, pred, target)  # compiles what is compiled
        begun = time.perf_counter()
        step(function, pred, target)
        repeats[name] = max(1, int(0.02 / (time.perf_counter() - begun)))
    for _ in range(rounds):
        for name, function in functions.items():
            begun = time.perf_counter()
            for _ in range(repeats[name]):
                step(function, pred, target)
            times[name].append((time.perf_counter() - begun) / repeats[name])
    return times


def summary(times):
    """Medians in microseconds, and of the ratio to pixloss (and the difference) the median and
    percentiles over rounds."""
    made = {}
    for name, seconds in times.items():
        ratios = sorted(a / b for a, b in zip(seconds, times["pixloss"]))
        made[name] = {
            "us": 1e6 * statistics.median(seconds),
            "ratio": statistics.median(ratios),
            "p10": ratios[len(ratios) // 10],
            "p90": ratios[-1 - len(ratios) // 10],
            "pixloss_more_us": 1e6
            * statistics.median(b - a for a, b in zip(seconds, times["pixloss"])),
        }
    return made


# ---- Memory --------------------------------------------------------------------------------------
def status(name):
    with open("/proc/self/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(name))


def peak_of_a_step(loss, name, size, threads):
    """KiB beyond images and gradient, in this process."""
    function = contestants(threads)[loss][name]
    pred, target = images(size, "")
    small = images("1x3x64x64", "")
    step(function, *small)  # what a first call loads
    pred.grad = torch.ones_like(pred)
    kept = pred.grad.clone()  # the memory of the step's own gradient
    del kept
    pred.grad = None
    with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
        file.write("5")  # the peak starts anew
    before = status("VmRSS")
    step(function, pred, target)
    return max(0, status("VmHWM") - before - pred.numel() * pred.element_size() // 1024)


def memory_of(loss, name, size, threads):
    command = [
        sys.executable,
        os.path.abspath(__file__),
        "--peak",
        loss,
        name,
        size,
        "--threads",
        str(threads),
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    return int(done.stdout.split()[-1]) if done.returncode == 0 else None


# ---- All of it -----------------------------------------------------------------------------------
def cases():
    for loss in ("ssim", "l1"):
        for size in SIZES:
            yield loss, size, ""
        for layout in ("channels_last", "bf16"):
            yield loss, "8x3x256x256", layout
    yield "overhead", "1x1x64x64", ""
    yield "overhead compiled", "1x1x64x64", ""


def processor():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        return next(
            (line.split(":")[1].strip() for line in file if line.startswith("model name")),
            platform.processor(),
        )


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--out",
        default=os.path.join(os.path.dirname(os.path.abspath(__file__)), "results", "cpu.json"),
    )
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--filter", default="")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument(
        "--peak", nargs=3, metavar=("LOSS", "NAME", "SIZE"), help="print one step's peak memory"
    )
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.peak:
        print(peak_of_a_step(*options.peak, options.threads))
        return
    all_contestants = contestants(options.threads)
    results = []
    for loss, size, layout in cases():
        label = f"{loss} {size} {layout}".strip()
        if not re.search(options.filter, label):
            continue
        torch._dynamo.reset()
        pred, target = images(size, layout)
        functions = all_contestants[loss]
        if not loss.startswith("overhead"):
            functions = agree(functions, pred, target)
        times = summary(time_in_turns(functions, pred, target, options.rounds))
        results.append({"loss": loss, "size": size, "layout": layout, "times": times})
        print(
            f"{label:34s} "
            + ", ".join(f"{n} {t['us']:.1f} us ({t['ratio']:.2f})" for n, t in times.items()),
            flush=True,
        )
    memory = []
    for size in ("16x1x256x256", "1x3x1080x1920"):
        for name in all_contestants["ssim"]:
            if re.search(options.filter, f"memory {size}"):
                memory.append(
                    {
                        "size": size,
                        "name": name,
                        "kib": memory_of("ssim", name, size, options.threads),
                    }
                )
                print(f"memory {size} {name}: {memory[-1]['kib']} KiB", flush=True)
    versions = {"python": platform.python_version(), "torch": torch.__version__}
    made = {
        "processor": processor(),
        "threads": options.threads,
        "date": datetime.date.today().isoformat(),
        "versions": versions,
        "load": os.getloadavg()[0],
        "results": results,
        "memory": memory,
    }
    with open(options.out, "w", encoding="utf-8") as file:
        json.dump(made, file, indent=1)
        file.write("\n")


if __name__ == "__main__":
    main()
