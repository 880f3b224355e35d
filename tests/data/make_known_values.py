#!/usr/bin/env python3
"""Writes known_values.json: what other libraries compute, on images that every machine can make bit for bit.

    scripts/known_values.sh            makes the environments (below) in build/ and runs this; then look at git diff

tests/test_known_values.cpp holds pixloss to the file. Each entry names the library and its version (or says that it is a
definition, written here from the source it names, because the library cannot run here or only computes in float32), the case
(two images), the pixloss expression, the library's own number (`peer`), how that becomes the value of pixloss's term
(`transform`, in terms of x), that value, and how far pixloss in float64 may be from it (`tolerance`, a name in `tolerances`).

requirements (main environment; piq and monai with --no-deps, since they ask for other versions of torch, or torchvision):
    torch==2.13.0 numpy==2.4.6 scikit-image==0.26.0 pillow==13.0.0 pytorch-msssim==1.0.0 torchmetrics==1.9.0 kornia==0.9.0
    piq==0.8.0 monai==1.6.1
A second environment for TensorFlow: tensorflow-cpu==2.21.0 pillow==13.0.0 (option --tensorflow: its python).
A folder with the old MONAI: pip install --no-deps --target FOLDER monai==1.1.0 (option --old-monai).
"""

import argparse
import json
import os
import subprocess
import sys

import numpy as np
from known_book import Book
from known_definitions import conv_ssim, gaussian, iqa_decimate, iqa_factor, iqa_float, separable, ssim_parts
from known_elsewhere import OLD_MONAI_CASES, TENSORFLOW_CASES
from known_images import ROOT


def import_libraries():
    """The main environment's libraries. piq imports torchvision for networks that are not used here: a stub stands in for it,
    after the others were imported, which look for the real one."""
    import types

    import kornia
    import monai.losses
    import pytorch_msssim
    import skimage
    import torch
    import torchmetrics

    stub, models = types.ModuleType("torchvision"), types.ModuleType("torchvision.models")
    models.vgg16 = models.vgg19 = None
    models.inception = types.SimpleNamespace(**{f"Inception{letter}": torch.nn.Module for letter in "ABCDE"})
    stub.models = models
    sys.modules.update({"torchvision": stub, "torchvision.models": models})
    import piq

    del sys.modules["torchvision"], sys.modules["torchvision.models"]
    return torch, skimage, pytorch_msssim, torchmetrics, kornia, piq, monai


