"""The drop-ins beside the packages themselves, in float64: values and gradients over their
parameters. Takes the packages, hundreds of megabytes: scripts/test.sh --full installs them."""

import inspect
import itertools

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
np = pytest.importorskip("numpy", reason="numpy is not installed")

import pixloss  # noqa: E402
import pixloss.compat as compat  # noqa: E402
from make_compat_signatures import import_package, signatures  # noqa: E402

pytestmark = pytest.mark.slow
torch.manual_seed(6)
# torchmetrics wants more than 160 pixels a side here, and 176 for five scales; one side is odd.
X = torch.rand(2, 3, 176, 181, dtype=torch.float64)
Y = (X + 0.2 * torch.rand_like(X)).clamp(0, 1)


def package(name):
    try:
        return import_package(name)
    except ImportError as error:
        pytest.skip(f"{name} is not installed ({error}); scripts/test.sh --full installs it")


def value_and_gradient(function, *images):
    x = images[0].clone().requires_grad_()
    value = function(x, *images[1:])
    value.sum().backward()
    return value.detach(), x.grad


def assert_same(ours, theirs, images=(X, Y), tolerance=1e-6):
    """Values to `tolerance`; gradients too, of their largest element."""
    (value, gradient), (expected, expected_gradient) = (
        value_and_gradient(f, *images) for f in (ours, theirs)
    )
    assert value.shape == expected.shape
    torch.testing.assert_close(value.double(), expected.double(), atol=tolerance, rtol=tolerance)
    assert (
        gradient - expected_gradient
    ).abs().max() <= 10 * tolerance * expected_gradient.abs().max()


def test_stored_signatures_are_those_of_the_packages():
    import json
    import pathlib

    for name in ("pytorch_msssim", "skimage.metrics", "torchmetrics", "piq", "kornia.losses"):
        package(name)
    stored = json.loads(
        pathlib.Path(__file__).with_name("compat_signatures.json").read_text(encoding="utf-8")
    )
    assert signatures(compat.table()) == stored


def choices(options):
    """Each option's values with the others' defaults, and all second values at once."""
    combinations = [{}] + [{name: value} for name, values in options.items() for value in values]
    combinations.append({name: values[-1] for name, values in options.items()})
    return combinations


PYTORCH_MSSSIM = {
    "ssim": dict(
        size_average=[False],
        win_size=[7],
        win_sigma=[1.0],
        K=[(0.02, 0.05)],
        nonnegative_ssim=[True],
    ),
    "ms_ssim": dict(
        size_average=[False],
        win_size=[7],
        win_sigma=[1.0],
        K=[(0.02, 0.05)],
        weights=[[0.3, 0.7], [0.2, 0.5, 0.3]],
    ),
}


@pytest.mark.parametrize("name", PYTORCH_MSSSIM)
def test_pytorch_msssim(name):
    """Its window is made in float32, which its values are off by."""
    import pixloss.compat.pytorch_msssim as ours

    theirs = package("pytorch_msssim")
    for options in choices(PYTORCH_MSSSIM[name]):
        assert_same(
            lambda x, y: getattr(ours, name)(x, y, data_range=1.0, **options),
            lambda x, y: getattr(theirs, name)(x, y, data_range=1.0, **options),
            tolerance=2e-5,
        )


TORCHMETRICS = {
    "structural_similarity_index_measure": dict(
        gaussian_kernel=[False],
        sigma=[1.0, (0.8, 2.0)],
        kernel_size=[7, (9, 3)],
        reduction=["sum", "none"],
        data_range=[1.0, (0.1, 0.8)],
        k1=[0.02],
        k2=[0.05],
    ),
    "multiscale_structural_similarity_index_measure": dict(
        sigma=[1.0, (0.6, 1.2)],
        reduction=["sum", "none"],
        data_range=[1.0],
        k1=[0.02],
        betas=[(0.3, 0.7)],
        normalize=["simple", None],
    ),
}


@pytest.mark.parametrize("name", TORCHMETRICS)
def test_torchmetrics_similarities(name):
    import pixloss.compat.torchmetrics.functional.image as ours

    theirs = package("torchmetrics.functional.image")
    for options in choices(TORCHMETRICS[name]):
        if name.startswith("multi") and "data_range" not in options:
            options["data_range"] = 1.0  # the range of each scale over the batch: the mean's alone
        functions = [lambda x, y, m=m: getattr(m, name)(x, y, **options) for m in (ours, theirs)]
        if "data_range" in options:
            assert_same(*functions)
        else:  # their gradient goes through the batch's range; here that is a constant
            torch.testing.assert_close(*(f(X, Y).double() for f in functions), atol=1e-6, rtol=1e-6)


