"""pixloss.compare: the metrics of two images, as the program `pixloss compare` has them."""

from __future__ import annotations

import os
from typing import Optional

from . import _evaluate
from . import _loss
from . import _terms as terms
from . import _views as views
from ._errors import ArgumentError, FileError, UnsupportedError

# name: the term, what is made of its value, and the power of the images' unit that it has
_METRICS = {
    "mse": ("mse", lambda x: x, 2),
    "rmse": ("rmse", lambda x: x, 1),
    "mae": ("l1", lambda x: x, 1),
    "psnr": ("psnr", lambda x: x, 0),
    "ssim": ("ssim", lambda x: 1 - x, 0),
    "dssim": ("ssim", lambda x: x / 2, 0),
    "ms_ssim": ("ms_ssim", lambda x: 1 - x, 0),
    "sobel_l1": ("sobel(l1)", lambda x: x, 1),
    "laplacian_l1": ("laplacian(l1)", lambda x: x, 1),
}
_DISTANCES = ("features", "cosine", "style", "lpips")
_LARGEST = {"u8": 255.0, "u16": 65535.0}


def read_image(path):
    """The pixels of a file as a buffer, H x W or H x W x 3, of 8 or 16 bits or floats. By
    Pillow."""
    try:
        from PIL import Image
    except ImportError:
        raise UnsupportedError(
            f"{path}: reading files takes Pillow (pip install pixloss[images]); arrays do without"
        ) from None
    try:
        with Image.open(path) as image:
            image.load()
    except FileNotFoundError:
        raise FileError(f"{path}: No such file or directory") from None
    except OSError as error:
        raise FileError(f"{path}: {error}") from None
    if "transparency" in image.info or "A" in image.getbands():
        raise ArgumentError(f"{path} has an alpha channel; put the image on a background first")
    letter = {"L": "B", "RGB": "B", "I;16": "H", "F": "f"}.get(image.mode)
    if letter is None:
        image = image.convert("L" if image.mode == "1" else "RGB")
        letter = "B"
    shape = (image.height, image.width, 3) if image.mode == "RGB" else (image.height, image.width)
    return memoryview(image.tobytes()).cast("B").cast(letter, shape)


def _read(image):
    return read_image(os.fspath(image)) if isinstance(image, (str, os.PathLike)) else image


def _missing(term: str, pred, target, layout, networks) -> bool:
    """Whether a term cannot be computed for these images: too small for its scales, or without such
    a preset."""
    try:
        _evaluate.evaluate(term, pred, target, layout=layout, networks=networks)
    except ArgumentError:
        return True
    return False


def compare(
    reference,
    test,
    *,
    preset: str = "wang",
    layout: Optional[str] = None,
    network=None,
    loss: Optional[str] = None,
    threads: int = 0,
) -> dict:
    """The metrics of two images: mse, rmse, mae, psnr (dB), ssim, dssim, ms_ssim, sobel_l1,
    laplacian_l1.

    reference, test: arrays of any framework, or paths of image files (read by Pillow). Integers
        count as divided by their maximum, 255 or 65535, so that 8 and 16 bit compare; floats are
        taken as they are, for a range of 1.
    preset: whose SSIM: wang, skimage, torchmetrics, ...
    layout: "HW", "HWC" (the default of three axes), "CHW", "NCHW" or "NHWC".
    network: a pixloss.Network; adds features, cosine, style and, with linear weights, lpips.
    loss: an expression; adds its value as `loss`.
    A metric that the images do not allow (ms_ssim of small ones) is None.
    """
    if preset not in terms.PRESETS:
        raise ArgumentError(f"preset is {preset!r}; there are {', '.join(terms.PRESETS)}")
    target, pred = _read(reference), _read(test)
    raw, other = views.raw("reference", target), views.raw("test", pred)
    if raw.shape != other.shape:
        raise ArgumentError(
            f"the images differ in shape: the reference is {raw.shape}, the test {other.shape}"
        )
    layout = layout or {2: "HW", 3: "HWC"}.get(len(raw.shape))
    largest = _LARGEST.get(raw.dtype, 1.0)
    networks = {"vgg16": network} if network else None
    presets = {name: f"{name}(preset={preset})" for name in ("ssim", "ms_ssim")}
    wanted = {name: presets.get(term, term) for name, (term, _, _) in _METRICS.items()}
    distances = {name: name for name in _DISTANCES} if network else {}
    left_out = [
        name
        for name, term in {"ms_ssim": wanted["ms_ssim"], **distances}.items()
        if _missing(term, pred, target, layout, networks)
    ]
    unique = list(
        dict.fromkeys(
            term for name, term in {**wanted, **distances}.items() if name not in left_out
        )
    )
    values = dict(
        zip(
            unique,
            _evaluate.evaluate(
                " + ".join(unique), pred, target, layout=layout, networks=networks, threads=threads
            ).terms.values(),
        )
    )
    result: dict = {}
    for name, (_, transform, power) in _METRICS.items():
        result[name] = (
            None if name in left_out else transform(values[wanted[name]]) / largest**power
        )
    result.update({name: None if name in left_out else values[name] for name in distances})
    if loss is not None:
        result["loss"] = _evaluate.evaluate(
            loss, pred, target, layout=layout, networks=networks, threads=threads
        ).value
    return result
