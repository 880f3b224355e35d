"""evaluate() and compare(): values against plain formulas, other libraries and the program."""

import json
import os
import pathlib
import shutil
import subprocess

import pytest

import pixloss
from conftest import MIX, ROOT

np = pytest.importorskip("numpy", reason="numpy is not installed")
RANDOM = np.random.default_rng(1)
A, B = RANDOM.random((2, 3, 200, 180)), RANDOM.random((2, 3, 200, 180))


def evaluate(expression, pred=A, target=B, **more):
    return pixloss.evaluate(expression, pred, target, layout="NCHW", **more)


@pytest.mark.short
def test_values_terms_and_gradient():
    found = evaluate("2*mse - 0.5*l1 + l1(reduction=sum)", gradient=True, gradient_target=True)
    d = A - B
    assert list(found.terms) == ["mse", "l1", "l1(reduction=sum)"]
    assert found.terms["mse"] == pytest.approx((d**2).mean()) and found.terms[
        "l1(reduction=sum)"
    ] == pytest.approx(np.abs(d).sum())
    assert found.value == pytest.approx(
        2 * (d**2).mean() - 0.5 * np.abs(d).mean() + np.abs(d).sum()
    )
    expected = 4 * d / d.size - 0.5 * np.sign(d) / d.size + np.sign(d)
    assert np.abs(found.gradient - expected).max() < 1e-12
    assert np.array_equal(found.gradient_target, -found.gradient)


@pytest.mark.short
def test_per_image_and_term_weights():
    found = evaluate("l1 + 3*mse", per_image=True, term_weights=[0, 2], gradient=True)
    expected = ((A - B) ** 2).mean((1, 2, 3))
    assert found.value == pytest.approx(list(2 * expected)) and found.terms["mse"] == pytest.approx(
        list(expected)
    )
    assert np.abs(found.gradient - 4 * (A - B) / A[0].size).max() < 1e-12
    with pytest.raises(
        pixloss.ArgumentError, match="term_weights has 1 numbers; the loss has 2 terms: l1, mse"
    ):
        evaluate("l1 + mse", term_weights=[1])


@pytest.mark.short
def test_masks():
    mask = RANDOM.random((2, 200, 180))
    expected = (mask[:, None] * np.abs(A - B)).sum() / (3 * mask.sum())
    assert evaluate("l1", mask=mask).value == pytest.approx(expected)
    assert evaluate("l1", mask=mask[:, None]).value == pytest.approx(expected)
    shared = (mask[0] * np.abs(A - B)).sum() / (6 * mask[0].sum())
    assert evaluate("l1", mask=mask[0]).value == pytest.approx(shared)
    with pytest.raises(
        pixloss.ArgumentError,
        match=r"mask has shape \(3, 3\); height and width of pred are needed, \(200, 180\)",
    ):
        evaluate("l1", mask=np.ones((3, 3)))
    with pytest.raises(pixloss.ArgumentError, match="^mask does not go with term 0, ms_ssim"):
        evaluate("ms_ssim", mask=mask)


@pytest.mark.short
def test_a_target_of_another_type():
    narrow, wide = A.astype(np.float16), B.astype(np.float32)
    found = evaluate(MIX, narrow, wide, gradient=True, gradient_target=True)
    same = evaluate(MIX, narrow.astype(np.float32), wide, gradient=True)
    assert found.value == same.value
    assert found.gradient.dtype == np.float16 and found.gradient_target.dtype == np.float32
    levels = (255 * B).astype(np.uint8)
    expected = ((A - levels / 255) ** 2).mean()
    assert evaluate("mse", A.astype(np.float32), levels).value == pytest.approx(expected)
    with pytest.raises(pixloss.ArgumentError, match="^target"):
        evaluate("mse", levels, A)


@pytest.mark.short
def test_data_range_reaches_the_terms_that_have_none():
    found = evaluate("ssim + ssim(data_range=2) + psnr + l1", 4 * A, 4 * B, data_range=4)
    plain = evaluate("ssim + psnr")
    assert found.terms["ssim"] == pytest.approx(plain.terms["ssim"]) and found.terms[
        "psnr"
    ] == pytest.approx(plain.terms["psnr"])
    assert found.terms["ssim(data_range=2)"] != pytest.approx(plain.terms["ssim"], rel=1e-6)
    assert evaluate("psnr", data_range="auto").value == evaluate("psnr(data_range=auto)").value


@pytest.mark.short
def test_map_and_threads():
    found = evaluate("ssim", map=True)
    assert found.map.shape == (2, 3, 190, 170) and found.map.dtype == np.float64
    assert 1 - found.map.mean() == pytest.approx(found.value)
    assert evaluate(MIX, threads=1).value == evaluate(MIX, threads=2).value


