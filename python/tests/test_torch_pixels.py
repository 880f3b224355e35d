"""reduction="pixels": the charge of each pixel, with the upstream gradient of each."""

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
import torch.nn.functional as F  # noqa: E402

import pixloss  # noqa: E402
import pixloss.torch as pt  # noqa: E402
from pixloss import _terms  # noqa: E402
from pixloss.compat.kornia import losses  # noqa: E402

torch.manual_seed(2)
P, T = torch.rand(2, 3, 17, 23), torch.rand(2, 3, 17, 23)
G = torch.randn(2, 3, 17, 23)
PIXEL_TERMS = [
    name for name, kind in _terms.KINDS.items() if kind.value == _terms.KINDS["pixel"].value
]
TORCHS = {
    "l1": (F.l1_loss, {}, {}),
    "mse": (F.mse_loss, {}, {}),
    "huber": (F.huber_loss, {"delta": 0.3}, {"delta": 0.3}),
    "smooth_l1": (F.smooth_l1_loss, {"beta": 0.2}, {"beta": 0.2}),
}


def gradients(function, *images, upstream=G):
    images = [image.detach().clone().requires_grad_() for image in images]
    charges = function(*images)
    charges.backward(upstream.to(charges.dtype))
    return charges.detach(), *(image.grad for image in images)


@pytest.mark.parametrize("name", TORCHS)
def test_values_and_both_gradients_are_torchs(name):
    """With upstream gradients of both signs, zeros and a NaN."""
    theirs, more, fields = TORCHS[name]
    upstream = G.clone()
    upstream[0, 1, 3], upstream[1, 2, 4, 5] = 0, float("nan")
    images = P.double(), T.double()
    ours = gradients(
        lambda p, t: getattr(pt, name)(p, t, reduction="pixels", **fields),
        *images,
        upstream=upstream,
    )
    expected = gradients(
        lambda p, t: theirs(p, t, reduction="none", **more), *images, upstream=upstream
    )
    for found, wanted in zip(ours, expected):
        torch.testing.assert_close(found, wanted, equal_nan=True)


@pytest.mark.parametrize("name", PIXEL_TERMS)
def test_every_pixel_term(name):
    """Its mean is the term, and so is the mean's gradient."""
    function = getattr(pt, name)
    charges = function(P, T, reduction="pixels")
    assert charges.shape == P.shape and '"pixels"' in function.__doc__
    torch.testing.assert_close(charges.mean(), function(P, T))
    by_map = gradients(lambda p, t: function(p, t, reduction="pixels"), P, T, upstream=G * 0 + 1)
    by_sum = gradients(lambda p, t: function(p, t, reduction="sum"), P, T, upstream=torch.ones(()))
    for found, wanted in zip(by_map[1:], by_sum[1:]):
        torch.testing.assert_close(found, wanted)
    p, t = P.double()[:1, :2, :4, :3].requires_grad_(), T.double()[:1, :2, :4, :3].requires_grad_()
    assert torch.autograd.gradcheck(lambda a, b: function(a, b, reduction="pixels"), (p, t))


@pytest.mark.parametrize("way", ["channels_last", "crop", "flip of axes", "expanded", "negated"])
def test_strides(way):
    make = {
        "channels_last": lambda x: x.contiguous(memory_format=torch.channels_last),
        "crop": lambda x: x[:, :, 3:15, 5:20],
        "flip of axes": lambda x: x.transpose(2, 3),
        "expanded": lambda x: x[:1].expand(4, -1, -1, -1),
        "negated": lambda x: torch._neg_view(-x),
    }[way]
    upstream = make(G)
    found = gradients(
        lambda p, t: pt.l1(make(p), make(t), reduction="pixels"), P, T, upstream=upstream
    )
    expected = gradients(
        lambda p, t: F.l1_loss(make(p), make(t), reduction="none"), P, T, upstream=upstream
    )
    for ours, theirs in zip(found, expected):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64, torch.uint8])
def test_types(dtype):
    scale = 255 if dtype is torch.uint8 else 1
    p, t = (scale * P).to(dtype), (scale * T).to(dtype)
    charges = pt.mse(p, t, reduction="pixels")
    assert charges.dtype == (torch.float64 if dtype is torch.float64 else torch.float32)
    torch.testing.assert_close(charges.float(), (p.float() - t.float()) ** 2)
    if dtype.is_floating_point:
        _, by_pred, by_target = gradients(lambda a, b: pt.mse(a, b, reduction="pixels"), p, t)
        assert by_pred.dtype == by_target.dtype == dtype
        expected = (2 * G * (p.float() - t.float())).to(dtype)
        torch.testing.assert_close(by_pred, expected)


def test_kornias_default_is_a_loss_for_each_pixel():
    for shape in ((7,), (3, 5), (2, 3, 4, 5), (2, 2, 3, 4, 5)):
        p, t, g = torch.randn(shape), torch.randn(shape), torch.randn(shape)
        charges, by_pred, by_target = gradients(losses.charbonnier_loss, p, t, upstream=g)
        torch.testing.assert_close(charges, ((p - t) ** 2 + 1).sqrt() - 1)
        torch.testing.assert_close(by_pred, g * (p - t) / ((p - t) ** 2 + 1).sqrt())
        assert torch.equal(by_target, -by_pred)
    assert losses.CharbonnierLoss()(p.half(), t.half()).dtype == torch.float16


def test_what_is_refused():
    p = P.clone().requires_grad_()
    (first,) = torch.autograd.grad(pt.mse(p, T, reduction="pixels").sum(), p, create_graph=True)
    with pytest.raises(NotImplementedError, match="first derivatives alone"):
        first.sum().backward()
    for call, message in (
        (lambda: pt.ssim(P, T, reduction="pixels"), "ssim is not a function of single pixels"),
        (lambda: pt.l1(P, T, torch.ones(17, 23), reduction="pixels"), "multiply the result"),
        (lambda: pt.l1(P, T[:1], reduction="pixels"), "have to be the same"),
    ):
        with pytest.raises(pixloss.ArgumentError, match=message):
            call()
