"""Filters, statistics and reductions against NumPy, and adjoints by their definition."""

import pytest

import pixloss
from pixloss import operators

np = pytest.importorskip("numpy", reason="numpy is not installed")
pytestmark = pytest.mark.short
RANDOM = np.random.default_rng(2)
A, B = RANDOM.random((2, 3, 30, 26)), RANDOM.random((2, 3, 30, 26))


def correlate(image, kernel, border):
    radius = [size // 2 for size in np.shape(kernel)]
    modes = {"zero": "constant", "replicate": "edge", "valid": None}
    mode = modes.get(border, border)
    padded = (
        image
        if mode is None
        else np.pad(
            image, ((0, 0), (0, 0), (radius[0], radius[0]), (radius[1], radius[1])), mode=mode
        )
    )
    return np.einsum(
        "nchwij,ij->nchw",
        np.lib.stride_tricks.sliding_window_view(padded, np.shape(kernel), (2, 3)),
        kernel,
    )


def taps(sigma):
    radius = int(3.5 * sigma + 0.5)
    values = np.exp(-np.arange(-radius, radius + 1) ** 2 / (2 * sigma**2))
    return values / values.sum()


def gaussian(sigma, sigma_x=None):
    return np.outer(taps(sigma), taps(sigma_x or sigma))


SOBEL = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]])
FILTERS = {
    "sobel": (
        {},
        lambda x, b: np.concatenate([correlate(x, SOBEL, b), correlate(x, SOBEL.T, b)], 1),
    ),
    "laplacian": (
        {"neighbours": 8},
        lambda x, b: correlate(x, np.array([[1, 1, 1], [1, -8, 1], [1, 1, 1]]), b),
    ),
    "blur": ({"sigma": 1.2}, lambda x, b: correlate(x, gaussian(1.2), b)),
    "box": ({"window": 5}, lambda x, b: correlate(x, np.full((5, 5), 1 / 25), b)),
    "blur by axis": ({"sigma": (0.4, 1.2)}, lambda x, b: correlate(x, gaussian(0.4, 1.2), b)),
    "box by axis": ({"window": [7, 3]}, lambda x, b: correlate(x, np.full((7, 3), 1 / 21), b)),
}


@pytest.mark.parametrize("border", ["zero", "valid", "reflect", "replicate", "symmetric"])
@pytest.mark.parametrize("kind", FILTERS)
def test_filters_and_adjoints(kind, border):
    arguments, plain = FILTERS[kind]
    kind = kind.split()[0]
    found = getattr(operators, kind)(A, layout="NCHW", border=border, **arguments)
    assert np.abs(found - plain(A, border)).max() < 1e-12
    b = RANDOM.random(found.shape)
    adjoint = operators.filter_adjoint(
        kind, b, layout="NCHW", border=border, size=A.shape[2:], **arguments
    )
    assert adjoint.shape == A.shape
    assert (found * b).sum() == pytest.approx((A * adjoint).sum())


def test_layouts_of_filters():
    last = operators.sobel(np.ascontiguousarray(A.transpose(0, 2, 3, 1)), layout="NHWC")
    assert np.allclose(last.transpose(0, 3, 1, 2), operators.sobel(A, layout="NCHW"))
    plane = operators.sobel(A[0, 0])
    assert plane.shape == (2, 30, 26) and np.allclose(
        plane, operators.sobel(A[:1, :1], layout="NCHW")[0]
    )
    assert operators.blur(A[0, 0].astype("f4"), 1.0).dtype == np.float32
    with pytest.raises(pixloss.ArgumentError, match="border is 'same'; 'valid', 'zero'"):
        operators.sobel(A[0, 0], border="same")
    with pytest.raises(pixloss.ArgumentError, match="sigma"):
        operators.blur(A[0, 0], -1)


def test_statistics_and_adjoint():
    uniform = np.full((7, 7), 1 / 49)
    found = operators.statistics(A, B, layout="NCHW", window=7, uniform=True)
    mean = [correlate(x, uniform, "valid") for x in (A, B)]
    products = [correlate(x * y, uniform, "valid") for x, y in ((A, A), (B, B), (A, B))]
    expected = np.concatenate(
        [
            *mean,
            products[0] - mean[0] ** 2,
            products[1] - mean[1] ** 2,
            products[2] - mean[0] * mean[1],
        ],
        1,
    )
    assert np.abs(found - expected).max() < 1e-12
    weight = RANDOM.random(found.shape)
    by_pred, by_target = operators.statistics_adjoint(
        A, B, weight, layout="NCHW", window=7, uniform=True
    )
    step = 1e-6
    direction = RANDOM.random(A.shape)
    for gradient, moved in (
        (by_pred, lambda s: (A + s * direction, B)),
        (by_target, lambda s: (A, B + s * direction)),
    ):
        ends = [
            (weight * operators.statistics(*moved(s), layout="NCHW", window=7, uniform=True)).sum()
            for s in (step, -step)
        ]
        assert (gradient * direction).sum() == pytest.approx(
            (ends[0] - ends[1]) / (2 * step), rel=1e-6
        )
    assert operators.statistics(A, B, layout="NCHW", preset="skimage").shape == (2, 15, 24, 20)
    assert operators.statistics(A, B, layout="NCHW", window=(7, 3), uniform=True).shape == (
        2,
        15,
        24,
        24,
    )
    by_axis = operators.statistics(A, B, layout="NCHW", sigma=(0.8, 1.2), window=(7, 9))
    kernel = np.outer(taps(0.8), taps(1.2))
    assert np.abs(by_axis[:, :3] - correlate(A, kernel, "valid")).max() < 1e-12
    for pair in ((5, 0), (5, None), (0, 5), (5, float("nan"))):
        with pytest.raises(pixloss.ArgumentError, match="both above 0"):
            operators.box(A, window=pair, layout="NCHW")
    with pytest.raises(
        pixloss.ArgumentError, match="window is .1, 2, 3.; a number, or .vertical, horizontal."
    ):
        operators.statistics(A, B, layout="NCHW", window=(1, 2, 3))
    with pytest.raises(TypeError, match="windw"):
        operators.statistics(A, B, layout="NCHW", windw=3)


def test_reductions():
    for kind, plain in (
        ("sum", np.sum),
        ("mean", np.mean),
        ("min", np.min),
        ("max", np.max),
        ("l1", lambda x, axis=None: np.abs(x).sum(axis)),
        ("l2", lambda x, axis=None: (x**2).sum(axis) ** 0.5),
    ):
        assert operators.reduce(kind, A - 0.5, layout="NCHW") == pytest.approx(plain(A - 0.5))
        assert operators.reduce(kind, A - 0.5, layout="NCHW", over="image") == pytest.approx(
            list(plain(A - 0.5, axis=(1, 2, 3)))
        )
        channels = operators.reduce(kind, A - 0.5, layout="NCHW", over="channel")
        assert np.array(channels) == pytest.approx(plain(A - 0.5, axis=(2, 3)))
    assert (
        operators.reduce("sum", (A * 255).astype("u1"), layout="NCHW")
        == (A * 255).astype("u1").sum()
    )
    with pytest.raises(pixloss.ArgumentError, match="kind is 'median'"):
        operators.reduce("median", A, layout="NCHW")
