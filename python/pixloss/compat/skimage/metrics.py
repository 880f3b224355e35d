"""skimage.metrics: structural_similarity, mean_squared_error, peak_signal_noise_ratio, of NumPy
arrays.

scikit-image computes integers in float64; here images of 8 and 16 bits are computed in float32, to
five digits of 1 - SSIM, and other integers in float64."""

from __future__ import annotations

import math
import warnings

import numpy as np

from .. import _plain
from ..._evaluate import evaluate
from ..._terms import term

__all__ = ["structural_similarity", "mean_squared_error", "peak_signal_noise_ratio"]
_ONE_NUMBER = "no term computes it"
REFUSED = {
    "adapted_rand_error": _ONE_NUMBER,
    "contingency_table": _ONE_NUMBER,
    "hausdorff_distance": _ONE_NUMBER,
    "hausdorff_pair": _ONE_NUMBER,
    "normalized_mutual_information": _ONE_NUMBER,
    "variation_of_information": _ONE_NUMBER,
    "normalized_root_mse": "its normalisations are of one image alone; rmse divided by them gives "
    "it",
}
__getattr__ = _plain.refusing("skimage.metrics", REFUSED)
_KNOWN = {np.dtype(name) for name in ("u1", "u2", "f2", "f4", "f8")}


def _comparable(a, b):
    """As they are if pixloss knows their type, else as float64."""
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape:
        raise ValueError("Input images must have the same dimensions.")
    if a.dtype == b.dtype and a.dtype in _KNOWN and a.dtype.isnative:
        return a, b
    return a.astype("f8"), b.astype("f8")


def _range_of(dtype, data_range):
    if data_range is not None:
        return float(data_range)
    if np.issubdtype(dtype, np.floating):
        raise ValueError(
            "Since image dtype is floating point, you must specify the data_range parameter."
        )
    return float(np.iinfo(dtype).max) - float(np.iinfo(dtype).min)


@_plain.covers(
    gradient="scikit-image's is not the gradient of the value beside it; "
    "pixloss.evaluate(gradient=True) has the exact one"
)
def structural_similarity(
    im1,
    im2,
    *,
    win_size=None,
    gradient=False,
    data_range=None,
    channel_axis=None,
    gaussian_weights=False,
    full=False,
    **kwargs,
):
    """Mean SSIM; with full also the map of SSIM, of the images' size. kwargs: K1, K2, sigma,
    use_sample_covariance."""
    known = {"K1": 0.01, "K2": 0.03, "sigma": 1.5, "use_sample_covariance": True}
    unknown = set(kwargs) - set(known)
    if unknown:
        raise TypeError(
            f"structural_similarity() got an unexpected keyword argument {unknown.pop()!r}"
        )
    k1, k2, sigma, sample = ({**known, **kwargs}[name] for name in known)
    data_range = _range_of(np.asarray(im1).dtype, data_range)
    taps = 2 * int(3.5 * sigma + 0.5) + 1 if gaussian_weights else 7
    win_size = taps if win_size is None else win_size
    images, layout = _images(im1, im2, channel_axis)
    _check_window(images[0].shape, layout, win_size)
    if gaussian_weights and win_size != taps:
        raise _plain.UnsupportedError(
            f"structural_similarity(win_size={win_size}): a Gaussian of sigma {sigma} has {taps} "
            "taps there, and win_size another meaning"
        )
    window = {"sigma": sigma} if gaussian_weights else {"uniform": True}
    loss = term("ssim", window=win_size, k1=k1, k2=k2, sample_covariance=sample, **window)
    if not full:
        return 1 - evaluate(loss, *images, layout=layout, data_range=data_range).value
    # The mean is over whole windows, the map over all: SciPy mirrors with the edge pixel, which is
    # symmetric here.
    mirrored = term(
        "ssim",
        window=win_size,
        k1=k1,
        k2=k2,
        sample_covariance=sample,
        border="symmetric",
        **window,
    )
    found = evaluate(
        f"0*{mirrored} + {loss}", *images, layout=layout, data_range=data_range, map=True
    )
    return 1 - found.value, _as_given(found.map[0], np.asarray(im1).dtype, channel_axis)


def _images(im1, im2, channel_axis):
    a, b = _comparable(im1, im2)
    if channel_axis is not None:
        a, b = np.moveaxis(a, channel_axis, -1), np.moveaxis(b, channel_axis, -1)
    if a.ndim != (2 if channel_axis is None else 3):
        raise _plain.UnsupportedError(
            f"images of shape {a.shape} with channel_axis={channel_axis}: two dimensions and "
            "channels are computed; volumes are not"
        )
    return (a, b), "HW" if channel_axis is None else "HWC"


def _as_given(planes, dtype, channel_axis):
    """A map of C x H x W in the images' axes, and in the type that scikit-image computes such images
    in."""
    planes = planes.astype("f4" if dtype in (np.float16, np.float32) else "f8", copy=False)
    return planes[0] if channel_axis is None else np.moveaxis(planes, 0, channel_axis)


def _check_window(shape, layout, win_size) -> None:
    if min(shape[:2]) < win_size:
        raise ValueError(
            "win_size exceeds image extent. Either ensure that your images are at least 7x7; or "
            "pass win_size explicitly in the function call, with an odd value less than or equal "
            "to the smaller side of your images."
        )
    if win_size % 2 == 0:
        raise ValueError("Window size must be odd.")


def _one_plane(a):
    """Any shape as a view of H x W if the strides allow."""
    return a.reshape(-1, a.shape[-1]) if a.ndim else a.reshape(1, 1)


@_plain.covers()
def mean_squared_error(image0, image1):
    """The mean of the squared differences."""
    return evaluate("mse", *map(_one_plane, _comparable(image0, image1))).value


@_plain.covers()
def peak_signal_noise_ratio(image_true, image_test, *, data_range=None):
    """10 log10(data_range^2 / mean squared error), in dB."""
    if data_range is None:
        data_range = _psnr_range(np.asarray(image_true), np.asarray(image_test))
    error = mean_squared_error(image_true, image_test)
    return math.inf if error == 0 else 10 * math.log10(data_range**2 / error)


def _psnr_range(image_true, image_test) -> float:
    if image_true.dtype != image_test.dtype:
        warnings.warn(
            "Inputs have mismatched dtype. Setting data_range based on image_true.", stacklevel=3
        )
    low, high = (
        (-1, 1)
        if np.issubdtype(image_true.dtype, np.floating)
        else (np.iinfo(image_true.dtype).min, np.iinfo(image_true.dtype).max)
    )
    true_min, true_max = image_true.min(), image_true.max()
    if true_max > high or true_min < low:
        raise ValueError(
            "image_true has intensity values outside the range expected for its data type. Please "
            "manually specify the data_range."
        )
    return float(high if true_min >= 0 else high - low)
