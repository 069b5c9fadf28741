"""Resize: TFLite's own two operators where they read the same pixels, otherwise by index."""

from __future__ import annotations

import numpy as np
import onnx
from numpy.typing import NDArray

from edgeq.graph.model import attribute
from edgeq.runtimes.litert import layout as layouts
from edgeq.runtimes.litert.emission import Unsupported, Value
from edgeq.runtimes.litert.layout import Shape
from edgeq.runtimes.litert.lowering import Lowering

Places = NDArray[np.float64]
_IMAGE = (0, 2, 3, 1)
_TRANSFORMS = (
    *("half_pixel", "half_pixel_symmetric", "pytorch_half_pixel"),
    *("align_corners", "asymmetric"),
)
_MODES = (  # align_corners, half_pixel_centers
    (False, False),
    (False, True),
    (True, False),
)


def resize(low: Lowering, node: onnx.NodeProto) -> None:
    """Resize in modes nearest and linear; Unsupported for cubic, antialias and extrapolation."""
    mode = attribute(node, "mode", "nearest")
    if mode not in ("nearest", "linear"):
        raise Unsupported(f"has mode {mode}; TFLite has nearest and linear")
    if attribute(node, "antialias", 0):
        raise Unsupported("has antialias, which TFLite has not")
    transform = attribute(node, "coordinate_transformation_mode", "half_pixel")
    if transform not in _TRANSFORMS:
        raise Unsupported(f"has coordinates {transform}, which TFLite cannot express")
    policy = attribute(node, "keep_aspect_ratio_policy", "stretch")
    if policy != "stretch":
        raise Unsupported(f"has policy {policy}; export it with the sizes that come of it")
    before, after = low.shape(node.input[0]), low.shape(node.output[0])
    places = [
        _places(low, node, axis, before[axis], after[axis], str(transform))
        for axis in range(len(before))
    ]
    changed = [axis for axis in range(len(before)) if places[axis] is not None]
    images = len(before) == 4 and set(changed) <= {2, 3}
    if not changed:
        low.finish(node, low.read(node, 0))
    elif mode == "nearest":
        indices = {
            axis: _nearest(node, found, before[axis])
            for axis in changed
            if (found := places[axis]) is not None
        }
        low.finish(node, _repeated(low, node, before, after, indices, images))
    else:
        low.finish(node, _mixed(low, node, before, after, places, changed, images))


def _places(
    low: Lowering, node: onnx.NodeProto, axis: int, size: int, result: int, transform: str
) -> Places | None:
    """Where on an axis each result is taken from, in ONNX's terms; None where it stays.

    In single precision, as ONNX Runtime computes it: which pixel is nearest may hang on that.
    """
    exact = _scale(low, node, axis, size, result)
    scale = np.float32(exact)
    places = np.arange(result, dtype=np.float32)
    if transform == "align_corners":
        found = places * (size - 1) / (result - 1) if result > 1 else places * 0
    elif transform == "asymmetric":
        found = np.asarray(np.arange(result) / exact, np.float32)
    elif transform == "pytorch_half_pixel" and result == 1:
        found = places * 0
    elif transform == "half_pixel_symmetric":
        adjustment = np.float32(result) / (scale * np.float32(size))
        offset = np.float32(size / 2) * (1 - adjustment)
        # The sum of a float and doubles there.
        inside = (places + 0.5).astype(np.float64) / float(scale)
        found = np.asarray(float(offset) + inside - 0.5, np.float32)
    else:
        found = (places + np.float32(0.5)) / scale - np.float32(0.5)
    same = size == result and np.array_equal(found, places)
    return None if same else np.asarray(found, np.float64)


def _scale(low: Lowering, node: onnx.NodeProto, axis: int, size: int, result: int) -> float:
    """By how much an axis grows, as the node states it, which is not always the sizes' quotient."""
    name = node.input[2] if len(node.input) > 2 else ""
    stated = low.known(name)
    if stated is None or stated.size == 0:
        return result / size
    axes = attribute(node, "axes") or list(range(stated.size))
    assert isinstance(axes, list)
    rank = len(low.shape(node.input[0]))
    along = [int(a) % rank for a in axes]
    return float(stated[along.index(axis)]) if axis in along else 1.0


def _nearest(node: onnx.NodeProto, places: Places, size: int) -> NDArray[np.int32]:
    """The pixel that each place takes."""
    mode = attribute(node, "nearest_mode", "round_prefer_floor")
    if mode == "floor":
        chosen = np.floor(places)
    elif mode == "ceil":
        chosen = np.ceil(places)
    elif mode == "round_prefer_ceil":
        chosen = np.floor(places + 0.5)
    else:
        chosen = np.ceil(places - 0.5)
    return np.asarray(np.clip(chosen, 0, size - 1), np.int32)


