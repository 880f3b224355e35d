#!/usr/bin/env python3
"""Times other libraries' losses in one run, on the sizes and pixels of pixloss_bench, and sets pixloss beside them.

    peers.py [--json OUT.json] [--pixloss-json RAW.json] [--fused-ssim FOLDER] [--filter REGEX]
    peers.py --device cpu [...]

Peers: torch's own operations, eager and compiled; SSIM written with conv2d as pytorch-msssim has it (and that package itself),
fused-ssim, torchmetrics, piq, kornia; on the CPU scikit-image and OpenCV, too. What cannot be imported, built or run is named
with its reason and left out. On a GPU times are medians of CUDA events around several calls; `RAW.json` is pixloss_bench's own
output (--benchmark_out) of the same session. Every peer's value is compared with the same formula in float64 first: one that
is not what it is taken for is not timed. Each row has the peer's version and threads; there is no ratio where the peer or pixloss
varied by more than the limit in trust.py.
"""
import argparse
import contextlib
import importlib
import importlib.util
import json
import os
import re
import sys
import time
import types
from dataclasses import dataclass
from typing import Callable, Optional

import torch
import torch.nn.functional as F

import peer_report
import trust

SIZES = ["5x5x1080x1920", "1x3x1080x1920", "16x3x256x256", "4x3x256x256", "1x3x256x256"]
CPU_SIZES = ["1x3x1080x1920", "16x1x256x256", "1x1x64x64"]


# ---- Pixels: multiples of 1/256, the target uniform, the prediction the target with noise, as bench/image.cpp draws them -------

def make_images(size, device):
    generator = torch.Generator().manual_seed(1)
    target = torch.randint(32, 225, size, generator=generator)
    noise = torch.randint(-16, 17, size, generator=generator)
    return tuple((levels.float() / 256).to(device) for levels in (target + noise, target))


# ---- Peers -------------------------------------------------------------------------------------------------------------------

def gaussian(channels, like):
    x = torch.arange(11, dtype=torch.float64, device=like.device) - 5
    taps = torch.exp(-x * x / (2 * 1.5 ** 2))
    return (taps / taps.sum()).to(like.dtype).repeat(channels, 1, 1, 1)


def conv2d_ssim(pred, target, taps, padding=0):
    """1 - SSIM by pytorch-msssim's formula: five maps, each filtered along both axes by grouped convolutions. taps: C,1,1,11."""
    channels = pred.shape[1]

    def blur(image):
        image = F.conv2d(image, taps.transpose(2, 3), groups=channels, padding=(padding, 0))
        return F.conv2d(image, taps, groups=channels, padding=(0, padding))
    c1, c2 = 0.01 ** 2, 0.03 ** 2
    mx, my = blur(pred), blur(target)
    vx, vy, vxy = blur(pred * pred) - mx * mx, blur(target * target) - my * my, blur(pred * target) - mx * my
    ssim = ((2 * mx * my + c1) / (mx * mx + my * my + c1)) * ((2 * vxy + c2) / (vx + vy + c2))
    return 1 - ssim.mean()


@dataclass
class Peer:
    name: str
    loss: str                                     # the pixloss expression that computes the same
    make: Callable                                # (pred, target) -> a function of them; may raise
    value_only: Optional[Callable] = None         # where inference differs: as `make`
    compiled: bool = False
    backward: bool = True
    sizes: str = ""                               # only those that match; else what the options say
    package: str = "torch"                        # whose version counts

    def threads(self):
        """Of the CPU; None on a GPU."""
        if DEVICE.type != "cpu":
            return None
        if self.package == "scikit-image":  # its filters are SciPy's, which use one
            return 1
        return importlib.import_module("cv2").getNumThreads() if self.package.startswith("opencv") else torch.get_num_threads()


