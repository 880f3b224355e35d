"""The drop-ins: names and parameters of the packages, and the values that these computed
(tests/data/known_values.json)."""

import ast
import importlib
import inspect
import json
import pathlib

import pytest

np = pytest.importorskip("numpy", reason="numpy is not installed")
torch = pytest.importorskip("torch", reason="torch is not installed")

import pixloss  # noqa: E402
import pixloss.compat as compat  # noqa: E402
from conftest import ROOT  # noqa: E402
from make_compat_signatures import parameters_of  # noqa: E402
from pixloss.compat import fused_ssim, kornia, piq, pytorch_msssim, torchmetrics  # noqa: E402
from pixloss.compat.skimage import metrics as skimage_metrics  # noqa: E402

TABLE = compat.table()
SIGNATURES = json.loads(
    pathlib.Path(__file__).with_name("compat_signatures.json").read_text(encoding="utf-8")
)
OWN = {("piq", "LPIPS"): {"network"}}  # what a drop-in takes beside the package's parameters


# ---- The table -----------------------------------------------------------------------------------
def test_every_public_name_is_in_the_table():
    for name in compat.MODULES:
        module = importlib.import_module(f"pixloss.compat.{name}")
        listed = {row[1] for row in TABLE if row[0] == name and row[3] is None}
        public = {n for n in module.__all__ if callable(getattr(module, n))}
        assert (
            public and public <= listed | {"MeanSquaredError"} and listed <= {*module.__all__}
        ), name


@pytest.mark.parametrize("module,name", [row[:2] for row in TABLE if row[3] is None])
def test_parameters_and_defaults_are_the_packages(module, name):
    target = getattr(importlib.import_module(f"pixloss.compat.{module}"), name)
    own = parameters_of(target)
    package = SIGNATURES[module][name]
    assert [p for p in own if p not in OWN.get((module, name), ())] == list(package)
    for parameter, default in package.items():
        if parameter in ("net_type", "weights", "layers", "betas", "mean", "std", "scale_weights"):
            continue  # tuples for lists, or a network for the name of one that is downloaded
        assert _value(own[parameter]) == _value(default), parameter


def _value(text):
    try:
        return None if text is None else ast.literal_eval(text)
    except ValueError:
        return text


def test_the_readme_has_the_table():
    assert compat.markdown() in (ROOT / "python" / "README.md").read_text(encoding="utf-8")


def test_refusals_say_why():
    a = torch.rand(1, 3, 32, 32)
    with pytest.raises(pixloss.UnsupportedError, match="ssim.win=.*a window of one's own"):
        pytorch_msssim.ssim(a, a, 1.0, True, 11, 1.5, torch.ones(3, 1, 1, 11))
    with pytest.raises(
        pixloss.UnsupportedError, match="spatial_dims=3.: windows of three dimensions"
    ):
        pytorch_msssim.SSIM(spatial_dims=3)
    with pytest.raises(pixloss.UnsupportedError, match="reduction='none'.: a loss for each pixel"):
        kornia.losses.ssim_loss(a, a, 5, reduction="none")
    with pytest.raises(AttributeError, match="piq.DISTS has no drop-in: no term computes it"):
        piq.DISTS
    with pytest.raises(AttributeError, match="no attribute 'brisque'"):
        piq.brisque
    with pytest.raises(pixloss.UnsupportedError, match="weights are not downloaded"):
        piq.ContentLoss()
    with pytest.raises(
        pixloss.UnsupportedError, match="gradient=True.: scikit-image's is not the gradient"
    ):
        skimage_metrics.structural_similarity(
            np.zeros((9, 9)), np.zeros((9, 9)), data_range=1, gradient=True
        )
    with pytest.raises(pixloss.UnsupportedError, match="dist_sync_on_step"):
        torchmetrics.image.PeakSignalNoiseRatio(1.0, dist_sync_on_step=True)


def test_importing_a_drop_in_for_numpy_takes_no_torch():
    import subprocess
    import sys

    code = "import sys, pixloss.compat.skimage.metrics; print('torch' in sys.modules)"
    assert (
        subprocess.run(
            [sys.executable, "-c", code], check=True, capture_output=True, text=True
        ).stdout
        == "False\n"
    )


