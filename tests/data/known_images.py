"""The images of known_values.json: committed photographs, and distortions of them in integers, as in test_known_values.cpp."""
import os

import numpy as np
from PIL import Image

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# target = the photograph, cropped or mirrored; pred = the distorted target. Both 8 bit; values handed to the libraries: v / 255.
#   tile [r, c]         r x c copies, every second one mirrored, edge pixels repeated: abc|cba|abc
#   crop [y, x, h, w]   after tiling
#   blur b              b times a 3x3 mean, edge pixels replicated: (sum of 9 + 4) div 9
#   noise a, offset o   v + o + (hash(seed, i) * (2 a + 1) >> 32) - a, clamped to 0...255, with i the index in C, H, W order
#   hash                the upper 32 bits of splitmix64(seed * 2^32 + i)
ASTRONAUT, CAMERA = "tests/data/astronaut.png", "tests/data/camera.png"
COFFEE, CHELSEA = "examples/images/coffee.png", "examples/images/chelsea.png"
STRONG = dict(blur=1, noise=12, offset=6, seed=1)
MILD = dict(blur=0, noise=3, offset=0, seed=2)
SMOOTH = dict(blur=3, noise=0, offset=-4, seed=3)
BRIGHTER = dict(blur=0, noise=0, offset=1, seed=4)  # 1 - SSIM = 0.003, most of it luminance in dark places
NOTHING = dict(blur=0, noise=0, offset=0, seed=0)


def photo(file, distortion, tile=(1, 1), crop=None):
    return dict(file=file, tile=list(tile), crop=list(crop) if crop else None, distortion=distortion)


CASES = {  # name: the images of a batch, all of one size
    "astronaut": [photo(ASTRONAUT, STRONG)],  # 3 x 512 x 512
    "camera": [photo(CAMERA, MILD)],  # 1 x 512 x 512
    "coffee": [photo(COFFEE, BRIGHTER)],  # 3 x 400 x 600
    "chelsea": [photo(CHELSEA, SMOOTH)],  # 3 x 300 x 451
    "identical": [photo(CHELSEA, NOTHING)],
    "batch": [photo(ASTRONAUT, STRONG, crop=(0, 128, 256, 240)),
              photo(COFFEE, MILD, crop=(100, 200, 256, 240))],
    "small": [photo(CAMERA, STRONG, crop=(100, 200, 13, 37))],
    "short": [photo(CAMERA, STRONG, crop=(100, 200, 8, 64))],  # shorter than an 11-tap window
    "odd": [photo(ASTRONAUT, MILD, crop=(1, 60, 511, 389))],  # min side / 256 = 1.52
    "tie": [photo(ASTRONAUT, STRONG, tile=(2, 2), crop=(3, 5, 640, 701))],  # 2.5 exactly: half to even, or up?
    "by3": [photo(ASTRONAUT, STRONG, tile=(2, 2), crop=(0, 0, 769, 771))],  # 3.004; 771 is odd and a multiple of 3
    "by4": [photo(CAMERA, STRONG, tile=(2, 2), crop=(0, 1, 1024, 1023))],  # 3.996
    "by5": [photo(CAMERA, STRONG, tile=(3, 3), crop=(7, 9, 1285, 1301))],  # 5.02; 1285 is odd and a multiple of 5
}


def splitmix64(x):
    with np.errstate(over="ignore"):
        z = x + np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def read_target(spec):
    """The 8-bit target, C x H x W."""
    image = np.asarray(Image.open(os.path.join(ROOT, spec["file"])))
    image = image[None] if image.ndim == 2 else image[:, :, :3].transpose(2, 0, 1)
    rows, columns = spec["tile"]
    image = np.concatenate([image if r % 2 == 0 else image[:, ::-1] for r in range(rows)], axis=1)
    image = np.concatenate([image if c % 2 == 0 else image[:, :, ::-1] for c in range(columns)], axis=2)
    if spec["crop"]:
        y, x, height, width = spec["crop"]
        image = image[:, y:y + height, x:x + width]
    return np.ascontiguousarray(image)


def distort(target, blur, noise, offset, seed):
    v = target.astype(np.int64)
    for _ in range(blur):
        p = np.pad(v, ((0, 0), (1, 1), (1, 1)), mode="edge")
        rows, columns = v.shape[1:]
        v = (sum(p[:, dy:dy + rows, dx:dx + columns] for dy in range(3) for dx in range(3)) + 4) // 9
    index = np.arange(v.size, dtype=np.uint64).reshape(v.shape)
    upper = splitmix64(np.uint64(seed << 32) + index) >> np.uint64(32)
    v = v + offset + (upper * np.uint64(2 * noise + 1) >> np.uint64(32)).astype(np.int64) - noise
    return np.clip(v, 0, 255).astype(np.uint8)


def fnv1a(data):
    """64-bit FNV-1a over every 97th byte: enough to know that C++ made the same image."""
    h = 0xCBF29CE484222325
    for byte in data.tobytes()[::97]:
        h = ((h ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return f"{h:016x}"


def load(name):
    """pred and target, N x C x H x W, uint8."""
    targets = [read_target(spec) for spec in CASES[name]]
    preds = [distort(t, **spec["distortion"]) for t, spec in zip(targets, CASES[name])]
    return np.stack(preds), np.stack(targets)
