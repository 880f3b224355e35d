"""What autograd may do with a loss, eager: gradients, transforms, and what is refused."""

import copy
import pickle

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
from torch.autograd import forward_ad  # noqa: E402
from torch.func import grad, hessian, jacfwd, jvp, vmap  # noqa: E402

import pixloss.torch as pt  # noqa: E402
from conftest import MIX  # noqa: E402

torch.manual_seed(0)
P, T = torch.rand(2, 3, 32, 32), torch.rand(2, 3, 32, 32)
BATCH_P, BATCH_T = torch.rand(4, 2, 3, 32, 32), torch.rand(4, 2, 3, 32, 32)


@pytest.fixture(params=["mean", "none"])
def loss(request):
    module = pt.Loss(MIX, reduction=request.param)
    return lambda *images, **more: module(*images, **more).sum()


def gradient(function, image, *more):
    image = image.detach().clone().requires_grad_()
    function(image, *more).backward()
    return image.grad


REFERENCE = gradient(pt.Loss(MIX), P, T)


# ---- Right ---------------------------------------------------------------------------------------
def test_gradcheck_by_pred_target_and_term_weights():
    p = torch.rand(2, 1, 8, 7, dtype=torch.float64, requires_grad=True)
    t = torch.rand(2, 1, 8, 7, dtype=torch.float64)
    t.requires_grad_()
    weights = torch.tensor([0.3, 0.7], dtype=torch.float32, requires_grad=True)
    for reduction in ("mean", "none"):
        module = pt.Loss("0.84*ssim(window=5) + 0.16*mse", reduction=reduction)
        assert torch.autograd.gradcheck(module, (p, t))
        assert torch.autograd.gradcheck(
            module, (p, t), check_forward_ad=True, check_backward_ad=False
        )
        values = module(p, t, term_weights=weights)
        upstream = torch.rand_like(values)
        (by_weight,) = torch.autograd.grad(values, weights, upstream)
        terms = torch.stack(list(module.terms.values())).double().reshape(2, -1)
        torch.testing.assert_close(
            by_weight.double(), (terms * upstream.reshape(1, -1)).sum(1), atol=1e-6, rtol=1e-6
        )


def test_each_image_has_its_own_upstream_gradient():
    module = pt.Loss(MIX, reduction="none")
    upstream = torch.tensor([2.0, -3.0])
    p = P.clone().requires_grad_()
    values = module(p, T)
    assert values.shape == (2,)
    values.backward(upstream)
    for n in range(2):
        expected = gradient(pt.Loss(MIX), P[n : n + 1], T[n : n + 1])
        torch.testing.assert_close(p.grad[n : n + 1], upstream[n] * expected)
        torch.testing.assert_close(values[n].detach(), pt.Loss(MIX)(P[n : n + 1], T[n : n + 1]))


def test_gradient_of_target_is_that_of_pred_exchanged():
    t = T.clone().requires_grad_()
    pt.Loss("mse + ssim")(P, t).backward()
    torch.testing.assert_close(t.grad, gradient(pt.Loss("mse + ssim"), T, P), atol=1e-9, rtol=1e-4)


def test_learnt_weights_in_one_line():
    module = pt.Loss("ssim + l1")
    s = torch.zeros(2, requires_grad=True)
    (module(P, T, term_weights=torch.exp(-s)) + s.sum()).backward()
    expected = 1 - torch.stack(list(module.terms.values()))
    torch.testing.assert_close(s.grad, expected)


def test_twice_with_retain_graph():
    p = P.clone().requires_grad_()
    total = pt.Loss(MIX)(p, T)
    total.backward(retain_graph=True)
    total.backward()
    assert torch.equal(p.grad, 2 * REFERENCE)


def test_an_upstream_gradient_of_one_copies_nothing():
    """The kept gradient itself becomes .grad: no second image is in memory."""
    p = P.clone().requires_grad_()
    total = pt.Loss(MIX)(p, T)
    kept = total.grad_fn.saved_tensors[0].data_ptr()
    total.backward()
    assert p.grad.data_ptr() == kept
    q = P.clone().requires_grad_()
    (3 * pt.Loss(MIX)(q, T)).backward()
    torch.testing.assert_close(q.grad, 3 * REFERENCE)


def test_a_gradient_changed_in_place_is_noticed():
    p = P.clone().requires_grad_()
    total = pt.Loss(MIX)(p, T)
    (first,) = torch.autograd.grad(total, p, retain_graph=True)
    first.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        torch.autograd.grad(total, p)


