"""Tensors as they come: types, layouts, masks, lazily negated ones; functions, logs and
messages."""

import inspect

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

import pixloss  # noqa: E402
import pixloss.torch as pt  # noqa: E402
from conftest import MIX  # noqa: E402
from pixloss.torch import _run  # noqa: E402

torch.manual_seed(1)
P, T = torch.rand(2, 3, 32, 40), torch.rand(2, 3, 32, 40)


def gradient(function, image, *more):
    image = image.detach().clone(memory_format=torch.preserve_format).requires_grad_()
    function(image, *more).backward()
    return image.grad


@pytest.mark.parametrize(
    "dtype,tolerance", [(torch.float16, 2e-3), (torch.bfloat16, 2e-2), (torch.float64, 1e-6)]
)
def test_types(dtype, tolerance):
    """Against f32 on the same rounded pixels; totals are f32, of f64 images f64."""
    p = P.to(dtype)
    t = T.to(dtype)
    total = pt.Loss(MIX)(p, t)
    assert total.dtype == (torch.float64 if dtype is torch.float64 else torch.float32)
    torch.testing.assert_close(
        total.float(), pt.Loss(MIX)(p.float(), t.float()), atol=1e-6, rtol=1e-5
    )
    found = gradient(pt.Loss(MIX), p, t)
    expected = gradient(pt.Loss(MIX), p.float(), t.float())
    assert found.dtype == dtype
    assert (found.float() - expected).abs().max() <= tolerance * expected.abs().max()


def test_f16_gradients_survive_a_loss_scale():
    """1 / (3 * 512 * 512) is below f16's normal numbers; scaled by 2^14 it must have f16's digits
    again."""
    p, t = torch.rand(1, 3, 512, 512).half(), torch.rand(1, 3, 512, 512).half()
    scaled = gradient(lambda a, b: 2**14 * pt.l1(a, b), p, t).float()
    expected = 2**14 / p.numel() * torch.sign(p.float() - t.float())
    assert ((scaled - expected).abs() <= 2**-10 * expected.abs()).all()


def test_mixed_types_are_compared_in_the_wider():
    for narrow in (torch.bfloat16, torch.float16):
        p = P.to(narrow)
        assert torch.equal(pt.Loss(MIX)(p, T), pt.Loss(MIX)(p.float(), T))
        assert gradient(pt.Loss(MIX), p, T).dtype == narrow
    with torch.autocast("cpu", torch.bfloat16):
        net = torch.nn.Conv2d(3, 3, 1)
        pt.Loss(MIX)(net(P), T).backward()
        assert net.weight.grad.isfinite().all() and net.weight.grad.abs().sum() > 0


def test_integers_have_values():
    p = (P * 255).byte()
    t = (T * 255).byte()
    torch.testing.assert_close(pt.ssim(p, t), pt.ssim(p.float(), t.float(), data_range=255))
    torch.testing.assert_close(pt.mse(p, t), torch.nn.functional.mse_loss(p.float(), t.float()))


@pytest.mark.parametrize(
    "way", ["channels_last", "crop", "flip of axes", "every second", "expanded", "offset"]
)
def test_strides_need_no_copy(way):
    make = {
        "channels_last": lambda x: x.contiguous(memory_format=torch.channels_last),
        "crop": lambda x: x[:, :, 3:30, 5:37],
        "flip of axes": lambda x: x.transpose(2, 3),
        "every second": lambda x: x[:, ::2, :, ::2],
        "expanded": lambda x: x[:1].expand(4, -1, -1, -1),
        "offset": lambda x: x.flatten()[7 : 7 + 2 * 3 * 20 * 20].view(2, 3, 20, 20),
    }
    p, t = make[way](P), make[way](T)
    expected = pt.Loss(MIX)(p.contiguous(), t.contiguous())
    torch.testing.assert_close(pt.Loss(MIX)(p, t), expected)
    assert _run.view(p).data == p.data_ptr() and tuple(_run.view(p).stride)[:4] == p.stride()
    source = P.clone().requires_grad_()
    pt.Loss(MIX)(make[way](source), t).backward()
    copied = P.clone().requires_grad_()
    pt.Loss(MIX)(make[way](copied).contiguous(), t.contiguous()).backward()
    torch.testing.assert_close(source.grad, copied.grad, atol=1e-8, rtol=1e-4)