# ---- Values that the packages computed -----------------------------------------------------------
tm = torchmetrics.functional.image
WIN = dict(data_range=1.0)
VALUES = {
    "ssim.vainf.double": lambda x, y: pytorch_msssim.ssim(x, y, **WIN),
    "ssim.vainf.wang": lambda x, y: pytorch_msssim.SSIM(data_range=1.0)(x, y),
    "ms_ssim.vainf": lambda x, y: pytorch_msssim.ms_ssim(x, y, **WIN),
    "ms_ssim.vainf.three": lambda x, y: pytorch_msssim.MS_SSIM(
        data_range=1.0, weights=[0.2, 0.5, 0.3]
    )(x, y),
    "ssim.fused-ssim": lambda x, y: fused_ssim.fused_ssim(x, y),
    "ssim.fused-ssim.valid": lambda x, y: fused_ssim.fused_ssim(x, y, padding="valid"),
    "ssim.torchmetrics.range1": lambda x, y: tm.structural_similarity_index_measure(
        x, y, data_range=1.0
    ),
    "ssim.torchmetrics": lambda x, y: tm.structural_similarity_index_measure(x, y),
    "ssim.torchmetrics.sigma2": lambda x, y: tm.structural_similarity_index_measure(
        x, y, sigma=2.0, kernel_size=3, data_range=1.0
    ),
    "ssim.torchmetrics.uniform": lambda x, y: tm.structural_similarity_index_measure(
        x, y, gaussian_kernel=False, kernel_size=9, data_range=1.0
    ),
    "ms_ssim.torchmetrics.relu": lambda x, y: tm.multiscale_structural_similarity_index_measure(
        x, y, data_range=1.0
    ),
    "ms_ssim.torchmetrics.simple": lambda x, y: tm.multiscale_structural_similarity_index_measure(
        x, y, data_range=1.0, normalize="simple"
    ),
    "psnr.torchmetrics": lambda x, y: tm.peak_signal_noise_ratio(x, y, data_range=1.0),
    "psnr.torchmetrics.images": lambda x, y: tm.peak_signal_noise_ratio(
        x, y, data_range=1.0, dim=(1, 2, 3)
    ),
    "rmse": lambda x, y: torchmetrics.functional.mean_squared_error(x, y, squared=False),
    "tv.sum": lambda x, y: tm.total_variation(x),
    "ssim.piq": lambda x, y: piq.ssim(x, y),
    "ssim.piq.full": lambda x, y: piq.ssim(x, y, downsample=False),
    "ssim.piq.7": lambda x, y: piq.ssim(x, y, kernel_size=7, kernel_sigma=1.0, k2=0.4),
    "ms_ssim.piq": lambda x, y: piq.multi_scale_ssim(x, y),
    "ms_ssim.piq.three": lambda x, y: 1
    - piq.MultiScaleSSIMLoss(scale_weights=torch.tensor([1.0, 2, 3]))(x, y),
    "psnr.piq": lambda x, y: piq.psnr(x, y),
    "tv.piq.l1": lambda x, y: piq.total_variation(x, norm_type="l1"),
    "tv.piq.l2": lambda x, y: piq.TVLoss()(x),
    "tv.piq.l2_squared": lambda x, y: piq.total_variation(x, norm_type="l2_squared"),
    "ssim.kornia.same": lambda x, y: kornia.metrics.ssim(x, y, 11).mean(),
    "ssim.kornia.valid": lambda x, y: kornia.metrics.SSIM(11, padding="valid")(x, y).mean(),
    "ssim.kornia.loss": lambda x, y: kornia.losses.ssim_loss(x, y, 5),
    "psnr.kornia": lambda x, y: kornia.metrics.psnr(x, y, 1.0),
    "tv.kornia.sum": lambda x, y: kornia.losses.total_variation(x).sum(),
    "tv.kornia.mean": lambda x, y: kornia.losses.total_variation(x, "mean").mean(),
    "charbonnier.1": lambda x, y: kornia.losses.charbonnier_loss(x, y, "mean"),
    "ssim.skimage": lambda x, y: _by_image(x, y),
    "ssim.skimage.wang": lambda x, y: _by_image(
        x, y, gaussian_weights=True, use_sample_covariance=False
    ),
    "ssim.skimage.sigma1": lambda x, y: _by_image(x, y, gaussian_weights=True, sigma=1.0),
    "ssim.skimage.uniform9": lambda x, y: _by_image(x, y, win_size=9, use_sample_covariance=False),
    "ssim.skimage.k": lambda x, y: _by_image(x, y, K1=0.02, K2=0.05),
    "psnr.skimage": lambda x, y: skimage_metrics.peak_signal_noise_ratio(
        y.numpy(), x.numpy(), data_range=1.0
    ),
}
CASES = ["chelsea", "odd", "small", "batch", "astronaut"]  # one of each, the first there is


