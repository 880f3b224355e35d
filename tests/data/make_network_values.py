#!/usr/bin/env python3
"""Writes network_values.json: values and gradients of network feature losses, computed by torch in float64.

    python tests/data/make_network_values.py        then look at git diff

tests/test_network_values.cpp holds the oracle to the file. Networks have random weights and images are random bytes, both from
the generator below, which C++ has too, so that nothing large is kept. A case says which network (architecture, seed of its
weights, seed of its biases; without: 0), which images, and the term:

    images: N x C x H x W random bytes as pred and target, times scale        layers: names; layer_weights: without, 1
    linear_seed: weights over channels, of stream k for the term's k-th layer     map: of lpips(spatial=True)
    value: of the batch, the mean (reduction sum: sum) of values, the images' own; grad_pred, grad_target: of value

The LPIPS cases are also computed by the packages lpips and torchmetrics, given the same weights, and the order of the VGGs'
layers and weights is checked against torchvision's; a difference is an error.

requirements (all but torch with --no-deps; no weights are downloaded, and those that come with lpips are not read):
    torch==2.13.0 numpy==2.4.6 torchvision==0.28.0 lpips==0.1.4 torchmetrics==1.9.0 scipy==1.17.1 pillow==13.0.0 tqdm==4.70.1
    lightning-utilities==0.15.3 packaging==26.3
"""
import argparse
import json
import os
import sys
import types
from functools import lru_cache
from importlib.metadata import version

import numpy as np
import torch
from torch.nn import functional as F

VGG = {
    "vgg11": "64,M,128,M,256,256,M,512,512,M,512,512,M",
    "vgg13": "64,64,M,128,128,M,256,256,M,512,512,M,512,512,M",
    "vgg16": "64,64,M,128,128,M,256,256,256,M,512,512,512,M,512,512,512,M",
    "vgg19": "64,64,M,128,128,M,256,256,256,256,M,512,512,512,512,M,512,512,512,512,M",
}
# mean and standard deviation; shift and scale
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
LPIPS = ((-0.030, -0.088, -0.188), (0.458, 0.448, 0.450))
LPIPS_LAYERS = ["relu1_2", "relu2_2", "relu3_3", "relu4_3", "relu5_3"]
JOHNSON_LAYERS = ["relu1_2", "relu2_2", "relu3_3", "relu4_3"]


# ---- What C++ makes too ----------------------------------------------------------------------------------------------------
def uniform(seed, stream, count):
    """Numbers 0 ... count - 1 of a stream of multiples of 2^-24 in [0, 1): splitmix64."""
    start = (seed * 0x9E3779B97F4A7C15 + (stream << 40)) % 2**64
    z = np.uint64(start) + np.arange(count, dtype=np.uint64)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return (z >> np.uint64(40)).astype(np.float64) * 2.0**-24


def make_images(spec):
    """pred and target."""
    count = int(np.prod(spec["shape"]))
    target = np.floor(256 * uniform(spec["seed"], 0, count))
    pred = np.clip(target + np.floor(65 * uniform(spec["seed"], 1, count)) - 32, 0, 255)
    return [torch.from_numpy(a.reshape(spec["shape"]) * spec["scale"]) for a in (pred, target)]


def parse(architecture):
    """(input channels, [(kind, output channels, size)])"""
    text = VGG.get(architecture, architecture)
    inputs, text = text.split(":") if ":" in text else ("3", text)
    layers = []
    for item in text.split(","):
        if item in "MA":
            layers.append(({"M": "max", "A": "average"}[item], None, None))
        else:
            outputs, size = item.split("k") if "k" in item else (item, "3")
            layers += [("conv", int(outputs), int(size)), ("relu", None, None)]
    return int(inputs), layers


def layer_names(layers):
    names, block, convolution = [], 1, 0
    for kind, _, _ in layers:
        convolution += kind == "conv"
        if kind in ("max", "average"):
            names.append(f"pool{block}")
            block, convolution = block + 1, 0
        else:
            names.append(f"{kind}{block}_{convolution}")
    return names


