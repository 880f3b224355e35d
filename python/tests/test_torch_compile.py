"""torch.compile and torch.export: one graph, the same numbers, the same refusals."""

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

import pixloss.torch as pt  # noqa: E402
from conftest import MIX  # noqa: E402
from pixloss.torch import _operator  # noqa: E402
from test_torch_autograd import P, REFERENCE, T, gradient, second_derivative  # noqa: E402

NET = torch.nn.Conv2d(3, 3, 3, padding=1)


def compiled_of(function, **options):
    """By Dynamo and AOTAutograd, which decide what this module tests; Inductor compiles C++ for
    seconds and has two tests below."""
    return torch.compile(function, fullgraph=True, backend="aot_eager", **options)


@pytest.fixture(autouse=True)
def fresh():
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()


@pytest.mark.parametrize("options", [{}, {"mode": "reduce-overhead"}], ids=str)
def test_one_graph_with_the_same_gradient(options):
    module = pt.Loss(MIX)
    compiled = torch.compile(lambda a, b: module(NET(a), b), fullgraph=True, **options)
    expected = gradient(lambda a, b: module(NET(a), b), P, T)
    torch.testing.assert_close(gradient(compiled, P, T), expected, atol=1e-8, rtol=1e-5)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 1


def test_module_alone():
    module = pt.Loss(MIX)
    assert torch.equal(gradient(compiled_of(module), P, T), REFERENCE)
    values = module.terms
    assert values["l1"] == pt.l1(P, T) and not values["l1"].requires_grad


def test_all_arguments():
    module = pt.Loss("ssim + psnr", reduction="none", data_range=2.0)
    weights = torch.tensor([1.0, -0.01])
    mask = torch.rand(32, 32)
    w = weights.clone().requires_grad_()
    eager = module(P, T, mask, w)
    compiled = compiled_of(module)(P, T, mask, w)
    torch.testing.assert_close(compiled, eager)
    upstream = torch.tensor([1.0, 2.0])
    torch.testing.assert_close(
        torch.autograd.grad(compiled, w, upstream), torch.autograd.grad(eager, w, upstream)
    )
    by_range = compiled_of(lambda a, b: module(a, b, data_range=5.0))(P, T)
    torch.testing.assert_close(by_range, module(P, T, data_range=5.0))


def test_both_gradients():
    module = pt.Loss(MIX)
    for f in (module, compiled_of(module)):
        p = P.clone().requires_grad_()
        t = T.clone().requires_grad_()
        (2 * f(p, t)).backward()
        torch.testing.assert_close(p.grad, 2 * REFERENCE)
        torch.testing.assert_close(t.grad, 2 * gradient(module, T, P), atol=1e-8, rtol=1e-4)


def test_functions():
    compiled = compiled_of(
        lambda a, b: pt.ssim(a, b, window=7) + pt.sobel(a, b, penalty="charbonnier", eps=0.01)
    )
    torch.testing.assert_close(
        compiled(P, T), pt.ssim(P, T, window=7) + pt.sobel(P, T, penalty="charbonnier", eps=0.01)
    )
    one_thread = compiled_of(lambda a, b: pt.l1(a, b, threads=1))
    torch.testing.assert_close(one_thread(P, T), pt.l1(P, T))


def test_mixed_types():
    compiled = compiled_of(pt.Loss(MIX))
    p = P.bfloat16()
    assert gradient(compiled, p, T).dtype == torch.bfloat16
    half = P.half()
    torch.testing.assert_close(
        gradient(compiled, half, T.half()), gradient(pt.Loss(MIX), half, T.half())
    )


def test_dynamic_sizes_take_one_graph():
    compiled = compiled_of(pt.Loss(MIX), dynamic=True)
    for size in (16, 24, 40):
        a, b = torch.rand(1, 3, size, size), torch.rand(1, 3, size, size)
        torch.testing.assert_close(compiled(a, b), pt.Loss(MIX)(a, b))
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 1


@pytest.mark.parametrize("backend", ["aot_eager", "eager"])
@pytest.mark.parametrize("donated", [False, True])
@pytest.mark.parametrize("extra", [0, 1])
def test_second_derivatives_are_refused(extra, donated, backend):
    """extra=1: beside an eager loss, which a missing part would hide in. donated: with
    buffers that are reused, as is torch's default."""
    compiled = torch.compile(pt.Loss(MIX), fullgraph=True, backend=backend)
    message = "first derivatives alone|double backward"
    with torch._functorch.config.patch(donated_buffer=donated):
        with pytest.raises((NotImplementedError, RuntimeError), match=message):
            second_derivative(compiled, extra)


@pytest.mark.parametrize("requires_grad", [False, True])
def test_forward_mode_is_refused(requires_grad):
    """Also in a graph that was compiled outside of it."""
    compiled = compiled_of(pt.Loss(MIX))
    compiled(P.clone().requires_grad_(requires_grad), T)
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(P.clone().requires_grad_(requires_grad), P)
        with pytest.raises((NotImplementedError, RuntimeError), match="forward mode|forward AD"):
            compiled(dual, T)


def test_operator_check():
    p, t = P.clone().requires_grad_(), T.clone().requires_grad_()
    arguments = (p, t, None, None, MIX, None, False)
    inside = (P, T, *arguments[2:], True, True)
    for operator, given in (
        (_operator.operator, arguments),
        (_operator.compiled_operator, inside),
        (_operator.bind, (torch.ones(()), [P, T])),
    ):
        assert set(torch.library.opcheck(operator, given).values()) == {"SUCCESS"}


def test_export():
    graph = torch.export.export(pt.Loss(MIX), (P, T))
    assert any("pixloss" in str(node.target) for node in graph.graph.nodes)
    torch.testing.assert_close(graph.module()(P, T), pt.Loss(MIX)(P, T))