def torch_peers():
    def ssim(padding):
        def make(pred, _):
            taps = gaussian(pred.shape[1], pred)
            return lambda a, b: conv2d_ssim(a, b, taps, padding)
        return make
    peers = [Peer("torch eager, conv2d SSIM", "ssim", ssim(0)),
             Peer("torch.compile, conv2d SSIM", "ssim", ssim(0), compiled=True),
             Peer("torch eager, conv2d SSIM, zero border", "ssim(border=zero)", ssim(5)),
             Peer("torch.compile, conv2d SSIM, zero border", "ssim(border=zero)", ssim(5), compiled=True)]
    for name, loss, function in (("l1_loss", "l1", F.l1_loss), ("mse_loss", "mse", F.mse_loss)):
        peers += [Peer(f"torch eager, {name}", loss, lambda *_, f=function: f),
                  Peer(f"torch.compile, {name}", loss, lambda *_, f=function: f, compiled=True)]
    for name, function in (("sum", lambda a, _: a.sum()), ("mean", lambda a, _: a.mean()),
                           ("l2", lambda a, _: torch.linalg.vector_norm(a))):
        peers.append(Peer(f"torch, {name}", f"reduce({name})", lambda *_, f=function: f, backward=False))
    return peers


def vgg16_relu3_3(layout):
    """The layers of torchvision's VGG16 up to relu3_3, and the numbers of relu1_2, relu2_2 and relu3_3. Weights do not matter to the
    time; those of pixloss_bench are random, too."""
    layers, channels = [], 3
    for width in (64, 64, "M", 128, 128, "M", 256, 256, 256):
        if width == "M":
            layers.append(torch.nn.MaxPool2d(2, 2))
        else:
            layers += [torch.nn.Conv2d(channels, width, 3, padding=1), torch.nn.ReLU(inplace=True)]
            channels = width
    network = torch.nn.Sequential(*layers).to(DEVICE, memory_format=layout).requires_grad_(False)
    return network, (3, 8, 15)


def content_peers():
    def make(layout, kept=False, half=False):
        def inner(*_):
            network, chosen = vgg16_relu3_3(layout)

            def features(image):
                found, image = [], image.to(memory_format=layout)
                for number, layer in enumerate(network):
                    image = layer(image)
                    if number in chosen:
                        found.append(image)
                return found
            memory = []

            def loss(pred, target):
                with torch.autocast(DEVICE.type, torch.float16, enabled=half):
                    if not kept or not memory:
                        with torch.no_grad():
                            memory[:] = [features(target)]
                    return sum(F.mse_loss(a.float(), b.float()) for a, b in zip(features(pred), memory[0]))
            return loss
        return inner
    nchw, nhwc, size = torch.contiguous_format, torch.channels_last, "4x3x256x256$"
    half = [Peer("torch.compile, VGG16 content, channels_last, autocast f16", "features(net=vgg16-random) in f16",
                 make(nhwc, half=True), compiled=True, sizes=size),
            Peer("torch eager, VGG16 content, channels_last, autocast f16", "features(net=vgg16-random) in f16",
                 make(nhwc, half=True), sizes=size)]
    return (half if DEVICE.type == "cuda" else []) + [
            Peer("torch eager, VGG16 content", "features(net=vgg16-random)", make(nchw), sizes=size),
            Peer("torch eager, VGG16 content, channels_last", "features(net=vgg16-random)", make(nhwc), sizes=size),
            Peer("torch eager, VGG16 content, channels_last, target kept", "features(net=vgg16-random)", make(nhwc, True),
                 sizes=size)]


def fused_ssim_peer(folder):
    def function():
        if folder:
            return built_fused_ssim(folder)
        return importlib.import_module("fused_ssim").fused_ssim

    def make(train):
        def inner(*_):
            fused = function()
            return lambda a, b: 1 - fused(a, b, padding="same", train=train)
        return inner
    return Peer("fused-ssim", "ssim(border=zero)", make(True), value_only=make(False), package="fused-ssim")


BUILT = {}


