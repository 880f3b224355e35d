"""Definitions for known_values.json, re-written in numpy and torch from the sources they name: of libraries that need a GPU, are
programs, or compute in float32 only."""
import numpy as np
import torch


def gaussian(taps, sigma):
    g = np.exp(-0.5 * ((np.arange(taps) - taps // 2) / sigma) ** 2)
    return g / g.sum()


def ssim_parts(mx, my, xx, yy, xy, c1=1e-4, c2=9e-4, factor=1.0):
    """Luminance, and contrast times structure, from the filtered images."""
    vx, vy, vxy = factor * (xx - mx * mx), factor * (yy - my * my), factor * (xy - mx * my)
    return (2 * mx * my + c1) / (mx**2 + my**2 + c1), (2 * vxy + c2) / (vx + vy + c2), vx, vy, vxy


def conv_ssim(x, y, window, padding, factor=1.0):
    """SSIM's map with a 2D window by conv2d, zeros outside: graphdeco-inria/gaussian-splatting utils/loss_utils.py _ssim
    (padding = window // 2), fused-ssim's ssim.cu (the same without its clamps; "valid" crops 5), MONAI 1.1 (padding 0)."""
    channels = x.shape[1]
    kernel = torch.from_numpy(window).expand(channels, 1, *window.shape).contiguous()
    filtered = [torch.nn.functional.conv2d(a, kernel, padding=padding, groups=channels) for a in (x, y, x * x, y * y, x * y)]
    luminance, cs, *_ = ssim_parts(*filtered, factor=factor)
    return luminance * cs


def separable(a, window):
    """Correlation with `window` along both axes, whole windows only; an axis shorter than the window is left alone."""
    for axis in (-2, -1):
        if a.shape[axis] >= len(window):
            n = a.shape[axis] - len(window) + 1
            a = sum(w * np.take(a, range(k, k + n), axis=axis) for k, w in enumerate(window))
    return a


def iqa_factor(height, width):
    return max(1, int(min(height, width) / 256.0 + 0.5))  # iqa/math_utils.c _round: halves go up


def iqa_decimate(a, factor):
    """libvmaf/src/feature/iqa/decimate.c, of an array or a tensor: output i is the mean of inputs factor * i - factor // 2 + k,
    k = 0 ... factor - 1, mirrored with the edge pixel repeated, for i < size // factor + (size & 1); not for factor = 1."""

    def matrix(size):
        count = size // factor + (size & 1)
        index = factor * np.arange(count)[:, None] - factor // 2 + np.arange(factor)[None]
        index = np.where(index < 0, -1 - index, index)
        index = np.where(index >= size, 2 * size - 1 - index, index)
        weights = np.zeros((count, size))
        np.add.at(weights, (np.arange(count)[:, None], index), 1.0 / factor)
        return torch.from_numpy(weights) if torch.is_tensor(a) else weights

    return a if factor == 1 else matrix(a.shape[-2]) @ a @ matrix(a.shape[-1]).T


def iqa_float(x, y):
    """float_ssim of libvmaf as it computes it (ssim.c, iqa/ssim_tools.c): float32 images of 0 ... 255, window rounded to 6
    decimals, products in float32 added in double. Means over pixels, then planes, of SSIM, luminance, contrast, structure."""
    f = np.float32
    window = np.round(gaussian(11, 1.5), 6).astype(f)

    def convolve(a):
        for axis in (1, 0):
            n = a.shape[axis] - 10
            a = sum((np.take(a, range(k, k + n), axis=axis) * window[k]).astype(np.float64) for k in range(11)).astype(f)
        return a

    c1, c2 = (f(0.01) * f(255)) ** 2, (f(0.03) * f(255)) ** 2
    means = []
    for x_plane, y_plane in zip(x.reshape(-1, *x.shape[2:]), y.reshape(-1, *y.shape[2:])):
        factor = iqa_factor(*x_plane.shape)
        weight = np.float64(f(1.0) / f(factor * factor)) * factor * factor  # its low-pass filter's taps are floats as well
        p, q = ((iqa_decimate(np.round(a * 255.0)[None, None], factor)[0, 0] * weight).astype(f) for a in (x_plane, y_plane))
        mp, mq, pp, qq, pq = (convolve(a) for a in (p, q, p * p, q * q, p * q))
        pp, qq, pq = np.maximum(pp - mp * mp, f(0)), np.maximum(qq - mq * mq, f(0)), pq - mp * mq
        root = np.sqrt((pp * qq).astype(np.float64)).astype(f)
        d = np.float64
        luminance = (2.0 * d(mp) * mq + c1) / d(mp * mp + mq * mq + c1)
        contrast = (2.0 * d(root) + c2) / d(pp + qq + c2)
        covariance = np.where((pq < 0) & (root <= 0), f(0), pq)
        structure = d((covariance + c2 / f(2)) / (root + c2 / f(2)))
        means.append([v.mean() for v in (luminance * contrast * structure, luminance, contrast, structure)])
    return np.mean(means, axis=0)