def test_torchmetrics_ranges_of_scales():
    import pixloss.compat.torchmetrics.functional.image as ours

    theirs = package("torchmetrics.functional.image")
    values = [
        m.multiscale_structural_similarity_index_measure(3 * X, 3 * Y) for m in (ours, theirs)
    ]
    torch.testing.assert_close(*values, atol=1e-6, rtol=1e-6)
    with pytest.raises(pixloss.UnsupportedError, match="give a data_range"):
        ours.multiscale_structural_similarity_index_measure(X, Y, reduction="sum")


def test_torchmetrics_others():
    import pixloss.compat.torchmetrics as ours

    theirs = package("torchmetrics")
    for options in (
        {},
        {"base": 2.0},
        {"dim": (1, 2, 3)},
        {"dim": (1, 2, 3), "reduction": "none"},
        {"dim": (1, 2, 3), "reduction": "sum"},
    ):
        assert_same(
            *(
                lambda x, y, m=m: m.functional.image.peak_signal_noise_ratio(
                    x, y, data_range=1.0, **options
                )
                for m in (ours, theirs)
            )
        )
    for reduction in ("sum", "mean", "none"):
        assert_same(
            *(
                lambda x, y, m=m: m.functional.image.total_variation(x, reduction)
                for m in (ours, theirs)
            )
        )
    for squared in (True, False):
        assert_same(
            *(
                lambda x, y, m=m: m.functional.mean_squared_error(x, y, squared=squared)
                for m in (ours, theirs)
            )
        )
    for name, options in (
        ("StructuralSimilarityIndexMeasure", dict(data_range=1.0)),
        ("StructuralSimilarityIndexMeasure", dict(data_range=1.0, reduction="sum")),
        ("StructuralSimilarityIndexMeasure", dict()),
        ("MultiScaleStructuralSimilarityIndexMeasure", dict(data_range=1.0)),
        ("MultiScaleStructuralSimilarityIndexMeasure", dict()),
        ("PeakSignalNoiseRatio", dict(data_range=1.0)),
        ("PeakSignalNoiseRatio", dict(data_range=1.0, dim=(1, 2, 3), reduction="elementwise_mean")),
    ):
        metrics = [getattr(m.image, name)(**options) for m in (ours, theirs)]
        for half in (slice(0, 1), slice(1, 2)):
            torch.testing.assert_close(
                *(metric(X[half].float(), Y[half].float()) for metric in metrics),
                atol=1e-5,
                rtol=1e-5,
            )
        torch.testing.assert_close(*(metric.compute() for metric in metrics), atol=1e-5, rtol=1e-5)


PIQ = {
    "ssim": dict(
        kernel_size=[7],
        kernel_sigma=[1.0],
        data_range=[2.0],
        reduction=["sum", "none"],
        downsample=[False],
        k1=[0.02],
        k2=[0.05],
    ),
    "multi_scale_ssim": dict(
        kernel_size=[7],
        kernel_sigma=[1.0],
        data_range=[2.0],
        reduction=["sum", "none"],
        scale_weights=[torch.tensor([1.0, 2.0, 3.0])],
        k1=[0.02],
        k2=[0.05],
    ),
    "psnr": dict(data_range=[2.0], reduction=["sum", "none"]),
    "SSIMLoss": dict(
        kernel_size=[7], reduction=["sum", "none"], downsample=[False], data_range=[2.0]
    ),
    "MultiScaleSSIMLoss": dict(kernel_size=[7], reduction=["sum", "none"], data_range=[2.0]),
}


@pytest.mark.parametrize("name", PIQ)
def test_piq(name):
    """The weights of its scales are float32, which gradients show."""
    import pixloss.compat.piq as ours

    theirs = package("piq")
    for options in choices(PIQ[name]):

        def call(module):
            function = getattr(module, name)
            if inspect.isclass(function):
                return function(**options)
            return lambda x, y: function(x, y, **options)

        assert_same(
            call(ours), call(theirs), tolerance=2e-5 if name.lower().startswith("multi") else 2e-6
        )


def test_piq_total_variation():
    import pixloss.compat.piq as ours

    theirs = package("piq")
    for norm, reduction in itertools.product(("l1", "l2", "l2_squared"), ("mean", "sum", "none")):
        assert_same(
            *(lambda x, y, m=m: m.total_variation(x, reduction, norm) for m in (ours, theirs))
        )


def vgg():
    """The first three blocks of torchvision's layers, with random weights."""
    torch.manual_seed(7)
    channels = [3, 8, 8, "M", 12, 12, "M", 16, 16, 16, "M"]
    layers = []
    previous = channels.pop(0)
    for item in channels:
        if item == "M":
            layers.append(torch.nn.MaxPool2d(2))
        else:
            layers += [torch.nn.Conv2d(previous, item, 3, padding=1), torch.nn.ReLU()]
            previous = item
    return torch.nn.Sequential(*layers)


