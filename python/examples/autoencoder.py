#!/usr/bin/env python3
"""Trains a small convolutional autoencoder on photographs with four losses, and shows what each is
good at.

    pip install torch matplotlib pillow numpy          # tensorboard too, for curves there
    python python/examples/autoencoder.py [--seeds 3] [--steps 400] [--out build/autoencoder]
    tensorboard --logdir build/autoencoder/runs

Random crops of two photographs train it; a third one, which it never sees, is reconstructed from
1/24 of its numbers. Written are autoencoder.png (reconstructions with a crop, curves) and
autoencoder.md, a table in which every loss is scored by every metric: medians over seeds. A minute
or two on two cores. Features are those of random weights unless --vgg names a file of
scripts/convert_weights.py: they show how such a loss is used, not what trained ones give.
"""

import argparse
import pathlib
import statistics
import time

import numpy as np
import torch
from PIL import Image
from torch import nn

import pixloss
import pixloss.torch

ROOT = pathlib.Path(__file__).resolve().parents[2]
TRAINING = [ROOT / "tests/data/astronaut.png", ROOT / "examples/images/coffee.png"]
HELD_OUT = ROOT / "examples/images/chelsea.png"
CROP, BATCH = 64, 4
LOSSES = {
    "mse": "mse",
    "ssim + l1": "0.84*ssim + 0.16*l1",
    "ms_ssim + l1": "0.84*ms_ssim(scales=auto) + 0.16*l1",  # three scales fit a crop of 64 pixels
    "l1 + features": "l1 + 0.5*features(layers=relu1_2:relu2_2)",
}