def built_fused_ssim(folder):
    """The function `fused_ssim` of a source folder, its extension built beside torch's others."""
    if folder not in BUILT:
        from torch.utils.cpp_extension import load
        sources = [os.path.join(folder, name) for name in ("ssim.cu", "ext.cpp")]
        missing = [name for name in sources if not os.path.exists(name)]
        if missing:
            raise FileNotFoundError(f"--fused-ssim: no {missing[0]}")
        module = load(name="fused_ssim_cuda", sources=sources, extra_cuda_cflags=["-O3", "--maxrregcount=32", "--use_fast_math"])
        sys.modules["fused_ssim_cuda"] = module  # its Python imports it by this name
        sys.path.insert(0, folder)
        BUILT[folder] = importlib.import_module("fused_ssim").fused_ssim
    return BUILT[folder]


def package_peers():
    def msssim(*_):
        package = importlib.import_module("pytorch_msssim")
        return lambda a, b: 1 - package.ssim(a, b, data_range=1)

    def ms_ssim(*_):
        package = importlib.import_module("pytorch_msssim")
        return lambda a, b: 1 - package.ms_ssim(a, b, data_range=1)

    def torchmetrics(*_):
        package = importlib.import_module("torchmetrics.functional.image")
        return lambda a, b: 1 - package.structural_similarity_index_measure(a, b, data_range=1.0)

    def piq(*_):
        # Without the rest of the package, which wants torchvision, of which PyPI has no build for torch's CPU build.
        if "piq" not in sys.modules:
            found = importlib.util.find_spec("piq")
            if not found:
                raise ModuleNotFoundError("No module named 'piq'")
            package = types.ModuleType("piq")
            package.__path__ = found.submodule_search_locations
            sys.modules["piq"] = package
        ssim = importlib.import_module("piq.ssim").ssim
        return lambda a, b: 1 - ssim(a, b, data_range=1.0)

    def kornia(*_):
        package = importlib.import_module("kornia.metrics")
        return lambda a, b: 1 - package.ssim(a, b, window_size=11).mean()
    # MS-SSIM takes 161 pixels each way.
    ms_ssim_peer = Peer("pytorch-msssim", "ms_ssim(preset=vainf)", ms_ssim, package="pytorch-msssim",
                        sizes=r".*x\d{3,}x\d{3,}$")
    return [ms_ssim_peer] + [
        Peer(package, loss, make, package=package) for package, loss, make in (
        ("pytorch-msssim", "ssim", msssim), ("torchmetrics", "ssim(preset=torchmetrics,data_range=1)", torchmetrics),
        ("piq", "ssim(preset=piq)", piq), ("kornia", "ssim(preset=kornia)", kornia))]


