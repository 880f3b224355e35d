#!/usr/bin/env python3
"""scripts/convert_weights.py on state dicts made here. Without torch it ends with 77: left out."""
import contextlib
import importlib.util
import io
import json
import os
import struct
import subprocess
import sys
import tempfile
import unittest

SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "scripts", "convert_weights.py")


def run_without_torch(*arguments):
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "torch.py"), "w") as file:
            file.write("raise ImportError")
        environment = {**os.environ, "PYTHONPATH": folder}
        return subprocess.run([sys.executable, SCRIPT, *arguments], env=environment, capture_output=True, text=True)


# Before torch is looked for: these are to pass without it.
told, refused = run_without_torch("--help"), run_without_torch("in.pth", "out.safetensors")
assert told.returncode == 0 and "--half" in told.stdout, told
assert refused.returncode == 1 and "torch is missing" in refused.stderr, refused

try:
    import torch
except ImportError:
    print("left out: python3 has no torch; scripts/python_test.sh has it")
    sys.exit(77)

specification = importlib.util.spec_from_file_location("convert_weights", SCRIPT)
convert_weights = importlib.util.module_from_spec(specification)
specification.loader.exec_module(convert_weights)
TYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}


def run(*arguments):
    """What the script says on standard output, and what it ends with: None, or the message."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        try:
            convert_weights.main(arguments)
        except SystemExit as end:
            return said.getvalue(), end.code
    return said.getvalue(), None


def read(path):
    """A safetensors file, without the script's help."""
    with open(path, "rb") as file:
        contents = file.read()
    length = struct.unpack("<Q", contents[:8])[0]
    header, data = json.loads(contents[8:8 + length]), contents[8 + length:]
    assert header.pop("__metadata__") == {"format": "pt"} and length % 8 == 0
    tensors, covered = {}, 0
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        assert begin == covered
        covered = end
        tensors[name] = torch.frombuffer(bytearray(data[begin:end]), dtype=TYPES[entry["dtype"]]).reshape(entry["shape"])
    assert covered == len(data)
    return tensors


def vgg(prefix="features."):
    """Two convolutions and a pooling, as torchvision numbers them."""
    generator = torch.Generator().manual_seed(1)
    shapes = {"0.weight": (4, 3, 3, 3), "0.bias": (4,), "3.weight": (6, 4, 3, 3), "3.bias": (6,)}
    return {prefix + name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}


class ConvertWeights(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.input, self.output = os.path.join(folder.name, "in.pth"), os.path.join(folder.name, "out.safetensors")

    def convert(self, state, *options):
        if isinstance(state, bytes):
            with open(self.input, "wb") as file:
                file.write(state)
        else:
            torch.save(state, self.input)
        return run(*options, self.input, self.output)

    def expect(self, state, expected, *options):
        said, failure = self.convert(state, *options)
        self.assertIsNone(failure)
        written = read(self.output)
        self.assertEqual(list(written), list(expected))
        for name, value in expected.items():
            self.assertTrue(torch.equal(written[name], value), name)
        return said

    def refuse(self, state, *texts, options=()):
        _, failure = self.convert(state, *options)
        for text in texts:
            self.assertIn(text, failure)
        self.assertEqual(sorted(os.listdir(os.path.dirname(self.input))), ["in.pth"])

    def test_vgg(self):
        said = self.expect({**vgg(), "classifier.0.weight": torch.zeros(2, 2), "classifier.0.bias": torch.zeros(2)}, vgg())
        self.assertIn("2 convolutions to 4, 6 channels, F32", said)
        self.assertIn("2 other tensors left out", said)

    def test_features_alone(self):
        self.expect(vgg(), vgg())
        self.expect(vgg(""), vgg())
        backwards = dict(reversed(vgg().items()))
        self.expect(backwards, vgg())

    def test_precision(self):
        self.expect(vgg(), {name: value.half() for name, value in vgg().items()}, "--half")
        self.expect(vgg(), {name: value.bfloat16() for name, value in vgg().items()}, "--bfloat16")
        halves = {name: value.half() for name, value in vgg().items()}
        self.expect(halves, {name: value.float() for name, value in halves.items()})

    def test_parts_of_larger_tensors(self):
        whole = torch.arange(2 * 4 * 3 * 3 * 3.0).reshape(4, 2, 3, 3, 3)
        state = {**vgg(), "features.0.weight": whole[:, 1]}
        self.expect(state, {**vgg(), "features.0.weight": whole[:, 1].contiguous()})

    def test_lpips(self):
        state = {f"lin{j}.model.1.weight": torch.rand(1, 2 + j, 1, 1) for j in range(3)}
        said = self.expect(state, {f"lin{j}.weight": state[f"lin{j}.model.1.weight"] for j in range(3)})
        self.assertIn("linear weights of 2, 3, 4 channels", said)
        del state["lin1.model.1.weight"]
        os.remove(self.output)
        self.refuse(state, "lin0 to lin2", "missing")

    def test_other_files(self):
        self.refuse(b"not a pth", "in.pth: not a .pth")
        self.refuse(b"", "in.pth: not a .pth")
        self.refuse({"conv1.weight": torch.zeros(1)}, "neither torchvision's VGG", "conv1.weight")
        self.refuse({}, "neither")
        self.refuse([torch.zeros(1)], "a state dict is needed")
        self.refuse({"state_dict": vgg()}, "a state dict is needed")
        self.refuse({**vgg(), "features.1.running_mean": torch.zeros(4)}, "batch normalization (features.1.running_mean)")

    def test_wrong_tensors(self):
        state = vgg()
        del state["features.3.bias"]
        self.refuse(state, "features.3 has no bias")
        self.refuse({**vgg(), "features.3.bias": torch.zeros(5)}, "features.3: weight (6, 4, 3, 3) and bias (5,)")
        self.refuse({**vgg(), "features.3.weight": torch.zeros(6, 5, 3, 3)}, "features.3 has 5 inputs", "4 outputs")
        self.refuse({**vgg(), "features.0.bias": torch.zeros(4, dtype=torch.int64)}, "features.0.bias holds torch.int64")
        self.refuse({**vgg(), "features.0.bias": torch.full((4,), float("nan"))}, "features.0.bias", "no finite number")
        self.refuse({**vgg(), "features.0.bias": torch.full((4,), 1e5)}, "features.0.bias reaches 100000", options=["--half"])

    def test_paths(self):
        torch.save(vgg(), self.input)
        for paths, text in ([self.input + "x", self.output], "No such file"), ([self.input, self.output + "/x"], "No such file"):
            self.assertIn(text, run(*paths)[1])


if __name__ == "__main__":
    unittest.main()