@pytest.mark.parametrize("name", ["ContentLoss", "StyleLoss"])
def test_piq_features(name):
    """Beside the package in float64: in float32 it puts features that are all but equal on the
    other side of the kink of mae."""
    import pixloss.compat.piq as ours

    theirs = package("piq")
    x = X[:, :, :64, :60].float()
    y = Y[:, :, :64, :60].float()
    numbers, names = ["3", "8"], ["relu1_2", "relu2_2"]
    for options in (
        {},
        {"reduction": "none"},
        {"replace_pooling": True},
        {"distance": "mae"},
        {"mean": [0.0] * 3, "std": [1.0] * 3},
    ):
        if name == "StyleLoss" and "distance" in options:
            continue
        theirs_loss = getattr(theirs, name)(
            vgg().double(), layers=numbers, weights=[1.0, 0.5], **options
        )
        try:
            ours_loss = getattr(ours, name)(vgg(), layers=names, weights=[1.0, 0.5], **options)
            assert_same(
                ours_loss, lambda x, y: theirs_loss(x.double(), y.double()), (x, y), tolerance=1e-4
            )
        except pixloss.UnsupportedError as error:
            pytest.skip(str(error))


def test_kornia():
    import pixloss.compat.kornia as ours

    theirs = package("kornia")
    for padding, size in itertools.product(("same", "valid"), (5, 11)):
        torch.testing.assert_close(
            *(m.metrics.ssim(X, Y, size, 1.0, padding=padding) for m in (ours, theirs)),
            atol=2e-5,
            rtol=0,
            check_dtype=True,
        )
        for reduction in ("mean", "sum"):
            assert_same(
                *(
                    lambda x, y, m=m: m.losses.ssim_loss(
                        x, y, size, padding=padding, reduction=reduction
                    )
                    for m in (ours, theirs)
                )
            )
    for name in ("psnr_loss",):
        assert_same(*(lambda x, y, m=m: getattr(m.losses, name)(x, y, 2.0) for m in (ours, theirs)))
    for reduction in ("sum", "mean"):
        assert_same(
            *(lambda x, y, m=m: m.losses.total_variation(x, reduction) for m in (ours, theirs))
        )
        assert_same(
            *(lambda x, y, m=m: m.losses.charbonnier_loss(x, y, reduction) for m in (ours, theirs))
        )
    assert_same(*(m.losses.CharbonnierLoss() for m in (ours, theirs)))


def test_skimage():
    import pixloss.compat.skimage.metrics as ours

    theirs = package("skimage.metrics")
    x, y = (image[0].numpy() for image in (X, Y))
    for options in (
        {},
        {"gaussian_weights": True},
        {"gaussian_weights": True, "sigma": 1.0, "use_sample_covariance": False},
        {"win_size": 9},
        {"use_sample_covariance": False},
        {"K1": 0.02, "K2": 0.05},
    ):
        for data_range in (1.0, 2.0):
            values = [
                m.structural_similarity(x, y, data_range=data_range, channel_axis=0, **options)
                for m in (ours, theirs)
            ]
            assert values[0] == pytest.approx(values[1], rel=1e-8)
            full = [
                m.structural_similarity(
                    x, y, data_range=data_range, channel_axis=0, full=True, **options
                )
                for m in (ours, theirs)
            ]
            assert full[0][0] == values[0] and full[0][1].dtype == full[1][1].dtype
            np.testing.assert_allclose(full[0][1], full[1][1], rtol=0, atol=1e-10)
    for images in (
        (x[0, :9, :12], y[0, :9, :12]),
        (x[0].astype("f4"), y[0].astype("f4")),
        (255 * x[0], 255 * y[0]),
    ):
        maps = [
            m.structural_similarity(*images, data_range=images[0].max(), full=True)[1]
            for m in (ours, theirs)
        ]
        assert maps[0].shape == images[0].shape and maps[0].dtype == maps[1].dtype
        np.testing.assert_allclose(
            *maps, rtol=0, atol=1e-3 if images[0].dtype == np.float32 else 1e-10
        )
    a, b = (255 * x).astype("u1"), (255 * y).astype("u1")
    for name in ("structural_similarity", "peak_signal_noise_ratio", "mean_squared_error"):
        more = {"channel_axis": 0} if name == "structural_similarity" else {}
        assert getattr(ours, name)(a, b, **more) == pytest.approx(
            getattr(theirs, name)(a, b, **more), rel=1e-5
        )