def array_peers():
    """Libraries of NumPy arrays, for the CPU."""
    def skimage(*_):
        similarity = importlib.import_module("skimage.metrics").structural_similarity
        options = {"channel_axis": 0, "gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 1.0}

        class Ssim(torch.autograd.Function):
            @staticmethod
            def forward(context, pred, target):
                wanted = pred.requires_grad
                found = [similarity(a, b, gradient=wanted, **options) for a, b in zip(pred.detach().numpy(), target.numpy())]
                if wanted:
                    context.save_for_backward(torch.stack([torch.from_numpy(-gradient) for _, gradient in found]) / len(found))
                return torch.tensor(1 - sum(f[0] if wanted else f for f in found) / len(found))

            @staticmethod
            def backward(context, upstream):
                return upstream * context.saved_tensors[0], None
        return Ssim.apply

    def opencv(pred, _):
        cv2 = importlib.import_module("cv2")

        def blur(image):
            return cv2.GaussianBlur(image, (11, 11), 1.5)

        def plane(x, y):
            mx, my = blur(x), blur(y)
            vx, vy, vxy = blur(x * x) - mx * mx, blur(y * y) - my * my, blur(x * y) - mx * my
            return (((2 * mx * my + 1e-4) * (2 * vxy + 9e-4)) / ((mx * mx + my * my + 1e-4) * (vx + vy + 9e-4))).mean()

        def loss(pred, target):
            pairs = zip(pred.detach().flatten(0, 1).numpy(), target.flatten(0, 1).numpy())
            return torch.tensor(1 - sum(plane(a, b) for a, b in pairs) / (pred.shape[0] * pred.shape[1]))
        return loss
    return [Peer("scikit-image", "ssim", skimage, package="scikit-image"),
            Peer("OpenCV, its tutorial's SSIM", "ssim(border=reflect)", opencv, backward=False, package="opencv-python-headless")]


# ---- A check that a peer computes what it is taken for -------------------------------------------------------------------------

REFERENCES = {
    "ssim": lambda a, b: conv2d_ssim(a, b, gaussian(a.shape[1], a), 0),
    "ssim(border=zero)": lambda a, b: conv2d_ssim(a, b, gaussian(a.shape[1], a), 5),
    "ssim(border=reflect)": lambda a, b: conv2d_ssim(*(F.pad(image, (5, 5, 5, 5), mode="reflect") for image in (a, b)),
                                                     gaussian(a.shape[1], a), 0),
    "l1": F.l1_loss, "mse": F.mse_loss,
    "reduce(sum)": lambda a, _: a.sum(), "reduce(mean)": lambda a, _: a.mean(),
    "reduce(l2)": lambda a, _: torch.linalg.vector_norm(a),
}


def check(peer, function, size):
    reference = REFERENCES.get(peer.loss)
    if reference is None:
        return
    pred, target = (image[:1, :, :256, :256].contiguous() for image in make_images(size, DEVICE))
    with torch.no_grad():
        expected = reference(pred.double(), target.double()).item()
    got = function(pred.requires_grad_(), target).item()
    if not abs(got - expected) <= 1e-4 * abs(expected):
        raise ValueError(f"its value is {got:.9g}; float64 gives {expected:.9g}")


# ---- Time ----------------------------------------------------------------------------------------------------------------------

DEVICE = torch.device("cpu")


def sample(call, runs):
    """Seconds of one call, of several in a row."""
    if DEVICE.type == "cpu":
        start = time.perf_counter()
        for _ in range(runs):
            call()
        return (time.perf_counter() - start) / runs
    begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    begin.record()
    for _ in range(runs):
        call()
    end.record()
    end.synchronize()
    return 1e-3 * begin.elapsed_time(end) / runs


def sample_times(call, seconds):
    """Seconds of one call, in samples of 2 ms or more, after a warm-up."""
    for _ in range(3):
        call()
    once = sample(call, 1)
    runs = max(1, int(2e-3 / max(once, 1e-7)))
    count = max(5, min(100, int(seconds / max(once * runs, 1e-6))))
    return [sample(call, runs) for _ in range(count)]


def copies_to_be_cold(bytes_of_one):
    """How many sets of images take turns, so that none is in the L2 when its turn comes: as pixloss_bench."""
    if DEVICE.type == "cpu":
        return 1
    cache = getattr(torch.cuda.get_device_properties(DEVICE), "L2_cache_size", 64 << 20)
    return min(64, max(1, -(-4 * cache // bytes_of_one)))


def calls(peer, size, what):
    """A function of no arguments that does one evaluation, `value` or `gradient`, on the next set of images."""
    images = [make_images(size, DEVICE)]
    count = copies_to_be_cold((3 if what == "gradient" else 2) * images[0][0].nbytes)
    images += [tuple(image.clone() for image in images[0]) for _ in range(count - 1)]
    make = peer.value_only if what == "value" and peer.value_only else peer.make
    function = make(*images[0])
    check(peer, function, size)
    if peer.compiled:
        torch.compiler.reset()  # else the second size is compiled for any size, and runs slower
        function = torch.compile(function, dynamic=False)
    turn = 0

    def value():
        nonlocal turn
        turn = (turn + 1) % len(images)
        with torch.no_grad():
            return function(*images[turn])

    def gradient():
        nonlocal turn
        turn = (turn + 1) % len(images)
        pred, target = images[turn]
        pred.grad = None
        function(pred, target).backward()
    if what == "value":
        return value
    for pred, _ in images:
        pred.requires_grad_()
    return gradient


def time_peer(peer, size, what, seconds):
    """A row of the results, or one with `error`."""
    row = {"peer": peer.name, "loss": peer.loss, "size": "x".join(map(str, size)), "what": what}
    try:
        times = sample_times(calls(peer, size, what), seconds)
        row.update(peer_report.timing(times, size), version=peer_report.version(peer.package), threads=peer.threads())
    except Exception as error:  # a peer that fails is no reason to stop
        lines = str(error).strip().splitlines()
        row["error"] = f"{type(error).__name__}: {lines[0] if lines else ''}"[:200]
    finally:
        if DEVICE.type == "cuda":
            with contextlib.suppress(RuntimeError):  # after a peer's failure in a kernel, everything fails
                torch.cuda.synchronize()
            torch.cuda.empty_cache()
    return row


# ---- Options and output ---------------------------------------------------------------------------------------------------------

def parse_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--sizes", help="NxCxHxW, separated by commas")
    parser.add_argument("--filter", default="", help="only peers whose name matches this regular expression")
    parser.add_argument("--seconds", type=float, default=0.3, help="for each peer, size, and value or gradient")
    parser.add_argument("--fused-ssim", metavar="FOLDER", help="fused-ssim's source folder, to be built")
    parser.add_argument("--json", metavar="FILE", help="where the results go, with all versions")
    parser.add_argument("--pixloss-json", metavar="FILE", help="pixloss_bench's --benchmark_out of the same session")
    return parser.parse_args()


def chosen_peers(options):
    own_device = [fused_ssim_peer(options.fused_ssim)] if options.device == "cuda" else array_peers()
    return [peer for peer in torch_peers() + content_peers() + own_device + package_peers() if re.search(options.filter, peer.name)]


def time_all(peers, sizes, seconds):
    rows, failed = [], set()
    for peer in peers:
        for size in sizes:
            if not re.match(peer.sizes, "x".join(map(str, size))):
                continue
            for what in ["value", "gradient"] if peer.backward else ["value"]:
                if peer.name in failed:  # not importable: once is enough
                    continue
                row = time_peer(peer, size, what, seconds)
                rows.append(row)
                if re.match(r"(ModuleNotFound|FileNotFound|Import)Error", row.get("error", "")):
                    failed.add(peer.name)
                print(f"peers: {peer.name}, {row['size']}, {what}: {row.get('error') or '%.1f us' % (1e6 * row['seconds'])}",
                      file=sys.stderr, flush=True)
    return rows


def main():
    global DEVICE
    options = parse_options()
    if options.device == "cuda" and not torch.cuda.is_available():
        sys.exit("peers.py: torch sees no CUDA device; --device cpu tries the script without one")
    DEVICE = torch.device(options.device)
    torch.backends.cudnn.benchmark = True  # the fastest algorithm for each convolution, found during the warm-up
    # Exact fp32, as pixloss computes: no tf32 in convolutions.
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    chosen = options.sizes.split(",") if options.sizes else SIZES if options.device == "cuda" else CPU_SIZES
    load = trust.Load()
    rows = time_all(chosen_peers(options), [tuple(int(number) for number in size.split("x")) for size in chosen], options.seconds)
    on_cuda = options.device == "cuda"
    name = torch.cuda.get_device_name(DEVICE) if on_cuda else f"{trust.cpu_model()}, {os.cpu_count()} cores"
    context = peer_report.context(name, load, on_cuda)
    if on_cuda:
        context["versions"].update(cuda=torch.version.cuda, cudnn=str(torch.backends.cudnn.version()))
    if options.pixloss_json:
        context["pixloss"] = peer_report.add_ratios(rows, options.pixloss_json)
    print(peer_report.text(context, rows))
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump({"context": context, "results": rows}, file, indent=1)
            file.write("\n")
    sys.exit(0 if any("seconds" in row for row in rows) else 1)


if __name__ == "__main__":
    main()
