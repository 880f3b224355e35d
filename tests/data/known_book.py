"""The entries of known_values.json, and how they are written down."""
import json
import math
import os

import numpy as np
from known_images import CASES, fnv1a, load

# |pixloss in f64 - value| <= absolute + relative * |value|. In f32 and u8 more, see test_known_values.cpp, or the fourth number.
TOLERANCES = {
    "double": (1e-11, 1e-12, "the library computes in float64; running sums and E[x^2] - E[x]^2 cost it up to 4e-13 here"),
    "sum": (1e-10, 0, "a plain sum or mean in float64"),
    "float log": (2e-7, 0, "float64, but for a logarithm of 10 in float32"),
    "float window": (5e-5, 1e-6, "float64, but for a window made in float32: its 2D sum is off 1 by 6e-8, which moves the "
                                 "variances by 6e-8 mu^2 in flat places, against C2 = 9e-4"),
    "float": (1e-3, 4e-4, "float32, E[x^2] - E[x]^2: 1e-7 mu^2 off, to one side, in flat places, against C2 = 9e-4"),
    "float mean": (1e-5, 1e-7, "a mean or sum of simple differences in float32"),
    "float weights": (1e-7, 1e-8, "float64, but for the scales' weights in float32"),
    "float stack": (1e-9, 1e-9, "float64, but for a window or weights that are made in float32"),
    "eps": (1e-9, 1.2e-5, "1e-12 in the denominator: up to 1e-12 / (C1 C2) = 1.1e-5, for a black flat window"),
    "iqa": (2e-3, 2e-4, "libvmaf rounds its window to 6 decimals (sum 1.000002) and keeps float32 images of 0 ... 255: the "
                        "variances are off by 4e-6 mu^2, up to 0.26 where C2 = 58.5"),
    "root": (1e-11, 1e-10, "a standard deviation whose variance is below its rounding error (2e-6 of the mean square in f32, "
                           "4e-15 in f64) counts as 0", 2e-4),
    "iqa factor": (2e-3, 1.5e-3, "as iqa; in contrast and structure, whose product is less sensitive than either"),
}
TRANSFORMS = {  # from the library's number to the value of pixloss's term
    "x": lambda x: x,
    "1 - x": lambda x: 1 - x,
    "1 + x": lambda x: 1 + x,
    "2 * x": lambda x: 2 * x,
    "8 * x": lambda x: 8 * x,
    "x * x": lambda x: x * x,
}


class Book:
    """The entries, and the cases they use."""

    def __init__(self):
        self.entries, self.arrays, self.cases = [], {}, {}

    def images(self, case):
        """pred and target on [0, 1], float64, N x C x H x W."""
        if case not in self.arrays:
            pred, target = load(case)
            self.cases[case] = {"images": CASES[case], "shape": list(pred.shape), "pred_fnv1a": fnv1a(pred),
                                "target_fnv1a": fnv1a(target)}
            self.arrays[case] = (pred / 255.0, target / 255.0)
        return self.arrays[case]

    def add(self, identity, source, case, expression, peer, transform="x", tolerance="double", u8=False, **more):
        """One entry. u8: the value does not change with the images' scale. more: gradient, map, image (of the batch)."""
        self.images(case)
        entry = {"id": f"{identity}/{case}", "source": source, "case": case, "expression": expression, "peer": number(peer),
                 "transform": transform, "value": number(TRANSFORMS[transform](peer)), "tolerance": tolerance}
        if u8:
            entry["u8"] = True
        self.entries.append({**entry, **more})

    def torch(self, identity, source, cases, expression, function, transform="x", gradient=(), **more):
        """function(pred, target): a torch scalar. gradient: the cases whose gradient is kept too, of the transformed value."""
        import torch

        for case in cases:
            x, y = (torch.from_numpy(a) for a in self.images(case))
            x.requires_grad_(case in gradient)
            value, extra = function(x, y), dict(more)
            if case in gradient:
                extra["gradient"] = checksums(torch.autograd.grad(TRANSFORMS[transform](value), x)[0].numpy())
            self.add(identity, source, case, expression, value.item(), transform, **extra)

    def numpy(self, identity, source, cases, expression, function, transform="x", **more):
        """function(pred, target): a number, or (a number, the map N x C x H' x W')."""
        for case in cases:
            value, extra = function(*self.images(case)), dict(more)
            if isinstance(value, tuple):
                value, extra["map"] = value[0], checksums(value[1])
            self.add(identity, source, case, expression, float(value), transform, **extra)

    def write(self, path, versions):
        """One case, one entry a line: readable differences."""
        names = [e["id"] for e in self.entries]
        assert len(names) == len(set(names)), sorted(n for n in names if names.count(n) > 1)
        names = ("relative", "absolute", "reason", "absolute_in_float")
        tolerances = {k: dict(zip(names, v)) for k, v in TOLERANCES.items()}
        with open(path, "w", encoding="utf-8") as file:
            file.write('{\n "made_by": "tests/data/make_known_values.py, by scripts/known_values.sh; do not edit",\n')
            file.write(f' "versions": {json.dumps(versions)},\n "tolerances": {{\n')
            file.write(",\n".join(f"  {json.dumps(k)}: {json.dumps(v)}" for k, v in tolerances.items()) + '\n },\n "cases": {\n')
            file.write(",\n".join(f"  {json.dumps(k)}: {json.dumps(v)}" for k, v in self.cases.items()))
            file.write('\n },\n "entries": [\n')
            file.write(",\n".join("  " + json.dumps(e) for e in self.entries) + "\n ]\n}\n")
        print(f"{path}: {len(self.entries)} entries, {os.path.getsize(path)} bytes")


def number(value):
    """JSON has no infinity: a string then."""
    return value if math.isfinite(value) else repr(value)


def checksums(g):
    """Shape, sums of values, absolutes and squares, the largest absolute; [n, c, y, x, value] at corners, edges and inside."""
    n, c, h, w = (s - 1 for s in g.shape)
    places = [(0, 0, 0, 0), (0, 0, 0, w), (n, c, h, 0), (n, c, h, w), (n, 0, 0, w // 2), (0, c, h // 2, 0),
              (n, c // 2, h // 2, w // 2), (0, c, h // 3, w // 3), (n, 0, min(4, h), max(w - 4, 0)), (0, 0, h - h // 4, w // 5)]
    return {"shape": list(g.shape), "sum": float(g.sum()), "absolute": float(np.abs(g).sum()), "squares": float((g * g).sum()),
            "largest": float(np.abs(g).max()), "pixels": [[*p, float(g[p])] for p in places]}