def _by_image(x, y, **options):
    return np.mean(
        [
            skimage_metrics.structural_similarity(
                b.numpy(), a.numpy(), data_range=1.0, channel_axis=0, **options
            )
            for a, b in zip(x, y)
        ]
    )


@pytest.mark.parametrize("identity", VALUES)
def test_values(identity, known_values, known_images):
    case = next(case for case in CASES if f"{identity}/{case}" in known_values)
    entry = known_values[f"{identity}/{case}"]
    x, y = (torch.from_numpy(image / 255.0) for image in known_images.load(case))
    tolerance = {"eps": 1e-5, "float log": 1e-6, "float stack": 1e-8, "float weights": 1e-7}.get(
        entry["tolerance"], 1e-10
    )
    assert float(VALUES[identity](x, y)) == pytest.approx(
        entry["peer"], rel=tolerance, abs=tolerance
    )


# ---- What the packages' own suites assert, re-expressed ------------------------------------------
@pytest.fixture
def images():
    torch.manual_seed(4)
    x = torch.rand(4, 3, 180, 170)
    return x, (x + 0.1 * torch.rand_like(x)).clamp(0, 1)


def test_pytorch_msssim_asserts(images):
    x, y = (255 * image for image in images)
    assert pytorch_msssim.ssim(x, x) == 1 and pytorch_msssim.ms_ssim(x, x) == 1
    each = pytorch_msssim.ssim(x, y, size_average=False)
    assert each.shape == (4,) and torch.allclose(each.mean(), pytorch_msssim.SSIM()(x, y))
    x.requires_grad_()
    (1 - pytorch_msssim.ms_ssim(x, y)).backward()
    assert x.grad.isfinite().all()
    opposed = torch.tensor([[0.0, 1.0], [1.0, 0.0]]).repeat(10, 10)[None, None]
    pair = torch.cat([opposed, opposed], 1), torch.cat([1 - opposed, opposed], 1)  # -0.99 and 1
    plain, clamped = (
        pytorch_msssim.ssim(*pair, data_range=1.0, nonnegative_ssim=n, size_average=False)
        for n in (False, True)
    )
    assert clamped == 0.5 and plain < 0.01
    with pytest.raises(ValueError, match="odd"):
        pytorch_msssim.ssim(x, y, win_size=10)


