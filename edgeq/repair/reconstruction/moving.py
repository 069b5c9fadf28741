"""Operators that move values, or take some of them: shapes, slices, sizes."""

from __future__ import annotations

import math
from collections.abc import Callable

import onnx

from edgeq.errors import InputError, require
from edgeq.graph.model import attribute, integer, integers
from edgeq.repair.reconstruction.inputs import Inputs, Tensor, given, numbers

torch = require("torch", "train")
functional = torch.nn.functional

PLACES: dict[str, Callable[[Tensor, int, int, float], Tensor]] = {
    "half_pixel": lambda i, old, new, factor: (i + 0.5) / factor - 0.5,
    "pytorch_half_pixel": lambda i, old, new, factor: (
        (i + 0.5) / factor - 0.5 if new > 1 else i * 0
    ),
    "asymmetric": lambda i, old, new, factor: i / factor,
    "align_corners": lambda i, old, new, factor: i * (old - 1) / max(new - 1, 1),
}
"""Where an enlarged row or column lies in the original, by coordinate transformation mode"""
ROUNDINGS: dict[str, Callable[[Tensor], Tensor]] = {
    "floor": torch.floor,
    "ceil": torch.ceil,
    "round_prefer_floor": lambda at: torch.ceil(at - 0.5),
    "round_prefer_ceil": lambda at: torch.floor(at + 0.5),
}


def resize(node: onnx.NodeProto, inputs: Inputs) -> Tensor:
    """By any factor: nearest by ONNX's own rule for places, linear as PyTorch has it."""
    x, scales, sizes = inputs[0], given(inputs, 2), given(inputs, 3)
    mode = attribute(node, "mode", "nearest")
    where = str(attribute(node, "coordinate_transformation_mode", "half_pixel"))
    old = list(x.shape[2:])
    if scales is not None and scales.numel():
        factors = [float(s) for s in numbers(scales)][-len(old) :]
        new = [math.floor(side * factor) for side, factor in zip(old, factors, strict=True)]
    elif sizes is not None:
        new = numbers(sizes)[-len(old) :]
        factors = [wanted / side for wanted, side in zip(new, old, strict=True)]
    else:
        new, factors = old, [1.0] * len(old)
    plain = attribute(node, "axes") is None and where in PLACES
    if mode == "nearest" and plain:
        rounding = str(attribute(node, "nearest_mode", "round_prefer_floor"))
        for axis, side in enumerate(new):
            at = PLACES[where](
                torch.arange(side, dtype=torch.float64), old[axis], side, factors[axis]
            )
            places = ROUNDINGS[rounding](at).clamp(0, old[axis] - 1).long().to(x.device)
            x = x.index_select(2 + axis, places)
        return x
    if mode == "linear" and plain and where != "asymmetric" and len(old) in (1, 2):
        named = "linear" if len(old) == 1 else "bilinear"
        corners = where == "align_corners"
        return functional.interpolate(x, new, mode=named, align_corners=corners)
    what = f"Resize of mode {mode} ({where}) cannot be trained through"
    raise InputError(node.name, what, "leave 'reconstruct' out of 'repair'")


def split(node: onnx.NodeProto, inputs: Inputs) -> Tensor:
    """Split, into stated or equal parts."""
    x, axis = inputs[0], integer(node, "axis", 0)
    sizes = given(inputs, 1)
    if sizes is not None:
        return tuple(torch.split(x, numbers(sizes), dim=axis))
    stated = attribute(node, "split")
    if isinstance(stated, list):
        return tuple(torch.split(x, stated, dim=axis))
    return tuple(torch.split(x, -(-x.shape[axis] // len(node.output)), dim=axis))


def sliced(node: onnx.NodeProto, inputs: Inputs) -> Tensor:
    """Slice, with steps of either sign."""
    x = inputs[0]
    starts, ends = numbers(inputs[1]), numbers(inputs[2])
    along, steps = given(inputs, 3), given(inputs, 4)
    axes = numbers(along) if along is not None else list(range(len(starts)))
    strides = numbers(steps) if steps is not None else [1] * len(starts)
    for start, end, axis, step in zip(starts, ends, axes, strides, strict=True):
        places = range(x.shape[axis])[slice(start, _end(end, x.shape[axis]), step)]
        if step == 1:
            x = x.narrow(axis, places.start, len(places))
        else:
            x = x.index_select(axis, torch.tensor(list(places), device=x.device))
    return x


def _end(end: int, size: int) -> int | None:
    """A slice's end; None for one that lies before the first element, as backwards slices have."""
    return None if end < -size else end


def reshape(node: onnx.NodeProto, inputs: Inputs) -> Tensor:
    """Reshape, with 0 for an extent that stays."""
    x, wanted = inputs[0], numbers(inputs[1])
    if not integer(node, "allowzero", 0):
        wanted = [x.shape[i] if size == 0 else size for i, size in enumerate(wanted)]
    return x.reshape(wanted)


def flatten(node: onnx.NodeProto, inputs: Inputs) -> Tensor:
    """Flatten, to two dimensions."""
    x = inputs[0]
    axis = integer(node, "axis", 1) % (x.dim() + 1)
    return x.reshape(math.prod(x.shape[:axis]), -1)


def axes_of(node: onnx.NodeProto, inputs: Inputs) -> list[int] | None:
    """Axes as an attribute (old opsets) or as the second input; None where all are meant."""
    stated = attribute(node, "axes")
    if isinstance(stated, list):
        return [int(axis) for axis in stated]
    along = given(inputs, 1)
    return None if along is None else numbers(along)


def squeeze(node: onnx.NodeProto, inputs: Inputs) -> Tensor:
    """Squeeze."""
    axes = axes_of(node, inputs)
    return inputs[0].squeeze() if axes is None else inputs[0].squeeze(tuple(axes))


def unsqueeze(node: onnx.NodeProto, inputs: Inputs) -> Tensor:
    """Unsqueeze."""
    x, axes = inputs[0], axes_of(node, inputs) or []
    rank = x.dim() + len(axes)
    for axis in sorted(axis % rank for axis in axes):
        x = x.unsqueeze(axis)
    return x


def transpose(node: onnx.NodeProto, inputs: Inputs) -> Tensor:
    """Transpose."""
    x = inputs[0]
    return x.permute(integers(node, "perm", list(reversed(range(x.dim())))))


def pad(node: onnx.NodeProto, inputs: Inputs) -> Tensor:
    """Pad, with a constant, mirrored or with what lies at the edge."""
    x, value = inputs[0], given(inputs, 2)
    pads = numbers(inputs[1])
    mode = attribute(node, "mode", "constant")
    count = len(pads) // 2
    chosen = given(inputs, 3)
    axes = numbers(chosen) if chosen is not None else list(range(count))
    by_axis = {axis % x.dim(): (pads[i], pads[i + count]) for i, axis in enumerate(axes)}
    flat = [n for axis in reversed(range(x.dim())) for n in by_axis.get(axis, (0, 0))]
    if mode == "constant":
        return functional.pad(x, flat, value=0.0 if value is None else float(value))
    while len(flat) > 2 and flat[-2:] == [0, 0]:
        flat = flat[:-2]
    return functional.pad(x, flat, mode={"reflect": "reflect", "edge": "replicate"}[str(mode)])


def gathered(node: onnx.NodeProto, inputs: Inputs) -> Tensor:
    """Gather."""
    x, places = inputs[0], inputs[1]
    axis = integer(node, "axis", 0) % x.dim()
    found = x.index_select(axis, places.reshape(-1) % x.shape[axis])
    return found.reshape(*x.shape[:axis], *places.shape, *x.shape[axis + 1 :])
