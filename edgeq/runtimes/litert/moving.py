"""What moves values and computes nothing."""

from __future__ import annotations

import numpy as np
import onnx
from numpy.typing import NDArray

from edgeq.graph.model import attribute, integer
from edgeq.quantization.arithmetic import quantize
from edgeq.runtimes.litert import layout as layouts
from edgeq.runtimes.litert.emission import Unsupported, Value
from edgeq.runtimes.litert.layout import Layout, Shape
from edgeq.runtimes.litert.lowering import Lowering, axis_of
from edgeq.runtimes.litert.resize import gathered


def identity(low: Lowering, node: onnx.NodeProto) -> None:
    """Identity, Dropout: another name for the same."""
    low.carry(node, low.carried(node))


def reshape(low: Lowering, node: onnx.NodeProto) -> None:
    """Reshape, Flatten, Squeeze, Unsqueeze: in the layout that is there, if nothing has to move."""
    before, after = low.shape(node.input[0]), low.shape(node.output[0])
    value = low.carried(node)
    layout = layouts.reshaped(before, after, value.layout)
    if layout is None:
        value = low.carried(node, layouts.plain(len(before)))
        layout = layouts.plain(len(after))
    low.carry(node, low.reshaped(value, layouts.stored_shape(after, layout), layout))


def transpose(low: Lowering, node: onnx.NodeProto) -> None:
    """Transpose: the same values under another layout; they move when somebody needs them to.

    Where the writer tries it the other way round, they move at once.
    """
    value = low.carried(node)
    perm = attribute(node, "perm") or list(reversed(range(len(value.layout))))
    assert isinstance(perm, list)
    value = low.relabelled(value, layouts.transposed(value.layout, perm))
    if low.moves_at_once:
        value = low.laid(value, layouts.plain(len(perm)), low.shape(node.output[0]))
    low.carry(node, value)


def concat(low: Lowering, node: onnx.NodeProto) -> None:
    """Concat: all inputs with the output's scale; those that have another are rescaled."""
    after = low.shape(node.output[0])
    axis = axis_of(node, len(after))
    computed = [i for i, name in enumerate(node.input) if low.known(name) is None]
    layout = layouts.plain(len(after))
    if computed:
        largest = max(computed, key=lambda i: int(np.prod(low.shape(node.input[i]))))
        layout = low.read(node, largest).layout
    scale = low.result(node).scale
    values = [low.read(node, i, layout) for i in range(len(node.input))]
    if scale is not None:
        values = [low.rescaled(value, scale) for value in values]
    shape = layouts.stored_shape(after, layout)
    along = layout.index(axis)
    made = low.emit("CONCATENATION", values, shape, layout, scale, values[0].dtype, axis=along)
    low.finish(node, made)


def split(low: Lowering, node: onnx.NodeProto) -> None:
    """Split: SPLIT into equal parts, otherwise a SLICE for each."""
    before = low.shape(node.input[0])
    axis = axis_of(node, len(before))
    sizes = [low.shape(name)[axis] for name in node.output]
    value = low.carried(node)
    along = value.layout.index(axis)
    if len(set(sizes)) == 1:
        shape = (*value.shape[:along], sizes[0], *value.shape[along + 1 :])
        outputs = [(shape, value.layout, value.scale, value.dtype)] * len(sizes)
        at = low.constant(np.array(along, np.int32))
        parts = low.emit_many("SPLIT", [at, value], outputs, numSplits=len(sizes))
    else:
        starts = np.cumsum([0, *sizes[:-1]])
        parts = [
            _slice(low, value, along, int(start), size)
            for start, size in zip(starts, sizes, strict=True)
        ]
    for output, part in enumerate(parts):
        low.carry(node, part, output)


def slice_(low: Lowering, node: onnx.NodeProto) -> None:
    """Slice with constant bounds: SLICE, or STRIDED_SLICE with steps, or by index backwards."""
    before = low.shape(node.input[0])
    bounds = [low.known(name) if name else None for name in node.input[1:]]
    if any(found is None and name for found, name in zip(bounds, node.input[1:], strict=True)):
        raise Unsupported("its bounds are computed")
    starts, ends = (np.asarray(found).reshape(-1).tolist() for found in bounds[:2])
    axes, steps = ([*bounds[2:], None, None])[:2]
    along = list(range(len(starts))) if axes is None else np.asarray(axes).reshape(-1).tolist()
    strides = [1] * len(starts) if steps is None else np.asarray(steps).reshape(-1).tolist()
    taken = {
        axis % len(before): range(before[axis])[slice(*_bounds(start, end, step))]
        for axis, start, end, step in zip(along, starts, ends, strides, strict=True)
    }
    value = low.carried(node)
    for axis, indices in taken.items():
        if indices.step < 0 and len(indices) > 1:
            value = gathered(low, value, axis, np.array(indices, np.int32))
            taken[axis] = range(len(indices))
    begin = [0] * len(before)
    size, step = list(value.shape), [1] * len(before)
    for axis, indices in taken.items():
        at = value.layout.index(axis)
        begin[at], size[at] = indices.start, len(indices)
        step[at] = indices.step if len(indices) > 1 else 1
    low.carry(node, _cut(low, value, begin, size, step))