def test_torchmetrics_asserts(images):
    x, y = images
    metric = torchmetrics.image.StructuralSimilarityIndexMeasure(data_range=1.0)
    first = metric(x[:2], y[:2])
    metric.update(x[2:], y[2:])
    each = tm.structural_similarity_index_measure(x, y, reduction="none", data_range=1.0)
    assert (
        each.shape == (4,)
        and torch.allclose(metric.compute(), each.mean())
        and torch.allclose(first, each[:2].mean())
    )
    metric.reset()
    with pytest.raises(RuntimeError, match="no batch"):
        metric.compute()
    p = x.clone().requires_grad_()
    (1 - metric(p, y)).backward()
    assert p.grad.abs().sum() > 0
    psnr = torchmetrics.image.PeakSignalNoiseRatio(data_range=1.0)
    mse = torchmetrics.MeanSquaredError(squared=False)
    # Of unequal size: the error of all pixels, not the mean of the batches'
    for half in (slice(0, 3), slice(3, 4)):
        psnr.update(x[half], y[half])
        mse.update(x[half], y[half])
    assert torch.allclose(psnr.compute(), tm.peak_signal_noise_ratio(x, y, 1.0))
    assert torch.allclose(mse.compute(), ((x - y) ** 2).mean().sqrt())
    assert torch.allclose(
        tm.peak_signal_noise_ratio(x, y, 1.0, base=2.0), 10 * torch.log2(1 / ((x - y) ** 2).mean())
    )
    clamped = tm.peak_signal_noise_ratio(2 * x, 2 * y, (0.0, 1.0))
    assert torch.allclose(
        clamped, tm.peak_signal_noise_ratio((2 * x).clamp(0, 1), (2 * y).clamp(0, 1), 1.0)
    )
    total = torchmetrics.image.TotalVariation(reduction="mean")
    total.update(x)
    assert torch.allclose(total.compute(), tm.total_variation(x, "mean"))
    sideways = tm.structural_similarity_index_measure(
        x.transpose(2, 3), y.transpose(2, 3), sigma=[2.0, 0.8], data_range=1.0
    )
    assert torch.allclose(
        tm.structural_similarity_index_measure(x, y, sigma=(0.8, 2.0), data_range=1.0),
        sideways,
        atol=1e-5,
    )
    boxes = tm.structural_similarity_index_measure(
        x, y, gaussian_kernel=False, kernel_size=(9, 3), data_range=1.0
    )
    assert torch.allclose(
        boxes,
        1 - pixloss.torch.ssim(x, y, uniform=True, window=(9, 3), border="reflect"),
        atol=1e-5,
    )
    with pytest.raises(ValueError, match="`sigma` has dimension 3"):
        tm.structural_similarity_index_measure(x, y, sigma=(1.5, 2.0, 1.0))


def test_piq_asserts(images):
    x, y = images
    assert piq.ssim(x, x) == 1 and piq.SSIMLoss()(x, x) == 0 and piq.multi_scale_ssim(x, x) == 1
    for function in (piq.ssim, piq.multi_scale_ssim, piq.psnr):
        each = function(x, y, reduction="none")
        assert each.shape == (4,) and torch.allclose(each.mean(), function(x, y), atol=1e-5)
        assert torch.allclose(each.sum(), function(x, y, reduction="sum"), atol=1e-4)
        assert torch.allclose(function(255 * x, 255 * y, data_range=255), function(x, y), atol=1e-5)
    assert torch.allclose(
        piq.SSIMLoss(reduction="sum")(x, y), 1 - piq.ssim(x, y, reduction="sum"), atol=1e-5
    )
    assert piq.psnr(x, x) == pytest.approx(80, abs=1e-3)
    p = x.clone().requires_grad_()
    piq.TVLoss()(p).backward()
    assert p.grad.isfinite().all()
    squares = piq.total_variation(x, "none", "l2_squared")
    assert torch.allclose(piq.total_variation(x, "none"), squares.sqrt()) and torch.allclose(
        piq.TVLoss()(x), squares.sqrt().mean()
    )
    constant = torch.full((2, 3, 8, 9), 0.5, requires_grad=True)
    piq.total_variation(constant).backward()
    assert (constant.grad == 0).all()  # piq's is NaN


def test_kornia_asserts(images):
    x, y = images
    assert kornia.metrics.ssim(x, y, 5).shape == x.shape and kornia.metrics.ssim(
        x, y, 5, padding="valid"
    ).shape == (4, 3, 176, 166)
    loss = kornia.losses.SSIMLoss(5)(x, y)
    assert torch.allclose(loss, (1 - kornia.metrics.ssim(x, y, 5).mean()) / 2, atol=1e-5)
    assert kornia.losses.PSNRLoss(1.0)(x, y) == -kornia.metrics.psnr(x, y, 1.0)
    assert kornia.losses.TotalVariation()(x).shape == (4, 3) and kornia.losses.total_variation(
        x[0]
    ).shape == (3,)
    assert torch.allclose(
        kornia.losses.total_variation(x)[1, 2],
        x[1, 2].diff(dim=0).abs().sum() + x[1, 2].diff(dim=1).abs().sum(),
    )
    with pytest.raises(pixloss.UnsupportedError, match="maps have none"):
        kornia.metrics.ssim(x.requires_grad_(), y, 5)


