"""Arrays of any framework, type and layout, without copies."""

import array

import pytest

import pixloss
from conftest import MIX
from pixloss import _views as views

np = pytest.importorskip("numpy", reason="numpy is not installed")
pytestmark = pytest.mark.short
RANDOM = np.random.default_rng(0)
A, B = RANDOM.random((2, 3, 24, 20)), RANDOM.random((2, 3, 24, 20))
TYPES = {"float64": 1e-12, "float32": 1e-6, "float16": 2e-3}


def reference(pred=A, target=B, expression=MIX):
    return pixloss.evaluate(
        expression, pred.astype("f8"), target.astype("f8"), layout="NCHW", gradient=True
    )


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("layout", ["NCHW", "NHWC", "CHW", "HWC", "HW"])
def test_layouts_and_types(layout, dtype):
    pick = {
        "NCHW": lambda x: x,
        "NHWC": lambda x: x.transpose(0, 2, 3, 1),
        "CHW": lambda x: x[0],
        "HW": lambda x: x[0, 0],
        "HWC": lambda x: x[0].transpose(1, 2, 0),
    }[layout]
    place = {
        "NCHW": lambda x: x,
        "NHWC": lambda x: x,
        "CHW": lambda x: x[:1],
        "HWC": lambda x: x[:1],
        "HW": lambda x: x[:1, :1],
    }[layout]
    expected = reference(place(A.astype(dtype)), place(B.astype(dtype)))
    for dense in (False, True):  # as a view of NCHW, and dense in its own layout
        pred, target = (
            np.ascontiguousarray(pick(x)) if dense else pick(x)
            for x in (A.astype(dtype), B.astype(dtype))
        )
        found = pixloss.evaluate(MIX, pred, target, layout=layout, gradient=True)
        assert found.value == pytest.approx(expected.value, rel=1e-5)
        assert found.gradient.shape == pred.shape and found.gradient.dtype == pred.dtype
        wanted = expected.gradient[0, 0] if layout == "HW" else pick(expected.gradient)
        assert np.abs(found.gradient - wanted).max() <= TYPES[dtype] * np.abs(wanted).max() * 10


def test_nothing_is_copied():
    for image in (
        A,
        A[:, :, ::-1],
        A[:, ::2, 3:, ::3],
        np.broadcast_to(A[:1], A.shape),
        A.astype("f4").transpose(0, 2, 3, 1),
    ):
        raw = views.raw("pred", image)
        assert raw.address == image.__array_interface__["data"][0]
        assert raw.strides == tuple(stride // image.itemsize for stride in image.strides)
    assert pixloss.evaluate(
        "l1", A[:, :, ::-1], B[:, :, ::-1], layout="NCHW"
    ).value == pytest.approx(np.abs(A - B).mean())


def test_integers_and_read_only_arrays():
    a = (A * 255).astype("u1")
    b = (B * 255).astype("u1")
    a.flags.writeable = False
    assert pixloss.evaluate("mse", a, b, layout="NCHW").value == pytest.approx(
        ((a.astype(float) - b) ** 2).mean()
    )
    wide = pixloss.evaluate("ssim", a.astype("u2") * 257, b.astype("u2") * 257, layout="NCHW").value
    assert wide == pytest.approx(pixloss.evaluate("ssim", a, b, layout="NCHW").value, rel=1e-4)
    with pytest.raises(pixloss.ArgumentError, match="a gradient is wanted of images of uint8"):
        pixloss.evaluate("mse", a, b, layout="NCHW", gradient=True)


class OnlyDLPack:
    """An array of a framework that pixloss does not know."""

    def __init__(self, held):
        self.held = held
        self.__dlpack__ = held.__dlpack__
        self.__dlpack_device__ = held.__dlpack_device__


@pytest.mark.parametrize("wrap", [OnlyDLPack, memoryview], ids=["DLPack", "buffer"])
def test_protocols(wrap):
    found = pixloss.evaluate(MIX, wrap(A), wrap(B), layout="NCHW", gradient=True)
    assert found.value == reference().value
    assert np.array_equal(np.asarray(found.gradient), reference().gradient)
    flipped = pixloss.evaluate(MIX, wrap(A[:, :, ::-1]), wrap(B[:, :, ::-1]), layout="NCHW").value
    assert flipped == pytest.approx(reference().value)


def test_plain_buffers():
    a, b = (
        memoryview(array.array("d", x[0, 0].ravel())).cast("B").cast("d", (24, 20)) for x in (A, B)
    )
    assert pixloss.evaluate("l1", a, b).value == pytest.approx(np.abs(A[0, 0] - B[0, 0]).mean())
    with pytest.raises(pixloss.ArgumentError, match="cast"):
        pixloss.evaluate("l1", array.array("d", [1.0]), array.array("d", [1.0]))


@pytest.mark.parametrize(
    "arguments,kind,message",
    [
        ((A, B), ValueError, "layout is None; 'HW', 'HWC'"),
        ((A, B, "HWC"), ValueError, r"pred has shape \(2, 3, 24, 20\), which is not HWC"),
        (
            (A, B[:1], "NCHW"),
            ValueError,
            r"pred is \(2, 3, 24, 20\) of float64 and target \(1, 3, 24, 20\) of float64",
        ),
        ((A.astype("u1"), B, "NCHW"), ValueError, "^target is f64, but pred is u8"),
        ((A.astype("i8"), B, "NCHW"), ValueError, "pred has elements of type int64; float32"),
        ((A.astype(">f4"), B, "NCHW"), ValueError, "pred has elements of type >f4"),
        (([[1.0]], B, "NCHW"), TypeError, "pred is of type list; an array is needed"),
    ],
)
def test_messages(arguments, kind, message):
    pred, target, *layout = arguments
    with pytest.raises(kind, match=message):
        pixloss.evaluate("l1", pred, target, layout=layout[0] if layout else None)


def test_odd_strides_are_refused():
    packed = np.zeros(10, dtype=np.dtype([("tag", "u1"), ("value", "f4")]))
    with pytest.raises(pixloss.ArgumentError, match="no whole elements"):
        views.raw("pred", packed["value"])


def test_the_cuda_interface_is_read():
    """Without a GPU: the address, type, strides and device that CuPy and Numba give."""

    class OnGpu:
        __cuda_array_interface__ = {
            "shape": (4, 6),
            "typestr": "<f2",
            "data": (0x7000, False),
            "strides": (24, 4),
            "version": 3,
        }
        dtype = np.dtype("f2")
        device = type("Device", (), {"id": 1})()

    raw = views.raw("pred", OnGpu())
    assert (raw.address, raw.dtype, raw.shape, raw.strides, raw.cuda) == (
        0x7000,
        "f16",
        (4, 6),
        (12, 2),
        1,
    )
    view = views.tensor(raw, views.axes("pred", raw.shape, None))
    assert (
        list(view.size[:4]) == [1, 1, 4, 6]
        and list(view.stride[:4]) == [0, 0, 12, 2]
        and view.device.index == 1
    )