def _bounds(start: int, end: int, step: int) -> tuple[int, int | None, int]:
    """ONNX's bounds as Python's: far beyond the first is written as a number there."""
    return start, None if step < 0 and end < -(2**31) + 1 else end, step


def _cut(low: Lowering, value: Value, begin: list[int], size: list[int], step: list[int]) -> Value:
    shape = tuple(size)
    if shape == value.shape:
        return value
    if all(n == 1 for n in step):
        inputs = [value, low.integers(*begin), low.integers(*size)]
        return low.emit("SLICE", inputs, shape, value.layout, value.scale, value.dtype)
    ends = [first + (n - 1) * by + 1 for first, n, by in zip(begin, size, step, strict=True)]
    inputs = [value, low.integers(*begin), low.integers(*ends), low.integers(*step)]
    return low.emit("STRIDED_SLICE", inputs, shape, value.layout, value.scale, value.dtype)


def _slice(low: Lowering, value: Value, along: int, start: int, count: int) -> Value:
    begin, size = [0] * len(value.shape), list(value.shape)
    begin[along], size[along] = start, count
    return _cut(low, value, begin, size, [1] * len(size))


def gather(low: Lowering, node: onnx.NodeProto) -> None:
    """Gather: the axes of the indices stand where the axis was."""
    before = low.shape(node.input[0])
    axis = axis_of(node, len(before))
    value = low.read(node, 0)
    known = low.known(node.input[1])
    if known is not None:
        count = np.asarray(known).ndim
        indices = low.constant(np.asarray(known, np.int32) % np.int32(before[axis]))
    else:
        count = len(low.shape(node.input[1]))
        indices = low.read(node, 1, layouts.plain(count))
    layout = layouts.replaced(value.layout, axis, count)
    shape = layouts.stored_shape(low.shape(node.output[0]), layout)
    along = value.layout.index(axis)
    made = low.emit(
        "GATHER",
        [value, indices],
        shape,
        layout,
        value.scale,
        value.dtype,
        axis=along,
        batchDims=0,
    )
    low.finish(node, made)


def pad(low: Lowering, node: onnx.NodeProto) -> None:
    """Pad: with a constant, or by index for reflect, edge and wrap; negative pads cut off."""
    before = low.shape(node.input[0])
    stated, axes = low.known(node.input[1]), None
    if len(node.input) > 3 and node.input[3]:
        axes = low.known(node.input[3])
        if axes is None:
            raise Unsupported("its axes are computed")
    if stated is None:
        raise Unsupported("its pads are computed")
    along = range(len(before)) if axes is None else [int(a) % len(before) for a in axes.reshape(-1)]
    numbers = [int(n) for n in stated.reshape(-1)]
    pads = dict(
        zip(along, zip(numbers[: len(along)], numbers[len(along) :], strict=True), strict=True)
    )
    value = low.read(node, 0)
    mode = attribute(node, "mode", "constant")
    if mode == "constant":
        low.finish(node, _filled(low, node, value, pads))
        return
    for axis, (first, last) in pads.items():
        if first or last:
            value = gathered(low, value, axis, _mirrored(before[axis], first, last, str(mode)))
    low.finish(node, value)


def _filled(
    low: Lowering, node: onnx.NodeProto, value: Value, pads: dict[int, tuple[int, int]]
) -> Value:
    begin, size = [0] * len(value.shape), list(value.shape)
    rows = [[0, 0] for _ in value.shape]
    for axis, (first, last) in pads.items():
        at = value.layout.index(axis)
        begin[at], size[at] = max(-first, 0), size[at] - max(-first, 0) - max(-last, 0)
        rows[at] = [max(first, 0), max(last, 0)]
    value = _cut(low, value, begin, size, [1] * len(size))
    shape = tuple(n + sum(row) for n, row in zip(size, rows, strict=True))
    if shape == value.shape:
        return value
    inputs = [value, low.matrix(rows)]
    named = node.input[2] if len(node.input) > 2 else ""
    fill = low.known(named)
    if named and fill is None:
        raise Unsupported("the number that it pads with is computed")
    code = "PAD"
    if fill is not None and float(fill.reshape(-1)[0]) != 0:
        code = "PADV2"
        number: NDArray[np.generic] = np.asarray(fill).reshape(())
        if value.scale is not None:
            number = quantize(np.asarray(number, np.float32), value.scale)
        inputs.append(low.constant(np.asarray(number), value.scale))
    return low.emit(code, inputs, shape, value.layout, value.scale, value.dtype)