@lru_cache(maxsize=1)
def parameters(architecture, seed, bias_seed):
    """[(weight, bias)] of the convolutions, float32."""
    channels, layers = parse(architecture)
    made = []
    for _, outputs, size in (layer for layer in layers if layer[0] == "conv"):
        bound = np.sqrt(6 / (channels * size * size))
        numbers = uniform(seed, len(made), outputs * channels * size * size)
        weight = (bound * (2 * numbers - 1)).astype(np.float32).reshape(outputs, channels, size, size)
        bias = uniform(bias_seed, len(made), outputs) - 0.5 if bias_seed else np.zeros(outputs)
        made.append((weight, bias.astype(np.float32)))
        channels = outputs
    return made


def checksum(made):
    """Of the weights' bits: sum over convolutions j and elements i of (j + 1) (2 i + 1) bits, modulo 2^64."""
    total = 0
    for j, (weight, _) in enumerate(made):
        bits = weight.reshape(-1).view(np.uint32).astype(np.uint64)
        odd = 2 * np.arange(bits.size, dtype=np.uint64) + np.uint64(1)
        total += (j + 1) * int(np.sum(bits * odd, dtype=np.uint64))
    return f"{total % 2**64:016x}"


# ---- The definitions, in torch ---------------------------------------------------------------------------------------------
def normalized(x, case):
    if case["normalize"] == "none":
        return x
    first, second = (torch.tensor(a, dtype=torch.float64).view(1, 3, 1, 1)
                     for a in (IMAGENET if case["normalize"] == "imagenet" else LPIPS))
    x = x / case["data_range"]
    return ((2 * x - 1 if case["normalize"] == "lpips" else x) - first) / second