# ---- The entries -------------------------------------------------------------------------------------------------------------
def ssim_entries(book, libraries, others):
    torch, skimage, pytorch_msssim, torchmetrics, kornia, piq, monai = libraries
    from skimage.metrics import structural_similarity
    from torchmetrics.functional.image import structural_similarity_index_measure as torchmetrics_ssim

    one_minus = {"transform": "1 - x", "u8": True}
    usual = ["astronaut", "camera", "coffee", "chelsea", "batch", "odd"]

    def skimage_ssim(**options):
        """Mean over the images of the batch; and SSIM's map, cropped as scikit-image crops it before the mean."""

        def function(x, y):
            pairs = [
                structural_similarity(b.transpose(1, 2, 0), a.transpose(1, 2, 0), data_range=1.0, channel_axis=-1, full=True,
                                      **options) for a, b in zip(x, y)]
            radius = (int(3.5 * options.get("sigma", 1.5) +
                          0.5) if options.get("gaussian_weights") else options.get("win_size", 7) // 2)
            maps = np.stack([m.transpose(2, 0, 1) for _, m in pairs])[:, :, radius:-radius, radius:-radius]
            return np.mean([v for v, _ in pairs]), maps

        return function

    name = f"scikit-image {skimage.__version__} structural_similarity"
    wang = dict(gaussian_weights=True, use_sample_covariance=False)
    book.numpy("ssim.skimage", name, usual + ["small"], "ssim(preset=skimage)", skimage_ssim(), **one_minus)
    book.numpy("ssim.skimage.wang", name + "(gaussian_weights=True, use_sample_covariance=False)", usual + ["small"], "ssim",
               skimage_ssim(**wang), **one_minus)
    book.numpy("ssim.skimage.sigma1", name + "(gaussian_weights=True, sigma=1.0)", ["astronaut", "chelsea"],
               "ssim(preset=skimage, sigma=1)", skimage_ssim(gaussian_weights=True, sigma=1.0), **one_minus)
    book.numpy("ssim.skimage.sigma2.2", name + "(gaussian_weights=True, use_sample_covariance=False, sigma=2.2)",
               ["astronaut", "odd"], "ssim(preset=wang, sigma=2.2, window=17)", skimage_ssim(**wang, sigma=2.2), **one_minus)
    book.numpy("ssim.skimage.uniform9", name + "(win_size=9, use_sample_covariance=False)", ["camera", "chelsea"],
               "ssim(uniform, window=9)", skimage_ssim(win_size=9, use_sample_covariance=False), **one_minus)
    book.numpy("ssim.skimage.k", name + "(K1=0.02, K2=0.05)", ["chelsea"], "ssim(preset=skimage, k1=0.02, k2=0.05)",
               skimage_ssim(K1=0.02, K2=0.05), **one_minus)
    book.numpy("ssim.skimage.range2", name + " of images times 2 with data_range=1", ["chelsea"],
               "ssim(preset=skimage, data_range=0.5)", lambda x, y: skimage_ssim()(2 * x, 2 * y), transform="1 - x")
    book.numpy("ssim.skimage.identical", name, ["identical"], "ssim(preset=skimage)", skimage_ssim(), **one_minus)

    # pytorch-msssim makes its window in float32 even for float64 images; its parameter `win` takes one made in float64.
    window = torch.from_numpy(gaussian(11, 1.5)).view(1, 1, 1, -1)
    name = f"pytorch-msssim {version('pytorch-msssim')} ssim"
    for kind, options in (("", {}), (".double", {"win": True})):

        def function(x, y, options=options):
            win = window.repeat(x.shape[1], 1, 1, 1) if options else None
            return pytorch_msssim.ssim(x, y, data_range=1.0, size_average=True, win=win)

        label = name + ("(win in float64)" if options else "")
        tolerance = "double" if options else "float window"
        book.torch("ssim.vainf" + kind, label, usual + ["short"] if options else ["astronaut", "camera", "coffee"],
                   "ssim(preset=vainf)", function, tolerance=tolerance,
                   gradient=["astronaut", "batch", "odd", "short"] if options else [], **one_minus)
    book.torch("ssim.vainf.wang", name + "(win in float64)", ["chelsea", "small"], "ssim(preset=wang, padding=valid)", function,
               gradient=["chelsea", "small"], **one_minus)
    per_image = pytorch_msssim.ssim(*(torch.from_numpy(a) for a in book.images("batch")), data_range=1.0, size_average=False,
                                    win=window.repeat(3, 1, 1, 1))
    for n, value in enumerate(per_image.tolist()):
        book.add(f"ssim.vainf.image{n}", name + "(size_average=False, win in float64)", "batch", "ssim", value, image=n,
                 **one_minus)

    name = f"torchmetrics {torchmetrics.__version__} structural_similarity_index_measure"
    book.torch("ssim.torchmetrics.range1", name + "(data_range=1.0)", usual + ["small"],
               "ssim(preset=torchmetrics, data_range=1)", lambda x, y: torchmetrics_ssim(x, y, data_range=1.0), transform="1 - x",
               gradient=["astronaut", "batch", "small"])
    book.torch("ssim.torchmetrics", name + "()", ["astronaut", "camera", "coffee", "batch", "small"], "ssim(preset=torchmetrics)",
               torchmetrics_ssim, **one_minus)
    book.torch("ssim.torchmetrics.constant_range", name + "(data_range=max - min of the batch, as a number)", ["batch", "small"],
               "ssim(preset=torchmetrics)",
               lambda x, y: torchmetrics_ssim(x, y, data_range=max(x.max() - x.min(), y.max() - y.min()).item()),
               gradient=["batch", "small"], **one_minus)
    book.torch("ssim.torchmetrics.sigma2", name + "(sigma=2.0, kernel_size=3, data_range=1.0)", ["chelsea"],
               "ssim(preset=torchmetrics, sigma=2, data_range=1)",
               lambda x, y: torchmetrics_ssim(x, y, sigma=2.0, kernel_size=3, data_range=1.0), transform="1 - x")
    book.torch("ssim.torchmetrics.uniform", name + "(gaussian_kernel=False, kernel_size=9, data_range=1.0)", ["chelsea"],
               "ssim(border=reflect, uniform, window=9)",
               lambda x, y: torchmetrics_ssim(x, y, gaussian_kernel=False, kernel_size=9, data_range=1.0), gradient=["chelsea"],
               **one_minus)

    name = f"piq {piq.__version__} ssim"
    book.torch("ssim.piq", name, usual + ["tie", "by3", "by4", "by5"], "ssim(preset=piq)",
               lambda x, y: piq.ssim(x, y, data_range=1.0), gradient=["astronaut", "odd", "by3"], **one_minus)
    book.torch("ssim.piq.full", name + "(downsample=False)", ["astronaut", "odd", "batch"], "ssim(preset=piq, downsample=1)",
               lambda x, y: piq.ssim(x, y, data_range=1.0, downsample=False), gradient=["odd"], **one_minus)
    book.torch("ssim.piq.7", name + "(kernel_size=7, kernel_sigma=1.0, k2=0.4)", ["odd"],
               "ssim(preset=piq, window=7, sigma=1, k2=0.4)",
               lambda x, y: piq.ssim(x, y, data_range=1.0, kernel_size=7, kernel_sigma=1.0, k2=0.4), **one_minus)

    name = f"kornia {kornia.__version__} metrics.ssim(window_size=11)"
    for padding in ("same", "valid"):
        expression = "ssim(preset=kornia)" if padding == "same" else "ssim(preset=kornia, padding=valid)"
        book.torch(f"ssim.kornia.{padding}.eps0", f"{name}(padding={padding}, eps=0.0)", usual + ["small"], expression,
                   lambda x, y, p=padding: kornia.metrics.ssim(x, y, 11, 1.0, 0.0, p).mean(),
                   gradient=["astronaut", "small", "odd"], **one_minus)
        book.torch(f"ssim.kornia.{padding}", f"{name}(padding={padding})", ["astronaut", "camera", "chelsea"], expression,
                   lambda x, y, p=padding: kornia.metrics.ssim(x, y, 11, 1.0, padding=p).mean(), tolerance="eps", **one_minus)
    book.torch("ssim.kornia.loss", f"kornia {kornia.__version__} losses.ssim_loss(window_size=5, eps=0.0)", ["chelsea", "small"],
               "dssim(preset=kornia, window=5)", lambda x, y: kornia.losses.ssim_loss(x, y, 5, 1.0, 0.0), gradient=["chelsea"],
               u8=True)

    window2d = np.outer(gaussian(11, 1.5), gaussian(11, 1.5))
    seed = "definition: graphdeco-inria/gaussian-splatting utils/loss_utils.py ssim, window in float64"
    book.torch("ssim.seed", seed, usual + ["small", "short"], "ssim(preset=seed)",
               lambda x, y: conv_ssim(x, y, window2d, 5).mean(), gradient=["astronaut", "small", "short"], **one_minus)
    rounded = gaussian(11, 1.5).astype(np.float32).astype(np.float64)  # the table in ssim.cu
    fused = "definition: rahul-goel/fused-ssim ssim.cu, without its clamps"
    book.torch("ssim.fused-ssim", fused + ", in float64", usual, "ssim(preset=fused-ssim)",
               lambda x, y: conv_ssim(x, y, window2d, 5).mean(), gradient=["coffee"], **one_minus)
    book.torch("ssim.fused-ssim.table", fused + ", in float64 with its table of float32 weights", ["astronaut", "coffee"],
               "ssim(preset=fused-ssim)", lambda x, y: conv_ssim(x, y, np.outer(rounded, rounded), 5).mean(),
               tolerance="float window", **one_minus)
    book.torch("ssim.fused-ssim.valid", fused + ', padding="valid", in float64', ["astronaut"],
               "ssim(preset=fused-ssim, padding=valid)", lambda x, y: conv_ssim(x, y, window2d, 5)[:, :, 5:-5, 5:-5].mean(),
               **one_minus)

    uniform = np.full((7, 7), 1 / 49)
    book.torch("ssim.monai.old.definition", "definition: MONAI 1.1.0 metrics/regression.py SSIMMetric, window in float64",
               ["chelsea", "odd"], "ssim(preset=monai)", lambda x, y: conv_ssim(x, y, uniform, 0, 49 / 48).mean(),
               gradient=["chelsea"], **one_minus)
    for case in OLD_MONAI_CASES:
        for kind, tolerance in (("", "float window"), (".double", "double")):
            name = f"MONAI {others['old monai']['version']} losses.SSIMLoss" + (" with its window in float64" if kind else "")
            book.add("ssim.monai.old" + kind, name, case, "ssim(preset=monai)",
                     others["old monai"][case][kind[1:] or tolerance], tolerance=tolerance, u8=True)

    def monai_double(x, y):
        """MONAI's SSIMLoss converts to float32 by convert_data_type: here it does not, and the window is float64."""
        from unittest import mock

        torch.set_default_dtype(torch.float64)
        with mock.patch("monai.metrics.regression.convert_data_type", lambda a, **_: (a,)):
            loss = monai.losses.SSIMLoss(spatial_dims=2)(x, y)
        torch.set_default_dtype(torch.float32)
        return loss

    name = f"MONAI {monai.__version__} losses.SSIMLoss(spatial_dims=2)"
    book.torch("ssim.monai", name, ["astronaut", "coffee"], "ssim", lambda x, y: monai.losses.SSIMLoss(spatial_dims=2)(x, y),
               tolerance="float", u8=True)
    book.torch("ssim.monai.double", name + " without its conversion to float32", usual, "ssim", monai_double, gradient=["camera"],
               u8=True)

    name = f"tensorflow-cpu {others['tensorflow']['version']} tf.image.ssim"
    for case in TENSORFLOW_CASES:
        numbers = others["tensorflow"][case]
        book.add("ssim.tf", name, case, "ssim(preset=tf)", numbers["ssim"], tolerance="float", **one_minus)
        book.add("ssim.tf.double", name + " without its conversion to float32", case, "ssim(preset=tf)",
                 numbers["ssim in float64"], **one_minus)
        book.add("ssim.tf.7.double", name + "(filter_size=7, filter_sigma=1.0) without its conversion to float32", case,
                 "ssim(preset=tf, window=7, sigma=1)", numbers["ssim 7 taps in float64"], **one_minus)

    def decimated(x, y):
        factor = iqa_factor(*x.shape[2:])
        return iqa_decimate(x, factor), iqa_decimate(y, factor)

    name = "definition: libvmaf float_ssim, commit f85a853692"
    cases = usual + ["tie", "by3", "by4", "by5"]
    book.torch("ssim.vmaf", name + ", its window not rounded, in float64", cases, "ssim(preset=vmaf)",
               lambda x, y: conv_ssim(*decimated(x, y), window2d, 0).mean(), gradient=["odd", "by3", "by4"], **one_minus)
    for case in ["astronaut", "camera", "odd", "by3"]:
        for term, value in zip(["ssim", "luminance", "contrast", "structure"], iqa_float(*book.images(case)).tolist()):
            book.add(f"{term}.vmaf.float", name + ", with its window and arithmetic", case, f"{term}(preset=vmaf)", value,
                     tolerance="iqa factor" if term in ("contrast", "structure") else "iqa", **one_minus)

    factors = "definition: Wang et al. 2004, "
    g = gaussian(11, 1.5)

    def factor_maps(x, y):
        luminance, _, vx, vy, vxy = ssim_parts(*(separable(a, g) for a in (x, y, x * x, y * y, x * y)))
        root = np.sqrt(np.maximum(vx, 0) * np.maximum(vy, 0))
        return luminance, (2 * root + 9e-4) / (vx + vy + 9e-4), (vxy + 4.5e-4) / (root + 4.5e-4)

    def with_exponents(x, y):
        luminance, contrast, structure = (np.maximum(f, 1e-4) for f in factor_maps(x, y))
        return (luminance**0.5 * contrast**2 * structure**1.5).mean()

    for k, term in enumerate(["luminance", "contrast", "structure"]):
        tolerance = "root" if k else "double"
        book.numpy(term, factors + term, ["astronaut", "chelsea", "small"], term, lambda x, y, k=k: factor_maps(x, y)[k].mean(),
                   tolerance=tolerance, **one_minus)
        book.numpy(f"{term}.vmaf", factors + term + ", after libvmaf's decimation", ["odd", "by5"], f"{term}(preset=vmaf)",
                   lambda x, y, k=k: factor_maps(*decimated(x, y))[k].mean(), tolerance=tolerance, **one_minus)
    book.numpy("ssim.exponents", factors + "l^0.5 c^2 s^1.5, factors at least 1e-4", ["chelsea", "small"],
               "ssim(alpha=0.5, beta=2, gamma=1.5)", with_exponents, tolerance="root", **one_minus)


def ms_ssim_entries(book, libraries, others):
    torch, _, pytorch_msssim, torchmetrics, _, piq, _ = libraries
    from torchmetrics.functional.image import multiscale_structural_similarity_index_measure as torchmetrics_ms_ssim

    one_minus = {"transform": "1 - x", "u8": True}
    cases, gradient = ["astronaut", "camera", "coffee", "chelsea", "batch", "odd"], ["chelsea", "odd"]

    def vainf(x, y, **options):
        win = torch.from_numpy(gaussian(11, 1.5)).reshape(1, 1, 1, 11).repeat(x.shape[1], 1, 1, 1)
        return pytorch_msssim.ms_ssim(x, y, data_range=1.0, win=win, **options)

    name = f"pytorch-msssim {version('pytorch-msssim')} ms_ssim(win in float64"
    book.torch("ms_ssim.vainf", name + ")", cases, "ms_ssim(preset=vainf)", vainf, gradient=gradient, **one_minus)
    three = [0.2, 0.5, 0.3]
    book.torch("ms_ssim.vainf.three", name + f", weights={three})", ["odd"], "ms_ssim(preset=vainf, weights=0.2:0.5:0.3)",
               lambda x, y: vainf(x, y, weights=three), tolerance="float weights", **one_minus)
    name = f"piq {piq.__version__} multi_scale_ssim"
    book.torch("ms_ssim.piq", name, cases, "ms_ssim(preset=piq)", lambda x, y: piq.multi_scale_ssim(x, y, data_range=1.0),
               gradient=gradient, **one_minus)
    weights = torch.tensor([1, 2, 3], dtype=torch.float64)
    book.torch("ms_ssim.piq.three", name + "(scale_weights=[1, 2, 3])", ["odd"], "ms_ssim(preset=piq, weights=1:2:3)",
               lambda x, y: piq.multi_scale_ssim(x, y, data_range=1.0, scale_weights=weights), **one_minus)
    name = f"torchmetrics {torchmetrics.__version__} multiscale_structural_similarity_index_measure(data_range=1.0"
    for clamp in ("relu", "simple", None):
        book.torch(f"ms_ssim.torchmetrics.{clamp}".lower(), f"{name}, normalize={clamp})", cases if clamp == "relu" else ["odd"],
                   f"ms_ssim(preset=torchmetrics, data_range=1, clamp={clamp})".lower(),
                   lambda x, y, c=clamp: torchmetrics_ms_ssim(x, y, data_range=1.0, normalize=c), transform="1 - x",
                   tolerance="float stack", gradient=[])
    name = f"tensorflow-cpu {others['tensorflow']['version']} tf.image.ssim_multiscale"
    for case in cases:
        numbers = others["tensorflow"][case]
        book.add("ms_ssim.tf", name, case, "ms_ssim(preset=tf)", numbers["ms_ssim"], tolerance="float", **one_minus)
        book.add("ms_ssim.tf.double", name + " without its conversion to float32", case, "ms_ssim(preset=tf)",
                 numbers["ms_ssim in float64"], **one_minus)


def pixel_entries(book, libraries, others):
    torch, skimage, _, torchmetrics, kornia, piq, monai = libraries
    from skimage.metrics import peak_signal_noise_ratio
    from torchmetrics.functional import mean_squared_error
    from torchmetrics.functional.image import peak_signal_noise_ratio as torchmetrics_psnr

    nn, sums = torch.nn, {"tolerance": "sum"}
    name = f"torch {torch.__version__}"
    losses = [("mse", "mse", nn.MSELoss, {}), ("l1", "l1", nn.L1Loss, {}),
              ("huber", "huber(delta=0.05)", nn.HuberLoss, dict(delta=0.05)), ("huber1", "huber", nn.HuberLoss, {}),
              ("smooth_l1", "smooth_l1(beta=0.05)", nn.SmoothL1Loss, dict(beta=0.05)),
              ("smooth_l1_1", "smooth_l1", nn.SmoothL1Loss, {})]
    for identity, expression, loss, options in losses:
        text = f"{name} nn.{loss.__name__}({', '.join(f'{k}={v}' for k, v in options.items())})"
        book.torch(identity, text, ["astronaut", "camera", "batch"], expression, loss(**options), gradient=["batch"], **sums)
        summed = f"{expression[:-1]}, reduction=sum)" if options else f"{expression}(reduction=sum)"
        book.torch(identity + ".sum", text + " reduction=sum", ["batch"], summed, loss(**options, reduction="sum"),
                   gradient=["batch"], **sums)
    book.torch("mse.spatial", "definition: sum over channels, mean over pixels, with torch", ["batch"], "mse(reduction=spatial)",
               lambda x, y: ((x - y) ** 2).sum(1).mean(), gradient=["batch"], **sums)
    book.torch("charbonnier.1", f"kornia {kornia.__version__} losses.charbonnier_loss", ["astronaut"], "charbonnier(eps=1)",
               lambda x, y: kornia.losses.charbonnier_loss(x, y, "mean"), transform="1 + x", gradient=["astronaut"], **sums)
    book.torch("charbonnier", "definition: sqrt(d^2 + eps^2) with torch", ["astronaut", "batch"], "charbonnier",
               lambda x, y: ((x - y) ** 2 + 1e-6).sqrt().mean(), gradient=["batch"], **sums)

    psnr = {"tolerance": "sum", "u8": True}
    book.numpy("psnr.skimage", f"scikit-image {skimage.__version__} peak_signal_noise_ratio",
               ["astronaut", "camera", "coffee", "batch"], "psnr", lambda x, y: peak_signal_noise_ratio(y, x, data_range=1.0),
               **psnr)
    book.numpy("psnr.range", f"scikit-image {skimage.__version__} peak_signal_noise_ratio(data_range=2.5)", ["camera"],
               "psnr(data_range=2.5)", lambda x, y: peak_signal_noise_ratio(y, x, data_range=2.5), tolerance="sum")
    with np.errstate(divide="ignore"):
        book.numpy("psnr.identical", f"scikit-image {skimage.__version__} peak_signal_noise_ratio", ["identical"], "psnr",
                   lambda x, y: peak_signal_noise_ratio(y, x, data_range=1.0), **psnr)
    book.torch("psnr.torchmetrics", f"torchmetrics {torchmetrics.__version__} peak_signal_noise_ratio(data_range=1.0)", ["batch"],
               "psnr", lambda x, y: torchmetrics_psnr(x, y, data_range=1.0), gradient=["batch"], tolerance="float log",
               u8=True)
    book.torch("psnr.torchmetrics.images",
               f"torchmetrics {torchmetrics.__version__} peak_signal_noise_ratio(data_range=1.0, dim=(1, 2, 3))", ["batch"],
               "psnr(mean_of_images)", lambda x, y: torchmetrics_psnr(x, y, data_range=1.0, dim=(1, 2, 3)), gradient=["batch"],
               tolerance="float log", u8=True)
    book.torch("psnr.kornia", f"kornia {kornia.__version__} metrics.psnr", ["astronaut", "batch"], "psnr",
               lambda x, y: kornia.metrics.psnr(x, y, 1.0), gradient=["astronaut"], **psnr)
    book.torch("psnr.piq", f"piq {piq.__version__} psnr", ["batch", "identical"], "psnr(mean_of_images, eps=1e-8)",
               lambda x, y: piq.psnr(x, y, data_range=1.0), gradient=["batch"], tolerance="sum")
    book.torch("psnr.monai", f"MONAI {monai.__version__} metrics.PSNRMetric(max_val=1)", ["batch"], "psnr(mean_of_images)",
               lambda x, y: monai.metrics.PSNRMetric(max_val=1)(x, y).mean(), **psnr)
    book.torch("rmse", f"torchmetrics {torchmetrics.__version__} mean_squared_error(squared=False)", ["astronaut", "batch"],
               "rmse", lambda x, y: mean_squared_error(x, y, squared=False), gradient=["batch"], **sums)
    book.torch("rmse.images", "definition: mean of the images' own, with torch", ["batch"], "rmse(mean_of_images)",
               lambda x, y: ((x - y) ** 2).mean((1, 2, 3)).sqrt().mean(), gradient=["batch"], **sums)
    tensorflow = f"tensorflow-cpu {others['tensorflow']['version']}"
    for case in TENSORFLOW_CASES:
        numbers = others["tensorflow"][case]
        book.add("psnr.tf", f"{tensorflow} tf.image.psnr", case, "psnr(mean_of_images)", numbers["psnr"],
                 tolerance="float mean", u8=True)


def stencil_entries(book, libraries, others):
    torch, skimage, _, torchmetrics, kornia, piq, _ = libraries
    from skimage.filters import gaussian as skimage_gaussian
    from torchmetrics.functional.image import total_variation as torchmetrics_tv

    nn, sums = torch.nn.functional, {"tolerance": "sum"}
    name = f"torchmetrics {torchmetrics.__version__} total_variation"
    book.torch("tv.sum", name, ["astronaut", "batch", "small"], "tv(reduction=sum)", lambda x, y: torchmetrics_tv(x),
               gradient=["batch"], **sums)
    name = f"kornia {kornia.__version__} losses.total_variation"
    book.torch("tv.kornia.sum", name + "(), summed over planes", ["batch"], "tv(reduction=sum)",
               lambda x, y: kornia.losses.total_variation(x).sum(), **sums)
    book.torch("tv.kornia.mean", name + "(reduction=mean), mean over planes", ["batch", "small"], "tv(own_counts)",
               lambda x, y: kornia.losses.total_variation(x, "mean").mean(), gradient=["batch", "small"], **sums)
    for norm, expression, transform in [("l1", "tv(reduction=sum)", "x"), ("l2_squared", "tv(squared, reduction=sum)", "x"),
                                        ("l2", "tv(l2, reduction=sum)", "x * x")]:
        book.torch(f"tv.piq.{norm}", f"piq {piq.__version__} total_variation(norm_type={norm})", ["astronaut"], expression,
                   lambda x, y, norm=norm: piq.total_variation(x, norm_type=norm), transform, gradient=["astronaut"], **sums)

    def forward_differences(x):
        return nn.pad(x[..., :, 1:] - x[..., :, :-1], (0, 1)), nn.pad(x[..., 1:, :] - x[..., :-1, :], (0, 0, 0, 1))

    book.torch("tv.mean", "definition: (sum |dx| + sum |dy|) / (N C H W), with torch", ["batch"], "tv",
               lambda x, y: sum(d.abs().mean() for d in forward_differences(x)), gradient=["batch"], **sums)
    book.torch("tv.isotropic", "definition: mean sqrt(dx^2 + dy^2 + eps^2), with torch", ["batch", "small"],
               "tv(isotropic, charbonnier, eps=0.01)",
               lambda x, y: (sum(d**2 for d in forward_differences(x)) + 1e-4).sqrt().mean(), gradient=["batch", "small"], **sums)
    book.torch("tv.isotropic.default", "definition: mean sqrt(dx^2 + dy^2 + 1e-6), with torch", ["small"], "tv(isotropic)",
               lambda x, y: (sum(d**2 for d in forward_differences(x)) + 1e-6).sqrt().mean(), gradient=["small"], **sums)
    numbers, tensorflow = others["tensorflow"], f"tensorflow-cpu {others['tensorflow']['version']}"
    book.add("tv.tf", f"{tensorflow} tf.image.total_variation, mean over images", "batch", "tv(reduction=sum)",
             numbers["batch"]["total_variation"], "2 * x", "sum")
    for case in ("astronaut", "batch"):
        book.add("sobel.tf", f"{tensorflow} tf.image.sobel_edges(x - y), mean of both components' |.|", case,
                 "sobel(border=reflect)", numbers[case]["sobel_edges"], "x", "sum")

    def conv(e, kernels):
        """e padded with zeros, correlated with 3 x 3 kernels: a list of images."""
        weights = [torch.tensor(k, dtype=e.dtype).expand(e.shape[1], 1, 3, 3) for k in kernels]
        return [nn.conv2d(e, w, padding=1, groups=e.shape[1]) for w in weights]

    sobel = [[[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], [[-1, -2, -1], [0, 0, 0], [1, 2, 1]]]
    cases = ["astronaut", "batch", "small"]
    gradient = {"gradient": ["batch", "small"], **sums}
    # With |.|, values only: where these sums are 0 in exact arithmetic, as often with 8-bit images, their signs are rounding.
    book.torch("sobel", "definition: |gx| + |gy|, zero border, with torch conv2d", cases, "sobel",
               lambda x, y: sum(g.abs().mean() for g in conv(x - y, sobel)), **sums)
    book.torch("sobel.l2", "definition: gx^2 + gy^2, zero border, with torch conv2d", cases, "sobel(l2)",
               lambda x, y: sum((g**2).mean() for g in conv(x - y, sobel)), **gradient)
    book.torch("sobel.charbonnier", "definition: sqrt(gx^2 + eps^2) + sqrt(gy^2 + eps^2), zero border, with torch conv2d", cases,
               "sobel(charbonnier, eps=0.01)",
               lambda x, y: sum((g**2 + 1e-4).sqrt().mean() for g in conv(x - y, sobel)), **gradient)
    book.torch("sobel.sum", "definition: zero border, summed, with torch conv2d", ["small"],
               "sobel(huber, delta=0.1, reduction=sum)",
               lambda x, y: sum(nn.huber_loss(g, 0 * g, delta=0.1, reduction="sum") for g in conv(x - y, sobel)),
               gradient=["small"], **sums)
    name = f"kornia {kornia.__version__} filters."
    book.torch("sobel.kornia.components", name + "spatial_gradient(x - y, normalized=False), mean |gx| + |gy|", cases,
               "sobel(border=replicate)",
               lambda x, y: kornia.filters.spatial_gradient(x - y, normalized=False).abs().sum(2).mean(), **sums)
    book.torch("sobel.kornia", name + "sobel(x - y)", cases, "sobel(isotropic, charbonnier, eps=0.008, border=replicate)",
               lambda x, y: kornia.filters.sobel(x - y).mean(), transform="8 * x", **gradient)
    laplacian4 = [[[0, 1, 0], [1, -4, 1], [0, 1, 0]]]
    laplacian8 = [[[1, 1, 1], [1, -8, 1], [1, 1, 1]]]
    book.torch("laplacian", "definition: zero border, with torch conv2d", cases, "laplacian",
               lambda x, y: conv(x - y, laplacian4)[0].abs().mean(), **sums)
    book.torch("laplacian.l2", "definition: zero border, with torch conv2d", cases, "laplacian(l2)",
               lambda x, y: (conv(x - y, laplacian4)[0] ** 2).mean(), **gradient)
    book.torch("laplacian.8", "definition: zero border, with torch conv2d", ["batch"], "laplacian(neighbours=8, l2)",
               lambda x, y: (conv(x - y, laplacian8)[0] ** 2).mean(), gradient=["batch"], **sums)
    book.torch("laplacian.valid", "definition: whole windows only, with torch conv2d", ["small"],
               "laplacian(border=valid, smooth_l1)",
               lambda x, y: nn.smooth_l1_loss(*(conv(a, laplacian4)[0][..., 1:-1, 1:-1] for a in (x, y))), gradient=["small"],
               **sums)
    for border in ("reflect", "replicate"):
        book.torch(f"laplacian.kornia.{border}", f"{name}laplacian(x - y, 3, {border}, normalized=False)", ["batch", "small"],
                   f"laplacian(neighbours=8, l2, border={border})",
                   lambda x, y, b=border: (kornia.filters.laplacian(x - y, 3, b, normalized=False) ** 2).mean(), **gradient)

    blurs = [("constant", "zero"), ("reflect", "reflect"), ("replicate", "replicate")]
    for kornia_border, border in blurs:
        book.torch(f"blur.kornia.{border}", f"{name}gaussian_blur2d(x - y, 9, 2.0, {kornia_border})", ["batch", "small"],
                   f"blur(window=9, sigma=2, border={border})",
                   lambda x, y, b=kornia_border: (kornia.filters.gaussian_blur2d(x - y, (9, 9), (2.0, 2.0), b) ** 2).mean(),
                   **gradient)
    wide, narrow = (torch.from_numpy(np.outer(g, g)).expand(3, 1, -1, -1) for g in (gaussian(21, 3.0), gaussian(5, 1.0)))
    book.torch("blur.conv", "definition: mean square, zero border, with torch conv2d", ["chelsea"], "blur(window=21, sigma=3)",
               lambda x, y: (nn.conv2d(x - y, wide, padding=10, groups=3) ** 2).mean(), gradient=["chelsea"], **sums)
    book.torch("blur.valid", "definition: mean |.|, whole windows only, with torch conv2d", ["chelsea"],
               "blur(l1, window=5, sigma=1, border=valid)", lambda x, y: nn.conv2d(x - y, narrow, groups=3).abs().mean(),
               gradient=["chelsea"], **sums)
    book.numpy("blur.skimage", f"scikit-image {skimage.__version__} filters.gaussian(x - y, 3, mode=nearest, truncate=3.5)",
               ["chelsea"], "blur(sigma=3, border=replicate)",
               lambda x, y: np.mean([skimage_gaussian(p, 3, mode="nearest", truncate=3.5) ** 2 for p in (x - y)[0]]), **sums)


def mixture_entries(book, libraries):
    """A weighted sum, and its gradient."""
    torch, _, pytorch_msssim, *_ = libraries
    window, window2d = gaussian(11, 1.5), np.outer(gaussian(11, 1.5), gaussian(11, 1.5))

    def ssim_and_l1(x, y):
        win = torch.from_numpy(window).expand(x.shape[1], 1, 1, -1)
        return 0.84 * (1 - pytorch_msssim.ssim(x, y, data_range=1.0, win=win)) + 0.16 * torch.nn.functional.l1_loss(x, y)

    def splatting(x, y):
        return 0.8 * (x - y).abs().mean() + 0.2 * (1 - conv_ssim(x, y, window2d, 5).mean())

    name = f"0.84 (1 - pytorch-msssim {version('pytorch-msssim')} ssim(win in float64)) + 0.16 torch nn.L1Loss"
    cases = ["astronaut", "batch", "odd"]
    book.torch("mixture", name, cases, "0.84*ssim + 0.16*l1", ssim_and_l1, gradient=cases)
    name = "definition: 3D Gaussian splatting, 0.8 L1 + 0.2 (1 - SSIM with zero padding)"
    cases = ["astronaut", "small"]
    book.torch("mixture.splatting", name, cases, "0.8*l1 + 0.2*ssim(preset=seed)", splatting, gradient=cases)


def version(package):
    from importlib.metadata import version as installed

    return installed(package)


def run_elsewhere(python, what, **environment):
    """known_elsewhere.py in another environment."""
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "known_elsewhere.py")
    environment = {**os.environ, **environment}
    done = subprocess.run([python, script, what], env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tensorflow", required=True, help="python of an environment with tensorflow-cpu")
    parser.add_argument("--old-monai", required=True, help="folder that holds MONAI 1.1.0")
    parser.add_argument("--output", default=os.path.join(ROOT, "tests", "data", "known_values.json"))
    options = parser.parse_args()

    others = {"tensorflow": run_elsewhere(options.tensorflow, "tensorflow"),
              "old monai": run_elsewhere(sys.executable, "old-monai", PYTHONPATH=options.old_monai)}
    libraries = import_libraries()
    libraries[0].set_num_threads(1)  # torch's sums depend on it in the last digit
    book = Book()
    ssim_entries(book, libraries, others)
    ms_ssim_entries(book, libraries, others)
    pixel_entries(book, libraries, others)
    stencil_entries(book, libraries, others)
    mixture_entries(book, libraries)

    packages = "torch numpy scipy scikit-image pillow pytorch-msssim torchmetrics kornia piq monai".split()
    versions = {"python": sys.version.split()[0], **{p: version(p) for p in packages}}
    versions.update({"tensorflow-cpu": others["tensorflow"]["version"], "monai, old": others["old monai"]["version"]})
    book.write(options.output, versions)


if __name__ == "__main__":
    main()