def test_the_gradient_keeps_channels_last():
    found = gradient(pt.Loss(MIX), P.contiguous(memory_format=torch.channels_last), T)
    assert found.is_contiguous(memory_format=torch.channels_last)


def test_lazily_negated_and_conjugated_tensors():
    negated = torch._neg_view(-P)
    assert negated.is_neg()
    assert torch.equal(pt.Loss(MIX)(negated, T), pt.Loss(MIX)(P, T))
    assert torch.equal(pt.Loss(MIX)(T, negated), pt.Loss(MIX)(T, P))
    complex_image = torch.complex(P, -T)
    imaginary = complex_image.conj().imag
    assert imaginary.is_neg()
    torch.testing.assert_close(pt.Loss(MIX)(P, imaginary), pt.Loss(MIX)(P, T))
    assert torch.equal(
        torch.func.grad(lambda a: pt.Loss(MIX)(a, T))(negated),
        torch.func.grad(lambda a: pt.Loss(MIX)(a, T))(P),
    )


def test_masks():
    mask = torch.rand(2, 1, 32, 40)
    expected = (mask * (P - T).abs()).sum() / (3 * mask.sum())
    torch.testing.assert_close(pt.l1(P, T, mask), expected)
    torch.testing.assert_close(pt.l1(P, T, mask[:, 0]), expected)
    torch.testing.assert_close(pt.l1(P, T, mask[0, 0]), pt.l1(P, T, mask[:1].expand(2, 1, 32, 40)))
    hole = torch.ones(32, 40, dtype=torch.bool)
    hole[:16] = False
    spoilt = P.clone()
    spoilt[:, :, :16] = float("nan")
    torch.testing.assert_close(pt.l1(spoilt, T, hole), pt.l1(P[:, :, 16:], T[:, :, 16:]))
    assert (gradient(lambda a, b: pt.l1(a, b, hole), spoilt, T)[:, :, :16] == 0).all()


def test_data_range():
    module = pt.Loss("ssim + ssim(data_range=2) + psnr")
    module(P, T, data_range=4.0)
    four = dict(module.terms)
    assert len(four) == 3
    torch.testing.assert_close(four["ssim"], pt.ssim(P, T, data_range=4.0))
    torch.testing.assert_close(four["ssim(data_range=2)"], pt.ssim(P, T, data_range=2.0))
    torch.testing.assert_close(four["psnr"], pt.psnr(P, T, data_range=4.0))
    by_data = pt.Loss("ssim", data_range="auto")(P, T)
    torch.testing.assert_close(
        by_data,
        pt.ssim(P, T, data_range=max((P.max() - P.min()).item(), (T.max() - T.min()).item())),
    )


def test_terms_for_logs():
    module = pt.Loss("0.5*ssim + 2*l1 + l1", reduction="none")
    p = P.clone().requires_grad_()
    total = module(p, T)
    terms = module.terms
    assert list(terms) == ["ssim", "l1", "l1 (2)"] and all(
        v.shape == (2,) and not v.requires_grad for v in terms.values()
    )
    torch.testing.assert_close(
        0.5 * terms["ssim"] + 2 * terms["l1"] + terms["l1 (2)"], total.detach()
    )
    assert pt.Loss("l1").terms == {}