def test_functional_transforms(loss):
    torch.testing.assert_close(grad(loss)(P, T), gradient(loss, P, T), atol=0, rtol=0)
    torch.testing.assert_close(
        vmap(loss)(BATCH_P, BATCH_T), torch.stack([loss(a, b) for a, b in zip(BATCH_P, BATCH_T)])
    )
    torch.testing.assert_close(
        vmap(grad(loss))(BATCH_P, BATCH_T)[1], grad(loss)(BATCH_P[1], BATCH_T[1])
    )
    assert vmap(loss, (0, None))(BATCH_P, T).shape == (4,)
    torch.testing.assert_close(
        vmap(loss, (1, None))(BATCH_P.movedim(0, 1), T)[2], loss(BATCH_P[2], T)
    )
    masks = torch.rand(4, 32, 32)
    masked = vmap(lambda a, b, m: pt.Loss("l1")(a, b, mask=m))(BATCH_P, BATCH_T, masks)
    torch.testing.assert_close(masked[3], pt.Loss("l1")(BATCH_P[3], BATCH_T[3], mask=masks[3]))


def test_forward_mode_is_right(loss):
    expected = (gradient(loss, P, T) * P).sum()
    torch.testing.assert_close(jvp(lambda a: loss(a, T), (P,), (P,))[1], expected)
    with forward_ad.dual_level():
        dual = forward_ad.make_dual(P, P)
        torch.testing.assert_close(forward_ad.unpack_dual(loss(dual, T)).tangent, expected)


# ---- Refused -------------------------------------------------------------------------------------
def second_derivative(loss, extra):
    """Of a gradient penalty; beside another loss, which a missing part would hide in."""
    p = P.clone().requires_grad_()
    (first,) = torch.autograd.grad(loss(p, T) + extra * (p**4).sum(), p, create_graph=True)
    assert first.requires_grad
    torch.autograd.grad((first**2).sum(), p)


@pytest.mark.parametrize("extra", [0, 1])
def test_second_derivatives_are_refused(loss, extra):
    with pytest.raises(NotImplementedError, match="first derivatives alone"):
        second_derivative(loss, extra)


def test_second_derivatives_by_target_and_weights_are_refused():
    p = P.clone().requires_grad_()
    t = T.clone().requires_grad_()
    w = torch.ones(2, requires_grad=True)
    for by in (t, w):
        total = pt.Loss(MIX)(p, t, term_weights=w)
        (first,) = torch.autograd.grad(total, p, create_graph=True)
        with pytest.raises(NotImplementedError, match="first derivatives alone"):
            torch.autograd.grad(first.sum(), by)


@pytest.mark.parametrize(
    "way",
    [
        hessian,
        lambda f: jacfwd(grad(f)),
        lambda f: jacfwd(jacfwd(f)),
        lambda f: lambda p: jvp(lambda q: jvp(f, (q,), (q,))[1], (p,), (p,)),
    ],
)
def test_second_derivatives_of_transforms_are_refused(loss, way):
    small = torch.rand(1, 1, 12, 12)
    with pytest.raises(NotImplementedError, match="first derivatives alone"):
        way(lambda p: loss(p, torch.zeros_like(small)))(small)


def test_forward_mode_through_backward_is_refused(loss):
    with forward_ad.dual_level():
        dual = forward_ad.make_dual(P.clone().requires_grad_(), P)
        with pytest.raises(NotImplementedError, match="first derivatives alone"):
            torch.autograd.grad(loss(dual, T), dual)


def test_a_mask_has_no_gradient():
    with pytest.raises(ValueError, match="mask requires a gradient"):
        pt.Loss("l1")(P, T, mask=torch.rand(32, 32, requires_grad=True))


# ---- Nothing is done in vain ---------------------------------------------------------------------
def test_what_needs_no_gradient_has_no_graph():
    module = pt.Loss(MIX)
    assert module(P, T).grad_fn is None
    with torch.no_grad():
        assert module(P.clone().requires_grad_(), T).grad_fn is None
    with torch.inference_mode():
        assert module(P, T).grad_fn is None


def test_copies_and_pickles():
    module = pt.Loss(MIX, reduction="none", data_range=2.0, threads=1)
    expected = module(P, T)
    for copied in (
        copy.deepcopy(module),
        pickle.loads(pickle.dumps(module)),
        copy.deepcopy(torch.nn.Sequential(module))[0],
    ):
        assert torch.equal(copied(P, T), expected)
        assert repr(copied) == repr(module)


def test_checkpoint():
    from torch.utils.checkpoint import checkpoint

    assert torch.equal(
        gradient(lambda a, b: checkpoint(pt.Loss(MIX), a, b, use_reentrant=False), P, T), REFERENCE
    )