@pytest.mark.parametrize(
    "name",
    [
        "ssim.skimage/chelsea",
        "ssim.torchmetrics.range1/small",
        "ssim.piq/odd",
        "ssim.kornia.same.eps0/odd",
        "ms_ssim.vainf/odd",
        "ms_ssim.torchmetrics.relu/chelsea",
        "ssim.vmaf/odd",
        "psnr.skimage/camera",
    ],
)
def test_other_libraries_values(name, known_values, known_images):
    entry = known_values[name]
    pred, target = (image / 255.0 for image in known_images.load(entry["case"]))
    assert evaluate(entry["expression"], pred, target).value == pytest.approx(
        entry["value"], abs=1e-9, rel=1e-6
    )


# ---- compare -------------------------------------------------------------------------------------
PAIR = ROOT / "examples" / "images" / "coffee.png", ROOT / "examples" / "images" / "coffee-q25.jpg"


def test_compare_by_plain_formulas():
    a, b = (RANDOM.integers(0, 256, (200, 220, 3)).astype("u1") for _ in range(2))
    d = (a.astype(float) - b) / 255
    found = pixloss.compare(a, b)
    assert list(found) == [
        "mse",
        "rmse",
        "mae",
        "psnr",
        "ssim",
        "dssim",
        "ms_ssim",
        "sobel_l1",
        "laplacian_l1",
    ]
    assert found["mse"] == pytest.approx((d**2).mean(), rel=1e-5) and found[
        "rmse"
    ] == pytest.approx(found["mse"] ** 0.5)
    assert found["mae"] == pytest.approx(np.abs(d).mean(), rel=1e-5) and found[
        "psnr"
    ] == pytest.approx(-10 * np.log10(found["mse"]))
    assert found["dssim"] == pytest.approx((1 - found["ssim"]) / 2) and 0 < found["ms_ssim"] < 1
    across = d[1:-1, 2:] * 2 + d[:-2, 2:] + d[2:, 2:] - d[1:-1, :-2] * 2 - d[:-2, :-2] - d[2:, :-2]
    down = d[2:, 1:-1] * 2 + d[2:, :-2] + d[2:, 2:] - d[:-2, 1:-1] * 2 - d[:-2, :-2] - d[:-2, 2:]
    # Equal but for the border.
    assert found["sobel_l1"] == pytest.approx((np.abs(across) + np.abs(down)).mean(), rel=0.05)
    wide = pixloss.compare(a.astype("u2") * 257, b.astype("u2") * 257)
    assert all(wide[name] == pytest.approx(found[name], rel=1e-4) for name in found)
    floats = pixloss.compare(a / 255.0, b / 255.0)
    assert all(floats[name] == pytest.approx(found[name], rel=1e-4) for name in found)


def test_compare_files():
    Image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    found = pixloss.compare(*PAIR, loss=MIX)
    a, b = (np.asarray(Image.open(path)) for path in PAIR)
    assert found == pixloss.compare(a, b, loss=MIX) and found["psnr"] == pytest.approx(
        28.667, abs=1e-3
    )
    assert pixloss.compare(*PAIR, preset="skimage")["ms_ssim"] is None  # skimage has none
    assert pixloss.compare(a[:50], b[:50])["ms_ssim"] is None  # too small for five scales
    with pytest.raises(pixloss.ArgumentError, match="the images differ in shape"):
        pixloss.compare(a, b[1:])
    with pytest.raises(pixloss.ArgumentError, match="preset is 'ski'"):
        pixloss.compare(a, b, preset="ski")
    with pytest.raises(pixloss.FileError, match="No such file"):
        pixloss.compare("nowhere.png", a)


def test_compare_refuses_alpha_and_reads_16_bit(tmp_path):
    Image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    Image.fromarray(np.zeros((8, 8, 4), "u1")).save(tmp_path / "alpha.png")
    with pytest.raises(pixloss.ArgumentError, match="alpha channel"):
        pixloss.compare(tmp_path / "alpha.png", tmp_path / "alpha.png")
    levels = RANDOM.integers(0, 65536, (20, 20)).astype("u2")
    Image.fromarray(levels).save(tmp_path / "deep.png")
    assert pixloss.compare(tmp_path / "deep.png", np.zeros((20, 20), "u2"))["mae"] == pytest.approx(
        levels.mean() / 65535, rel=1e-6
    )


def test_compare_as_the_program():
    program = os.environ.get("PIXLOSS_PROGRAM") or shutil.which("pixloss")
    if not program or not pathlib.Path(program).exists():
        pytest.skip("the program is not built (PIXLOSS_PROGRAM)")
    said = json.loads(
        subprocess.run(
            [program, "compare", "--json", *map(str, PAIR)],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
    )
    found = pixloss.compare(*PAIR)
    metrics = said.get("metrics", said)
    for name, value in found.items():
        assert value == pytest.approx(metrics[name], rel=2e-5), name


def test_compare_with_a_network():
    network = pixloss.Network.random("3:4,4,M,4,4,M,4,4,4")
    try:
        found = pixloss.compare(*PAIR, network=network)
    except pixloss.UnsupportedError as error:
        pytest.skip(str(error))
    assert {"features", "cosine", "style"} <= set(found) and found["cosine"] > 0