@pytest.mark.parametrize(
    "name", [name for name in pixloss.terms() if "net" not in pixloss.fields(name)]
)
def test_functions_are_the_terms(name):
    function = getattr(pt, name)
    images = (torch.rand(1, 1, 170, 170), torch.rand(1, 1, 170, 170))
    torch.testing.assert_close(function(*images), pt.Loss(name)(*images))
    parameters = inspect.signature(function).parameters
    for field in pixloss.fields(name):
        assert field in parameters and field in function.__doc__
    with pytest.raises(TypeError, match="unexpected keyword argument 'windw'; it has"):
        function(*images, windw=3)


def test_functions_against_torch():
    torch.testing.assert_close(
        pt.l1(P, T, reduction="sum"), torch.nn.functional.l1_loss(P, T, reduction="sum")
    )
    torch.testing.assert_close(
        pt.huber(P, T, delta=0.1), torch.nn.functional.huber_loss(P, T, delta=0.1)
    )
    torch.testing.assert_close(pt.mse(P, T, reduction="none"), ((P - T) ** 2).mean((1, 2, 3)))
    total_variation = (P.diff(dim=3).abs().sum() + P.diff(dim=2).abs().sum()) / P.numel()
    torch.testing.assert_close(pt.tv(P), total_variation)
    with pytest.raises(TypeError, match="'target'"):
        pt.ssim(P)


def test_functions_take_a_value_for_each_axis():
    torch.testing.assert_close(pt.ssim(P, T, window=(7, 3)), pt.Loss("ssim(window=7:3)")(P, T))
    torch.testing.assert_close(
        pt.blur(P, T, sigma=[1.5, 0.8], window=9), pt.Loss("blur(sigma=1.5:0.8, window=9)")(P, T)
    )
    torch.testing.assert_close(pt.ssim(P, T, window=(7, 3)), pt.ssim(P.mT, T.mT, window=(3, 7)))
    assert "or (vertical, horizontal)" in pt.ssim.__doc__
    with pytest.raises(
        pixloss.ArgumentError,
        match=r"window is \(7,\); a number, or \(vertical, horizontal\), both above 0",
    ):
        pt.ssim(P, T, window=(7,))


@pytest.mark.parametrize(
    "call,message",
    [
        (
            lambda: pt.Loss("ssim(windw=3)"),
            r"column 6: ssim has no argument 'windw'; did you mean 'window'\?",
        ),
        (lambda: pt.ssim(P, T, window=4), r"^window is 4; an odd number from 3 to 65 is needed"),
        (lambda: pt.ssim(P, T, preset="pytorch_msssim"), "did you mean 'vainf'"),
        (
            lambda: pt.l1(P, T[:1]),
            r"pred is \(2, 3, 32, 40\) on cpu, target \(1, 3, 32, 40\) on cpu",
        ),
        (
            lambda: pt.l1(P[0], T[0]),
            r"pred has shape \(3, 32, 40\); N x C x H x W is needed; image\[None\]",
        ),
        (lambda: pt.l1(P.long(), T.long()), "pred is of torch.int64"),
        (lambda: pt.l1(P, T, torch.ones(5, 5)), r"mask has shape \(5, 5\); \(32, 40\)"),
        (lambda: pt.ms_ssim(P, T), "161"),
        (lambda: pt.Loss("l1", reduction="sum"), "'mean' or 'none'"),
        (lambda: pt.Loss("l1 + ssim")(P, T, term_weights=[1.0]), r"the loss has 2 terms"),
        (
            lambda: pt.Loss("ssim(downsample=2)")(P, T, torch.ones(32, 40)),
            "mask does not go with term 0",
        ),
    ],
)
def test_messages_are_in_the_callers_words(call, message):
    with pytest.raises(pixloss.ArgumentError, match=message) as caught:
        call()
    assert isinstance(caught.value, ValueError) and "pxl_" not in str(caught.value)


def test_types_that_are_no_tensors():
    with pytest.raises(TypeError, match="pred is of type list"):
        pt.Loss("l1")([[1.0]], T)
    with pytest.raises(TypeError, match="expression is of type int"):
        pt.Loss(3)