def read(path):
    """1 x 3 x H x W in [0, 1], sides multiples of 8."""
    image = np.asarray(Image.open(path).convert("RGB"))
    height, width = (side // 8 * 8 for side in image.shape[:2])
    return torch.from_numpy(image[:height, :width].copy()).permute(2, 0, 1)[None].float() / 255


class Autoencoder(nn.Module):
    """Three halvings to eight channels, and back."""

    def __init__(self):
        super().__init__()

        def down(inputs, outputs):
            return nn.Conv2d(inputs, outputs, 3, stride=2, padding=1)

        def up(inputs, outputs):
            return nn.Sequential(
                nn.Upsample(scale_factor=2, mode="bilinear"),
                nn.Conv2d(inputs, outputs, 3, padding=1),
            )

        self.encode = nn.Sequential(down(3, 24), nn.ReLU(), down(24, 32), nn.ReLU(), down(32, 8))
        self.decode = nn.Sequential(
            nn.Conv2d(8, 32, 3, padding=1),
            nn.ReLU(),
            up(32, 32),
            nn.ReLU(),
            up(32, 16),
            nn.ReLU(),
            up(16, 3),
        )

    def forward(self, image):
        return torch.sigmoid(self.decode(self.encode(image)))


def crops(photographs, generator):
    batch = []
    for _ in range(BATCH):
        photograph = photographs[int(torch.randint(len(photographs), (), generator=generator))]
        y, x = (
            int(torch.randint(side - CROP + 1, (), generator=generator))
            for side in photograph.shape[2:]
        )
        crop = photograph[0, :, y : y + CROP, x : x + CROP]
        batch.append(crop.flip(2) if torch.rand((), generator=generator) < 0.5 else crop)
    return torch.stack(batch)


def writer_for(folder):
    """TensorBoard's, or None where it is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(folder)


def log(writer, step, total, loss, reconstruction, target):
    scalars = {
        "total": total,
        **loss.terms,
        "ssim": 1 - pixloss.torch.ssim(reconstruction, target),
        "psnr": pixloss.torch.psnr(reconstruction, target),
    }
    for name, value in scalars.items():
        writer.add_scalar(name, float(value), step)


def train(expression, seed, steps, networks, writer):
    """The model, and SSIM of the held-out photograph along the way: [(step, ssim)]."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    model = Autoencoder()
    loss = pixloss.torch.Loss(expression, networks=networks)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    photographs = [read(path) for path in TRAINING]
    held_out = read(HELD_OUT)
    curve = []
    for step in range(steps):
        target = crops(photographs, generator)
        reconstruction = model(target)
        total = loss(reconstruction, target)  # the one line that differs between losses
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        if writer and step % 10 == 0:
            log(writer, step, total.detach(), loss, reconstruction.detach(), target)
        if step % 25 == 0 or step == steps - 1:
            with torch.no_grad():
                curve.append((step, 1 - float(pixloss.torch.ssim(model(held_out), held_out))))
    return model, curve


def score(model, network):
    """Every metric of the held-out photograph, and its reconstruction."""
    target = read(HELD_OUT)
    with torch.no_grad():
        found = model(target)
    return pixloss.compare(target, found, layout="NCHW", network=network), found


def table(scores, seeds):
    """Markdown: a row for each loss, medians over seeds; the best of each metric is bold."""
    metrics = [
        name for name in next(iter(scores.values()))[0] if name not in ("rmse", "dssim", "lpips")
    ]
    larger = {"psnr", "ssim", "ms_ssim"}
    medians = {
        loss: {name: statistics.median(score[name] for score in found) for name in metrics}
        for loss, found in scores.items()
    }
    best = {
        name: (max if name in larger else min)(row[name] for row in medians.values())
        for name in metrics
    }
    lines = [f"| trained with | {' | '.join(metrics)} |", f"|---{'|--:' * len(metrics)}|"]
    for loss, row in medians.items():
        cells = [
            f"**{row[name]:.4g}**" if row[name] == best[name] else f"{row[name]:.4g}"
            for name in metrics
        ]
        lines.append(f"| `{LOSSES[loss]}` | {' | '.join(cells)} |")
    return (
        "\n".join(lines)
        + f"\n\nMedians over {seeds} seeds, of a photograph that was not trained with.\n"
    )


def draw(path, pictures, curves):
    """Above reconstructions with a crop below each, beneath curves of SSIM."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    figure = plt.figure(figsize=(13, 6.2))
    grid = figure.add_gridspec(
        3, len(pictures), height_ratios=(3, 3, 2.6), hspace=0.05, wspace=0.04
    )
    for i, (name, picture) in enumerate(pictures.items()):
        image = picture[0].permute(1, 2, 0).numpy()
        for row, part in enumerate((image, image[70:150, 130:250])):
            axes = figure.add_subplot(grid[row, i])
            axes.imshow(part, interpolation="nearest")
            axes.set_axis_off()
            if row == 0:
                axes.set_title(name, fontsize="medium")
    axes = figure.add_subplot(grid[2, :])
    for name, found in curves.items():
        steps = [step for step, _ in found[0]]
        axes.plot(
            steps,
            [
                statistics.median(values)
                for values in zip(*([v for _, v in curve] for curve in found))
            ],
            label=name,
        )
    axes.set_xlabel("step")
    axes.set_ylabel("SSIM of the photograph\nthat was not trained with")
    axes.legend(ncols=4)
    figure.savefig(path, bbox_inches="tight", dpi=80)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "build" / "autoencoder")
    parser.add_argument(
        "--vgg",
        help="safetensors of torchvision's VGG (scripts/convert_weights.py); default: random "
        "weights",
    )
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    network = (
        pixloss.Network.load(options.vgg)
        if options.vgg
        else pixloss.Network.random("3:16,16,M,32,32,M,64,64,64")
    )
    scores = {}
    curves = {}
    pictures = {"photograph": read(HELD_OUT)}
    for name, expression in LOSSES.items():
        for seed in range(options.seeds):
            begun = time.perf_counter()
            writer = writer_for(options.out / "runs" / f"{name.replace(' ', '')}-{seed}")
            model, curve = train(expression, seed, options.steps, {"vgg16": network}, writer)
            found, picture = score(model, network)
            scores.setdefault(name, []).append(found)
            curves.setdefault(name, []).append(curve)
            pictures.setdefault(name, picture)
            print(
                f"{name:14s} seed {seed}: psnr {found['psnr']:.2f} dB, ssim {found['ssim']:.4f}, "
                f"{time.perf_counter() - begun:.1f} s",
                flush=True,
            )
    text = table(scores, options.seeds)
    (options.out / "autoencoder.md").write_text(text, encoding="utf-8")
    draw(options.out / "autoencoder.png", pictures, curves)
    print(f"\n{text}\n{options.out / 'autoencoder.png'}")


if __name__ == "__main__":
    main()