def _mirrored(size: int, first: int, last: int, mode: str) -> NDArray[np.int32]:
    """Which entry lies at each place of the padded axis."""
    places = np.arange(-first, size + last)
    if mode == "edge":
        return np.clip(places, 0, size - 1).astype(np.int32)
    if mode == "wrap":
        return (places % size).astype(np.int32)
    if mode != "reflect":
        raise Unsupported(f"has mode {mode}")
    period = max(2 * (size - 1), 1)
    folded = places % period
    return np.minimum(folded, period - folded).astype(np.int32)


def expand(low: Lowering, node: onnx.NodeProto) -> None:
    """Expand: BROADCAST_TO."""
    before, after = low.shape(node.input[0]), low.shape(node.output[0])
    value = low.read(node, 0, layouts.plain(len(before)) if len(before) != len(after) else None)
    layout = value.layout if len(before) == len(after) else layouts.plain(len(after))
    full = (*(1,) * (len(after) - len(before)), *before)
    value = low.reshaped(value, layouts.stored_shape(full, layout), layout)
    shape = layouts.stored_shape(after, layout)
    if value.shape != shape:
        inputs = [value, low.integers(*shape)]
        value = low.emit("BROADCAST_TO", inputs, shape, layout, value.scale, value.dtype)
    low.finish(node, value)


def tile(low: Lowering, node: onnx.NodeProto) -> None:
    """Tile with constant counts."""
    counts = low.known(node.input[1])
    if counts is None:
        raise Unsupported("its counts are computed")
    value = low.read(node, 0)
    stored = [int(counts.reshape(-1)[axis]) for axis in value.layout]
    shape = layouts.stored_shape(low.shape(node.output[0]), value.layout)
    inputs = [value, low.integers(*stored)]
    low.finish(node, low.emit("TILE", inputs, shape, value.layout, value.scale, value.dtype))


def depth_to_space(low: Lowering, node: onnx.NodeProto) -> None:
    """DepthToSpace in both modes: a reshape, a transpose and a reshape, as ONNX defines it."""
    n, depth, height, width = low.shape(node.input[0])
    block = integer(node, "blocksize", 1)
    inner = depth // block**2
    if attribute(node, "mode", "DCR") == "DCR":
        apart, perm = (n, block, block, inner, height, width), (0, 3, 4, 1, 5, 2)
    else:
        apart, perm = (n, inner, block, block, height, width), (0, 1, 4, 2, 5, 3)
    low.finish(node, _rearranged(low, node, apart, perm, (0, 2, 3, 4, 5, 1)))


def space_to_depth(low: Lowering, node: onnx.NodeProto) -> None:
    """SpaceToDepth: a reshape, a transpose and a reshape, as ONNX defines it."""
    n, depth, height, width = low.shape(node.input[0])
    block = integer(node, "blocksize", 1)
    apart = (n, depth, height // block, block, width // block, block)
    perm = (0, 3, 5, 1, 2, 4)
    low.finish(node, _rearranged(low, node, apart, perm, (0, 4, 5, 1, 2, 3)))


def _rearranged(
    low: Lowering, node: onnx.NodeProto, apart: Shape, perm: Layout, merged: Layout
) -> Value:
    """Taken apart, transposed and laid as `merged` says: channels last, for convolutions."""
    before, after = low.shape(node.input[0]), low.shape(node.output[0])
    value = low.read(node, 0)
    layout = layouts.reshaped(before, apart, value.layout)
    if layout is None:
        value = low.read(node, 0, layouts.plain(len(before)))
        layout = layouts.plain(len(apart))
    value = low.reshaped(value, layouts.stored_shape(apart, layout), layout)
    moved = tuple(apart[axis] for axis in perm)
    value = low.laid(low.relabelled(value, layouts.transposed(layout, perm)), merged, moved)
    final = layouts.reshaped(moved, after, value.layout)
    assert final is not None
    return low.reshaped(value, layouts.stored_shape(after, final), final)