def _repeated(
    low: Lowering,
    node: onnx.NodeProto,
    before: Shape,
    after: Shape,
    indices: dict[int, NDArray[np.int32]],
    images: bool,
) -> Value:
    """Every pixel that an index names: by repeating, by TFLite's operator, or by GATHER."""
    factors = {axis: after[axis] // before[axis] for axis in indices}
    repeats = all(
        np.array_equal(chosen, np.arange(after[axis]) // factors[axis])
        for axis, chosen in indices.items()
        if factors[axis]
    ) and all(after[axis] % before[axis] == 0 for axis in indices)
    if images and repeats:
        return _enlarged(low, low.read(node, 0, _IMAGE), factors.get(2, 1), factors.get(3, 1))
    for align, half in _MODES if images else ():
        if all(
            np.array_equal(chosen, _nearest_of_tflite(before[axis], after[axis], align, half))
            for axis, chosen in indices.items()
        ):
            return _by_operator(low, node, "RESIZE_NEAREST_NEIGHBOR", after, align, half)
    value = low.read(node, 0)
    for axis, chosen in indices.items():
        value = gathered(low, value, axis, chosen)
    return value


def _enlarged(low: Lowering, value: Value, tall: int, wide: int) -> Value:
    """Whole multiples, by writing the image side by side and taking that for more pixels.

    XNNPACK has no RESIZE_NEAREST_NEIGHBOR; these stay inside of it.
    """
    n, height, width, channels = value.shape
    if wide > 1:
        value = low.reshaped(value, (n, height, width, channels), value.layout)
        value = _beside(low, value, wide, (n, height, width, wide * channels))
        value = low.reshaped(value, (n, height, wide * width, channels), _IMAGE)
    if tall > 1:
        row = wide * width * channels
        value = low.reshaped(value, (n, height, 1, row), _IMAGE)
        value = _beside(low, value, tall, (n, height, 1, tall * row))
        value = low.reshaped(value, (n, tall * height, wide * width, channels), _IMAGE)
    return value


def _beside(low: Lowering, value: Value, count: int, shape: Shape) -> Value:
    return low.emit("CONCATENATION", [value] * count, shape, _IMAGE, value.scale, axis=3)


def _mixed(
    low: Lowering,
    node: onnx.NodeProto,
    before: Shape,
    after: Shape,
    places: list[Places | None],
    changed: list[int],
    images: bool,
) -> Value:
    """Between the two pixels around each place: by TFLite's operator, or as a weighted sum."""
    for align, half in _MODES if images else ():
        theirs = [_linear_of_tflite(before[axis], after[axis], align, half) for axis in (2, 3)]
        if all(
            _same_places(places[axis], there, before[axis])
            for axis, there in zip((2, 3), theirs, strict=True)
        ):
            return _by_operator(low, node, "RESIZE_BILINEAR", after, align, half)
    value = low.read(node, 0, floats=True)
    for axis in changed:
        found = places[axis]
        assert found is not None
        value = _weighted(low, value, axis, found)
    return value


def _weighted(low: Lowering, value: Value, axis: int, places: Places) -> Value:
    """Along one axis, (1 - t) * the pixel before + t * the one behind."""
    size = value.shape[value.layout.index(axis)]
    places = np.clip(places, 0, size - 1)
    before = np.floor(places).astype(np.int32)
    share = (places - before).astype(np.float32)
    behind = np.minimum(before + 1, size - 1)
    shape = [1] * len(value.shape)
    shape[value.layout.index(axis)] = share.size
    parts = []
    for indices, weight in ((before, 1 - share), (behind, share)):
        part = gathered(low, value, axis, indices)
        factor = low.constant(weight.reshape(shape))
        parts.append(low.emit("MUL", [part, factor], part.shape, part.layout))
    shape_of = parts[0].shape
    return low.emit("ADD", parts, shape_of, value.layout)


def gathered(low: Lowering, value: Value, axis: int, indices: NDArray[np.int32]) -> Value:
    """The value's entries along an ONNX axis in the order of these indices."""
    along = value.layout.index(axis)
    shape = (*value.shape[:along], indices.size, *value.shape[along + 1 :])
    return low.emit(
        "GATHER",
        [value, low.constant(indices)],
        shape,
        value.layout,
        value.scale,
        value.dtype,
        axis=along,
        batchDims=0,
    )


def _by_operator(
    low: Lowering, node: onnx.NodeProto, code: str, after: Shape, align: bool, half: bool
) -> Value:
    value = low.read(node, 0, _IMAGE)
    inputs = [value, low.integers(after[2], after[3])]
    shape = layouts.stored_shape(after, _IMAGE)
    return low.emit(
        code, inputs, shape, _IMAGE, value.scale, alignCorners=align, halfPixelCenters=half
    )


def _nearest_of_tflite(size: int, result: int, align: bool, half: bool) -> NDArray[np.int32]:
    """The pixels that RESIZE_NEAREST_NEIGHBOR takes (reference_ops, GetNearestNeighbor)."""
    corners = align and result > 1
    scale = np.float32(size - 1) / np.float32(result - 1) if corners else np.float32(size) / result
    places = (np.arange(result, dtype=np.float32) + np.float32(0.5 if half else 0)) * np.float32(
        scale
    )
    chosen = np.floor(places + np.float32(0.5)) if align else np.floor(places)
    return np.asarray(np.clip(chosen, 0, size - 1), np.int32)


def _linear_of_tflite(size: int, result: int, align: bool, half: bool) -> Places:
    """The places that RESIZE_BILINEAR reads (reference_ops, ComputeInterpolationValues)."""
    corners = align and result > 1
    scale = (size - 1) / (result - 1) if corners else size / result
    places = np.arange(result, dtype=np.float64)
    return (places + 0.5) * scale - 0.5 if half else places * scale


def _same_places(ours: Places | None, theirs: Places, size: int) -> bool:
    if ours is None:
        ours = np.arange(theirs.size, dtype=np.float64)
    clipped = [np.clip(found, 0, size - 1) for found in (ours, theirs)]
    return bool(np.allclose(clipped[0], clipped[1], rtol=0, atol=1e-6 * size))