def test_skimage_asserts():
    rng = np.random.default_rng(5)
    x = rng.integers(0, 256, (40, 50)).astype("u1")
    y = np.clip(x + rng.integers(-20, 20, x.shape), 0, 255).astype("u1")
    assert skimage_metrics.structural_similarity(x, x) == 1
    by_floats = skimage_metrics.structural_similarity(
        x.astype(float), y.astype(float), data_range=255
    )
    assert skimage_metrics.structural_similarity(x, y) == pytest.approx(by_floats, rel=1e-5)
    assert skimage_metrics.mean_squared_error(x, y) == ((x.astype(float) - y) ** 2).mean()
    assert (
        skimage_metrics.mean_squared_error(x.astype("i4"), y) == ((x.astype(float) - y) ** 2).mean()
    )
    expected = 10 * np.log10(255**2 / ((x.astype(float) - y) ** 2).mean())
    assert skimage_metrics.peak_signal_noise_ratio(x, y) == pytest.approx(expected)
    assert skimage_metrics.peak_signal_noise_ratio(x, x) == np.inf
    stack = np.stack([x, y, x], 2)
    assert skimage_metrics.structural_similarity(
        stack, stack[::-1], channel_axis=2
    ) == pytest.approx(
        np.mean(
            [
                skimage_metrics.structural_similarity(stack[..., c], stack[::-1, :, c])
                for c in range(3)
            ]
        ),
        rel=1e-5,
    )
    value, each = skimage_metrics.structural_similarity(
        stack, stack[::-1], channel_axis=2, full=True
    )
    assert value == skimage_metrics.structural_similarity(stack, stack[::-1], channel_axis=2)
    assert (
        each.shape == stack.shape
        and each[3:-3, 3:-3].mean() == pytest.approx(value)
        and each.dtype == np.float64
    )
    for code, message in (
        (lambda: skimage_metrics.structural_similarity(x, y[1:]), "same dimensions"),
        (
            lambda: skimage_metrics.structural_similarity(x / 255, y / 255),
            "must specify the data_range",
        ),
        (
            lambda: skimage_metrics.structural_similarity(x[:5, :5], y[:5, :5]),
            "exceeds image extent",
        ),
        (lambda: skimage_metrics.structural_similarity(x, y, win_size=8), "must be odd"),
        (lambda: skimage_metrics.peak_signal_noise_ratio(x / 1.0, y / 1.0), "outside the range"),
    ):
        with pytest.raises(ValueError, match=message):
            code()


# scikit-image 0.26.0's map at its corners, an edge and in its middle.
FULL = [
    (
        {},
        -0.052713959980568416,
        [
            0.3921990666890121,
            -0.09998635016704852,
            -0.0727343489560085,
            -0.07380534313373849,
            -0.3123415654709311,
        ],
    ),
    (
        dict(gaussian_weights=True, sigma=0.8, use_sample_covariance=False),
        0.13704045641350102,
        [
            0.8765634410081377,
            -0.27123546029416173,
            0.48795128763756956,
            -0.4057131493878067,
            -0.1974728261943843,
        ],
    ),
]


@pytest.mark.parametrize("options,mean,expected", FULL)
def test_the_full_map_of_skimage(options, mean, expected):
    i, j = np.indices((9, 10))
    x, y = (31 * i + 17 * j) % 23 / 22, (29 * i + 11 * j) % 19 / 18
    value, full = skimage_metrics.structural_similarity(x, y, data_range=1.0, full=True, **options)
    assert value == pytest.approx(mean, abs=1e-12) and full.shape == x.shape
    assert [full[at] for at in ((0, 0), (0, 9), (4, 5), (8, 3), (8, 9))] == pytest.approx(
        expected, abs=1e-12
    )


def test_signatures_are_inspectable():
    assert (
        "data_range" in inspect.signature(pytorch_msssim.ssim).parameters
        and pytorch_msssim.SSIM.__doc__
    )
