"""Networks: from state dicts in memory, and the perceptual terms in them against plain
convolutions."""

import copy
import pickle

import pytest

import pixloss

np = pytest.importorskip("numpy", reason="numpy is not installed")
RANDOM = np.random.default_rng(3)
A, B = RANDOM.random((2, 3, 20, 24)), RANDOM.random((2, 3, 20, 24))
# Number in torchvision, inputs, outputs
CHANNELS = [(0, 3, 4), (2, 4, 4), (5, 4, 6), (7, 6, 6), (10, 6, 8), (12, 8, 8), (14, 8, 8)]


def state(prefix="features."):
    made = {}
    for number, inputs, outputs in CHANNELS:
        made[f"{prefix}{number}.weight"] = (
            RANDOM.standard_normal((outputs, inputs, 3, 3)) * (2 / (9 * inputs)) ** 0.5
        ).astype("f4")
        made[f"{prefix}{number}.bias"] = RANDOM.standard_normal(outputs).astype("f4") * 0.1
    return made


STATE = state()
LINEAR = {
    f"lin{i}.model.1.weight": RANDOM.random((1, channels, 1, 1)).astype("f4")
    for i, channels in enumerate((4, 6, 8))
}


def features(image):
    """{number of a convolution: the ReLU behind it} in float64."""
    found = {}
    numbers = [number for number, _, _ in CHANNELS]
    for i, number in enumerate(numbers):
        if i and number - numbers[i - 1] == 3:
            n, c, h, w = image.shape
            image = (
                image[:, :, : h // 2 * 2, : w // 2 * 2]
                .reshape(n, c, h // 2, 2, w // 2, 2)
                .max((3, 5))
            )
        padded = np.pad(image, ((0, 0), (0, 0), (1, 1), (1, 1)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (2, 3))
        image = np.einsum(
            "nchwij,ocij->nohw", windows, STATE[f"features.{number}.weight"].astype(float)
        )
        image = np.maximum(image + STATE[f"features.{number}.bias"][:, None, None], 0)
        found[number] = image
    return found


def evaluate(expression, network, **more):
    try:
        return pixloss.evaluate(
            expression,
            A.astype("f4"),
            B.astype("f4"),
            layout="NCHW",
            networks={"mine": network},
            **more,
        )
    except pixloss.UnsupportedError as error:
        pytest.skip(str(error))


def test_from_a_state_dict():
    network = pixloss.Network.from_state_dict(STATE)
    assert (
        network.layers[:5] == ["conv1_1", "relu1_1", "conv1_2", "relu1_2", "pool1"]
        and network.layers[-1] == "pool3"
    )
    f, g = features(A), features(B)
    expected = sum(((f[n] - g[n]) ** 2).mean() for n in (2, 7, 14))
    found = evaluate("features", network, gradient=True)
    assert found.value == pytest.approx(expected, rel=1e-4) and np.abs(found.gradient).max() > 0
    weighted = evaluate(f"features(layers={'0.5*relu1_2:relu2_2'}, l1)", network).value
    assert weighted == pytest.approx(
        0.5 * np.abs(f[2] - g[2]).mean() + np.abs(f[7] - g[7]).mean(), rel=1e-4
    )
    without_prefix = {name.replace("features.", ""): value for name, value in STATE.items()}
    assert (
        evaluate("features", pixloss.Network.from_state_dict(without_prefix)).value == found.value
    )


def test_linear_weights_of_lpips():
    network = pixloss.Network.from_state_dict(STATE, LINEAR)
    found = evaluate("lpips(layers=relu1_2:relu2_2:relu3_3, data_range=1)", network)
    shift = np.array([-0.030, -0.088, -0.188])
    scale = np.array([0.458, 0.448, 0.450])
    f, g = (features(((2 * x - 1) - shift[:, None, None]) / scale[:, None, None]) for x in (A, B))
    expected = 0.0
    for i, n in enumerate((2, 7, 14)):
        unit = [x[n] / np.sqrt(1e-8 + (x[n] ** 2).sum(1, keepdims=True)) for x in (f, g)]
        expected += ((unit[0] - unit[1]) ** 2 * LINEAR[f"lin{i}.model.1.weight"][0]).sum(1).mean()
    assert found.value == pytest.approx(expected, rel=1e-4)


def test_what_is_no_vgg_is_refused():
    with pytest.raises(pixloss.ArgumentError, match="no features.0.weight .* it has layer1.weight"):
        pixloss.Network.from_state_dict({"layer1.weight": STATE["features.0.weight"]})
    normalized = {
        **STATE,
        "features.1.weight": np.ones(4, "f4"),
        "features.1.bias": np.ones(4, "f4"),
    }
    with pytest.raises(pixloss.ArgumentError, match="batch normalization"):
        pixloss.Network.from_state_dict(normalized)
    with pytest.raises(
        pixloss.ArgumentError, match="lin0, lin1 are given; the network has 3 blocks"
    ):
        pixloss.Network.from_state_dict(
            STATE, {name: value for name, value in LINEAR.items() if "lin2" not in name}
        )
    with pytest.raises(pixloss.ArgumentError, match="is not given"):
        evaluate("features", pixloss.Network.random("3:4"))


def test_copies_and_pickles():
    for network in (
        pixloss.Network.from_state_dict(STATE, LINEAR),
        pixloss.Network.random("3:4,4", seed=7),
    ):
        again = pickle.loads(pickle.dumps(network))
        assert (
            again.key == network.key
            and again.layers == network.layers
            and copy.deepcopy(network) is network
        )
        assert (
            evaluate("cosine(layers=relu1_2)", again).value
            == evaluate("cosine(layers=relu1_2)", network).value
        )
    assert pixloss.Network.random("3:4", seed=1).key != pixloss.Network.random("3:4", seed=2).key


def test_in_torch():
    torch = pytest.importorskip("torch", reason="torch is not installed")
    import pixloss.torch as pt

    tensors = {name: torch.from_numpy(value) for name, value in STATE.items()}
    network = pixloss.Network.from_state_dict(
        tensors, {name: torch.from_numpy(value) for name, value in LINEAR.items()}
    )
    loss = pt.Loss("l1 + 0.1*features(layers=relu2_2)", networks={"vgg16": network})
    p = torch.from_numpy(A).float().requires_grad_()
    t = torch.from_numpy(B).float()
    try:
        loss(p, t).backward()
    except pixloss.UnsupportedError as error:
        pytest.skip(str(error))
    f, g = features(A), features(B)
    assert loss.terms["features(net=vgg16, layers=relu2_2)"].item() == pytest.approx(
        ((f[7] - g[7]) ** 2).mean(), rel=1e-4
    )
    assert torch.equal(pickle.loads(pickle.dumps(loss))(p, t), loss(p, t))
    torch.testing.assert_close(torch.compile(loss, fullgraph=True)(p, t), loss(p, t))
    torch.testing.assert_close(
        pt.features(p, t, networks={"vgg16": network}, layers=["relu2_2"]),
        loss.terms["features(net=vgg16, layers=relu2_2)"],
    )
