#!/usr/bin/env python3
"""Converts trained weights from torch's .pth to safetensors, for pxl_network_load. Needs torch alone; the file is not trusted.

    convert_weights.py vgg16-397923af.pth vgg16.safetensors     # torchvision's VGG: what it calls features, in f32
    convert_weights.py --half vgg16-397923af.pth vgg16.safetensors
    convert_weights.py lpips/weights/v0.1/vgg.pth lpips.safetensors     # lpips' linear weights (LPIPS, version 0.1)

Written are "features.N.weight" (outputs, inputs, k, k) and "features.N.bias", N counting the layers as torchvision does, or
"linJ.weight" (1, channels, 1, 1), J counting the layers that LPIPS compares. VGG without batch normalization only. The weights of
`features` alone ("0.weight" or "features.0.weight") will do.
"""
import argparse
import ctypes
import json
import os
import re
import struct
import sys

try:
    import torch
except ImportError:
    torch = None  # --help does without

CONVOLUTION = re.compile(r"(?:features\.)?(\d+)\.(weight|bias)")
LINEAR = re.compile(r"lin(\d+)\.model\.\d+\.weight")
NORMALIZATION = re.compile(r"(?:features\.)?\d+\.running_(?:mean|var)")


def load(path):
    """The state dict of a .pth: names and tensors."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        sys.exit(f"{path}: {error.strerror or error}")
    except Exception as error:  # whatever unpickling bytes that are no .pth ends in
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        sys.exit(f"{path}: not a .pth that holds weights alone: {reason}")
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        sys.exit(f"{path}: a state dict is needed, of tensors by name; this {type(state).__name__} has others")
    return state


def find_convolutions(path, state):
    """features.N.weight and .bias by the order of N."""
    found = {}
    for name, value in state.items():
        match = CONVOLUTION.fullmatch(name)
        if match:
            found.setdefault(int(match[1]), {})[match[2]] = value
    tensors, inputs = {}, None
    for n, parts in sorted(found.items()):
        weight, bias = parts.get("weight"), parts.get("bias")
        if weight is None or bias is None:
            sys.exit(f"{path}: features.{n} has no {'weight' if weight is None else 'bias'}")
        if weight.dim() != 4 or weight.shape[2] != weight.shape[3] or bias.shape != weight.shape[:1]:
            shapes = f"weight {tuple(weight.shape)} and bias {tuple(bias.shape)}"
            sys.exit(f"{path}: features.{n}: {shapes} are not those of a convolution")
        if inputs is not None and weight.shape[1] != inputs:
            sys.exit(f"{path}: features.{n} has {weight.shape[1]} inputs, but the convolution before it {inputs} outputs")
        inputs = weight.shape[0]
        tensors[f"features.{n}.weight"], tensors[f"features.{n}.bias"] = weight, bias
    return tensors


def find_linear(path, state):
    """linJ.weight by the order of J, which goes up from 0."""
    found = {int(match[1]): value for name, value in state.items() if (match := LINEAR.fullmatch(name))}
    if sorted(found) != list(range(len(found))):
        sys.exit(f"{path}: of lin0 to lin{max(found)} some are missing")
    for j, value in found.items():
        if value.dim() != 4 or value.shape != (1, value.shape[1], 1, 1):
            sys.exit(f"{path}: lin{j} has shape {tuple(value.shape)}; (1, channels, 1, 1) is needed")
    return {f"lin{j}.weight": found[j] for j in sorted(found)}


def choose(path, state):
    """What to write, and a few words about it."""
    normalized = next((name for name in state if NORMALIZATION.fullmatch(name)), None)
    if normalized:
        sys.exit(f"{path}: it has batch normalization ({normalized}), which pixloss has not; take the VGG without _bn")
    tensors = find_linear(path, state)
    if tensors:
        return tensors, "LPIPS' linear weights of " + ", ".join(str(value.shape[1]) for value in tensors.values()) + " channels"
    tensors = find_convolutions(path, state)
    if tensors:
        weights = [value for name, value in tensors.items() if name.endswith("weight")]
        return tensors, f"{len(weights)} convolutions to " + ", ".join(str(value.shape[0]) for value in weights) + " channels"
    names = ", ".join(list(state)[:3]) or "nothing"
    known = "torchvision's VGG (features.0.weight, ...) nor lpips' weights (lin0.model.1.weight, ...)"
    sys.exit(f"{path}: neither {known}; it has {names}")


def convert(path, tensors, dtype):
    converted = {}
    for name, value in tensors.items():
        if not value.is_floating_point():
            sys.exit(f"{path}: {name} holds {value.dtype}; floats are needed")
        if not torch.isfinite(value).all():
            sys.exit(f"{path}: {name} holds what is no finite number")
        converted[name] = value.detach().to(dtype).contiguous()
        if not torch.isfinite(converted[name]).all():
            sys.exit(f"{path}: {name} reaches {value.abs().max():g}, too large for {dtype}")
    return converted


def write(path, tensors, dtype):
    """Safetensors: the header's length, the header as JSON, padded for alignment, the data. Complete or not at all."""
    if sys.byteorder != "little":
        sys.exit("convert_weights.py: the format is little-endian, and this machine is not")
    header, offset = {"__metadata__": {"format": "pt"}}, 0
    for name, value in tensors.items():
        end = offset + value.numel() * value.element_size()
        header[name] = {"dtype": dtype, "shape": list(value.shape), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    part = path + ".part"
    try:
        with open(part, "wb") as file:
            file.write(struct.pack("<Q", len(text)) + text)
            for value in tensors.values():  # by address, as numpy, which torch can do without, knows no bfloat16
                file.write(ctypes.string_at(value.data_ptr(), value.numel() * value.element_size()))
        os.replace(part, path)
    except OSError as error:
        if os.path.exists(part):
            os.remove(part)
        sys.exit(f"{path}: {error.strerror or error}")
    return 8 + len(text) + offset


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("input", help="a .pth of torchvision or lpips")
    parser.add_argument("output", help="the .safetensors to write")
    precision = parser.add_mutually_exclusive_group()
    precision.add_argument("--half", action="store_true", help="f16: half the size, 11 bits of precision")
    precision.add_argument("--bfloat16", action="store_true", help="bf16: half the size, 8 bits of precision")
    options = parser.parse_args(arguments)
    if torch is None:
        sys.exit("convert_weights.py: torch is missing: pip install torch")
    dtype, name = torch.float32, "F32"
    if options.half or options.bfloat16:
        dtype, name = (torch.float16, "F16") if options.half else (torch.bfloat16, "BF16")

    state = load(options.input)
    tensors, words = choose(options.input, state)
    left_out = len(state) - len(tensors)
    size = write(options.output, convert(options.input, tensors, dtype), name)
    print(f"{options.output}: {words}, {name}, {size} bytes" + (f"; {left_out} other tensors left out" if left_out else ""))


if __name__ == "__main__":
    main()