def features(x, case):
    """What the case's layers put out."""
    inputs, layers = parse(case["architecture"])
    if x.shape[1] == 1 and inputs == 3:
        x = x.expand(-1, 3, -1, -1)
    x = normalized(x, case)
    made = iter(parameters(case["architecture"], case["seed"], case.get("bias_seed", 0)))
    names, outputs = layer_names(layers), {}
    for number, (kind, _, size) in enumerate(layers):
        if kind == "conv":
            weight, bias = (torch.from_numpy(a).double() for a in next(made))
            x = F.conv2d(x, weight, bias, padding=size // 2)
        else:
            x = {"relu": F.relu, "max": lambda x: F.max_pool2d(x, 2), "average": lambda x: F.avg_pool2d(x, 2)}[kind](x)
        outputs[names[number]] = outputs[str(number)] = x
        if all(name in outputs for name in case["layers"]):
            break
    return [outputs[name] for name in case["layers"]]


def penalty(f, g, case):
    kind, param = case["penalty"], case.get("param")
    if kind == "huber":
        return F.huber_loss(f, g, reduction="none", delta=param)
    if kind == "smooth_l1":
        return F.smooth_l1_loss(f, g, reduction="none", beta=param)
    return {"l2": (f - g)**2, "l1": (f - g).abs()}[kind] if kind != "charbonnier" else ((f - g)**2 + param**2).sqrt()


def unit(f, case):
    if case["epsilon"] == "inside root":
        return f / (1e-8 + (f**2).sum(1, keepdim=True)).sqrt()
    return f / ((f**2).sum(1, keepdim=True).sqrt() + 1e-10)


def gram(f):
    n, c, h, w = f.shape
    f = f.reshape(n, c, h * w)
    return (f @ f.transpose(1, 2) / (c * h * w)).unsqueeze(1)


def linear_weights(case, number, channels):
    if "linear_seed" not in case:
        return torch.ones(channels, dtype=torch.float64)
    return torch.from_numpy(uniform(case["linear_seed"], number, channels))


def charged(x, y, case):
    """Per layer: N x C x H x W charges, weighted."""
    for number, (f, g) in enumerate(zip(features(x, case), features(y, case))):
        if case["transform"] == "unit":
            f, g = unit(f, case), unit(g, case)
        charges = penalty(gram(f), gram(g), case) if case["transform"] == "gram" else penalty(f, g, case)
        linear = linear_weights(case, number, charges.shape[1]).view(1, -1, 1, 1)
        yield case.get("layer_weights", [1] * 99)[number] * linear * charges


def values(x, y, case):
    """Per image."""
    total = 0
    for charges in charged(x, y, case):
        if case["reduction"] == "mean":
            total = total + charges.mean((1, 2, 3))
        elif case["reduction"] == "spatial" and case["transform"] != "gram":
            total = total + charges.sum(1).mean((1, 2))
        else:
            total = total + charges.sum((1, 2, 3))
    return total


def spatial_map(x, y, case):
    return sum(
        F.interpolate(charges.sum(1, keepdim=True), size=x.shape[2:], mode="bilinear", align_corners=False)
        for charges in charged(x, y, case))


# ---- The same by other packages --------------------------------------------------------------------------------------------
def import_packages():
    """torchvision's own operators are for detection; registering them fails where its build is not torch's (CUDA, CPU)."""
    sys.modules["torchvision._meta_registrations"] = types.ModuleType("torchvision._meta_registrations")
    import lpips
    import torchvision
    from torchmetrics.functional.image.lpips import _LPIPS

    return torchvision, lpips.LPIPS, _LPIPS


def check_torchvision(torchvision):
    kinds = {"Conv2d": "conv", "ReLU": "relu", "MaxPool2d": "max"}
    for name in VGG:
        theirs = getattr(torchvision.models, name)(weights=None).features
        ours = parse(name)[1]
        assert [kinds[type(layer).__name__] for layer in theirs] == [kind for kind, _, _ in ours], name
        shapes = [list(layer.weight.shape) for layer in theirs if hasattr(layer, "weight")]
        assert shapes == [list(weight.shape) for weight, _ in parameters(name, 1, 0)], name


def package_lpips(network, case, x, y, spatial):
    """A package's LPIPS with the case's weights, its constants in float64."""
    model = network(net="vgg", pretrained=False, pnet_rand=True, spatial=spatial, use_dropout=False).double()
    convolutions = [layer for layer in model.net.modules() if isinstance(layer, torch.nn.Conv2d)]
    for layer, (weight, bias) in zip(convolutions, parameters(case["architecture"], case["seed"], 0), strict=True):
        layer.weight.data, layer.bias.data = torch.from_numpy(weight).double(), torch.from_numpy(bias).double()
    for number in range(5):
        head = [layer for layer in getattr(model, f"lin{number}").modules() if isinstance(layer, torch.nn.Conv2d)][0]
        head.weight.data = linear_weights(case, number, head.weight.shape[1]).view(1, -1, 1, 1)
    for buffer, constants in zip((model.scaling_layer.shift, model.scaling_layer.scale), LPIPS):
        buffer.copy_(torch.tensor(constants, dtype=torch.float64).view(1, 3, 1, 1))
    with torch.no_grad():
        return model(x / case["data_range"], y / case["data_range"], normalize=True)


def check_lpips(case, x, y, computed, packages):
    """The packages' own value and map, which differ in their epsilon."""
    _, lpips, torchmetrics = packages
    if case["epsilon"] == "inside root":
        name, network = f"torchmetrics {version('torchmetrics')}", torchmetrics
    else:
        name, network = f"lpips {version('lpips')}", lambda **options: lpips(verbose=False, **options)
    torch.testing.assert_close(package_lpips(network, case, x, y, False).flatten(), computed, rtol=1e-12, atol=0)
    if case.get("map"):
        theirs = package_lpips(network, case, x, y, True)
        torch.testing.assert_close(theirs, spatial_map(x, y, case), rtol=1e-12, atol=1e-15)
    return name


# ---- The cases -------------------------------------------------------------------------------------------------------------
def images(shape, seed, scale=1 / 256):
    return {"shape": shape, "seed": seed, "scale": scale}


def make_case(identity, architecture, layers, pair, **more):
    usual = {"penalty": "l2", "reduction": "mean", "transform": "none", "normalize": "none", "data_range": 1}
    return {"id": identity, "architecture": architecture, "seed": 1, "layers": layers, "images": pair, **usual, **more}


def content_cases():
    small, grey = images([2, 3, 32, 32], 101), images([2, 1, 32, 32], 102)
    bytes_, odd = images([1, 3, 32, 32], 103, 1), images([1, 3, 37, 45], 104)
    imagenet = {"normalize": "imagenet"}
    usual = ["relu1_2", "relu2_2", "relu3_3"]
    yield make_case("vgg11", "vgg11", ["relu1_1", "relu2_1", "relu3_2"], small, **imagenet)
    yield make_case("vgg11_pools", "vgg11", ["pool1", "5", "pool3"], odd, penalty="l1", **imagenet)
    yield make_case("vgg13", "vgg13", ["relu1_2", "relu2_2", "relu5_2"], small, seed=2, **imagenet)
    yield make_case("vgg16", "vgg16", usual, small, **imagenet)
    yield make_case("vgg16_plain", "vgg16", usual, small, reduction="spatial")
    yield make_case("vgg16_lpips_input", "vgg16", usual, small, normalize="lpips", reduction="sum")
    yield make_case("vgg16_before_relu", "vgg16", ["conv1_2", "conv3_1", "conv5_3"], small, penalty="l1",
                    layer_weights=[1, 0.5, 0.25])
    yield make_case("vgg16_last", "vgg16", ["30"], small, **imagenet)
    yield make_case("vgg16_odd", "vgg16", ["relu2_2", "relu4_1"], odd, penalty="charbonnier", param=0.001, **imagenet)
    yield make_case("vgg16_bytes", "vgg16", ["relu2_2"], bytes_, data_range=255, **imagenet)
    yield make_case("vgg16_bytes_plain", "vgg16", ["relu1_2"], bytes_, penalty="huber", param=20, data_range=255)
    yield make_case("vgg16_grey", "vgg16", usual, grey, **imagenet)
    yield make_case("vgg16_grey_plain", "vgg16", ["relu2_2"], grey)
    yield make_case("vgg19", "vgg19", ["conv5_4"], small, seed=3, **imagenet)
    yield make_case("vgg19_esrgan", "vgg19", ["conv1_2", "conv2_2", "conv3_4", "conv4_4", "conv5_4"], small, penalty="l1",
                    layer_weights=[0.1, 0.1, 1, 1, 1], **imagenet)


def normalized_cases():
    small, grey = images([2, 3, 32, 32], 111), images([1, 1, 32, 32], 112)
    bytes_, odd = images([1, 3, 32, 32], 113, 1), images([1, 3, 37, 45], 114)
    lpips = {"transform": "unit", "reduction": "spatial", "normalize": "lpips", "linear_seed": 7}
    inside, added = {"epsilon": "inside root"}, {"epsilon": "added"}
    yield make_case("lpips", "vgg16", LPIPS_LAYERS, small, **lpips, **inside, map=True)
    yield make_case("lpips_added", "vgg16", LPIPS_LAYERS, small, **lpips, **added, map=True)
    yield make_case("lpips_odd", "vgg16", LPIPS_LAYERS, odd, **lpips, **inside, map=True)
    yield make_case("lpips_bytes", "vgg16", LPIPS_LAYERS, bytes_, **{**lpips, "data_range": 255}, **inside)
    yield make_case("lpips_grey", "vgg16", LPIPS_LAYERS, grey, **lpips, **added)
    unit = {"transform": "unit", "normalize": "imagenet", **inside}
    yield make_case("cosine", "vgg16", ["relu3_3", "conv4_2"], small, **unit, reduction="spatial", layer_weights=[0.5, 0.5])
    yield make_case("unit_l1", "vgg16", ["relu2_2", "relu4_3"], small, **unit, penalty="l1")
    style = {"transform": "gram", "normalize": "imagenet"}
    yield make_case("gram", "vgg16", JOHNSON_LAYERS, small, **style, reduction="sum")
    yield make_case("gram_mean", "vgg19", ["relu1_1", "relu5_1"], small, **style, seed=3, layer_weights=[2, 0.5])
    yield make_case("gram_spatial", "vgg16", ["relu2_2"], odd, **style, reduction="spatial", penalty="smooth_l1", param=0.01)
    yield make_case("gram_grey", "vgg16", ["relu1_2", "relu3_3"], grey, **style, penalty="l1")


def small_cases():
    grey = "1:8,M,16k5,A,12k1"
    odd, four = images([2, 1, 13, 19], 121), images([2, 4, 12, 11], 122)
    layers = ["conv1_1", "pool1", "relu2_1", "pool2", "conv3_1"]
    for number, (kind, param) in enumerate({"l2": None, "l1": None, "huber": 0.1, "smooth_l1": 0.1, "charbonnier": 0.05}.items()):
        more = {"penalty": kind, "reduction": ["mean", "spatial", "sum"][number % 3]}
        yield make_case(f"small_{kind}", grey, layers, odd, bias_seed=9, **more, **({"param": param} if param else {}))
    yield make_case("small_unit", grey, layers[1:3], odd, bias_seed=9, transform="unit", epsilon="added", penalty="charbonnier",
                    param=0.1, linear_seed=8)
    # So dark that the norms' epsilons count.
    faint = {"transform": "unit", "penalty": "l2", "reduction": "spatial"}
    yield make_case("faint_unit", grey, layers[1:3], images([1, 1, 13, 19], 123, 2**-20), **faint, epsilon="inside root")
    yield make_case("faint_unit_added", grey, layers[1:2], images([1, 1, 13, 19], 123, 2**-28), **faint, epsilon="added")
    yield make_case("small_linear", grey, layers[1:3], odd, bias_seed=9, linear_seed=8)
    yield make_case("small_gram", grey, layers, odd, bias_seed=9, transform="gram", penalty="huber", param=0.01)
    yield make_case("four_channels", "4:6k7,A,M,5", ["relu1_1", "pool2", "relu3_1"], four)


# ---- The file --------------------------------------------------------------------------------------------------------------
def described(array, count):
    """The norm, the largest magnitude and `count` elements, by their numbers in N, C, H, W order."""
    flat = array.reshape(-1).double().numpy()
    places = [(2 * k + 1) * flat.size // (2 * count) for k in range(count)]
    return {"norm": float(np.linalg.norm(flat)), "largest": float(np.abs(flat).max()),
            "elements": [[place, float(flat[place])] for place in places]}


def computed(case, packages):
    x, y = make_images(case["images"])
    x.requires_grad_(), y.requires_grad_()
    per_image = values(x, y, case)
    value = per_image.sum() if case["reduction"] == "sum" else per_image.mean()
    value.backward()
    case["value"], case["values"] = value.item(), per_image.tolist()
    case["grad_pred"], case["grad_target"] = described(x.grad, 12), described(y.grad, 6)
    with torch.no_grad():
        if case["normalize"] == "lpips" and case["transform"] == "unit":
            wide = [a.expand(-1, 3, -1, -1) for a in (x, y)]
            case["same_by"] = check_lpips(case, *wide, per_image, packages)
        if case.get("map"):
            case["map"] = described(spatial_map(x, y, case), 12)
    return case


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    folder = os.path.dirname(os.path.abspath(__file__))
    parser.add_argument("--output", default=os.path.join(folder, "network_values.json"))
    options = parser.parse_args()

    torch.set_num_threads(1)
    packages = import_packages()
    check_torchvision(packages[0])
    cases = [computed(case, packages) for make in (content_cases, normalized_cases, small_cases) for case in make()]
    networks = sorted({(case["architecture"], case["seed"]) for case in cases})
    weights = [{"architecture": a, "seed": s, "checksum": checksum(parameters(a, s, 0))} for a, s in networks]
    versions = {"python": sys.version.split()[0]}
    versions.update({package: version(package) for package in ("torch", "numpy", "torchvision", "lpips", "torchmetrics")})
    lines = ['{', ' "made_by": "tests/data/make_network_values.py; do not edit",', f' "versions": {json.dumps(versions)},']
    for name, rows in (("weights", weights), ("cases", cases)):
        lines += [f' "{name}": [', ",\n".join("  " + json.dumps(row) for row in rows), " ]" + ("," if name == "weights" else "")]
    with open(options.output, "w", encoding="utf-8") as file:
        file.write("\n".join(lines + ["}"]) + "\n")


if __name__ == "__main__":
    main()
