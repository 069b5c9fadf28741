"""Windows that slide over an image: pads in ONNX's terms, padding in TFLite's."""

from __future__ import annotations

from dataclasses import dataclass

import onnx

from edgeq.graph.model import attribute, integers
from edgeq.runtimes.litert.emission import Unsupported, Value
from edgeq.runtimes.litert.layout import Shape
from edgeq.runtimes.litert.lowering import Lowering


@dataclass(frozen=True)
class Window:
    """Kernel, strides, dilations and pads (before, after) along [height, width]."""

    kernel: tuple[int, int]
    strides: tuple[int, int]
    dilations: tuple[int, int]
    pads: tuple[tuple[int, int], tuple[int, int]]
    same: bool
    """whether TFLite's padding SAME gives these pads by itself"""

    @property
    def padded(self) -> bool:
        """Whether there are any pads."""
        return any(before or after for before, after in self.pads)

    @property
    def padding(self) -> int:
        """The schema's Padding: SAME or VALID; with explicit pads it is VALID behind a PAD."""
        return 0 if self.same else 1


def window(node: onnx.NodeProto, before: Shape, after: Shape, kernel: tuple[int, ...]) -> Window:
    """The window of a node from [N, C, spatial...] to [N, C, spatial...].

    One-dimensional ones are taken as images of height 1. Pads behind are those that the last
    window needs, which are fewer than ONNX states where the stride leaves some unread. Raises
    Unsupported for three dimensions.
    """
    count = spatial_rank(before)
    sizes, results = (tuple(shape[2:]) for shape in (before, after))
    strides, dilations = (integers(node, name, [1] * count) for name in ("strides", "dilations"))
    stated = integers(node, "pads", [0] * 2 * count)
    mode = attribute(node, "auto_pad", "NOTSET")
    pads = []
    for i, size in enumerate(sizes):
        extent = (kernel[i] - 1) * dilations[i] + 1
        needed = (results[i] - 1) * strides[i] + extent - size
        first = stated[i]
        if mode in ("SAME_UPPER", "SAME_LOWER"):
            total = max(needed, 0)
            first = total // 2 if mode == "SAME_UPPER" else total - total // 2
        elif mode == "VALID":
            first = 0
        pads.append((first, max(needed - first, 0)))
    same = all(
        _is_same(size, result, stride, (k - 1) * dilation + 1, pad)
        for size, result, stride, k, dilation, pad in zip(
            sizes, results, strides, kernel, dilations, pads, strict=True
        )
    )
    if count == 1:
        return Window((1, kernel[0]), (1, strides[0]), (1, dilations[0]), ((0, 0), pads[0]), same)
    return Window(
        (kernel[0], kernel[1]),
        (strides[0], strides[1]),
        (dilations[0], dilations[1]),
        (pads[0], pads[1]),
        same,
    )


def image(low: Lowering, node: onnx.NodeProto, floats: bool = False) -> Value:
    """The first input as an image [N, H, W, C]; of height 1 if it has one spatial dimension."""
    shape = low.shape(node.input[0])
    rank = len(shape)
    if rank == 3:
        value = low.read(node, 0, (0, 2, 1), floats)
        n, width, channels = value.shape
        return low.reshaped(value, (n, 1, width, channels), (0, 2, 3, 1))
    return low.read(node, 0, (0, 2, 3, 1), floats)


def image_shape(shape: Shape) -> Shape:
    """ONNX's [N, C, H, W] (or [N, C, W]) as the stored [N, H, W, C]."""
    if len(shape) == 3:
        return shape[0], 1, shape[2], shape[1]
    return shape[0], shape[2], shape[3], shape[1]


def unfolded(low: Lowering, value: Value, rank: int) -> Value:
    """The image [N, H, W, C] as a tensor of ONNX's rank 3 or 4 again."""
    if rank == 4:
        return value
    n, _, width, channels = value.shape
    return low.reshaped(value, (n, width, channels), (0, 2, 1))


def padded(low: Lowering, value: Value, pads: Window, fill: Value | None = None) -> Value:
    """The image with its pads, of zeros or of `fill` (one number of the value's type)."""
    before_after = [[0, 0], *map(list, pads.pads), [0, 0]]
    shape = tuple(n + a + b for n, (a, b) in zip(value.shape, before_after, strict=True))
    amounts = low.matrix(before_after)
    if fill is None:
        return low.emit("PAD", [value, amounts], shape, value.layout, value.scale)
    return low.emit("PADV2", [value, amounts, fill], shape, value.layout, value.scale)


def spatial_rank(shape: Shape) -> int:
    """How many dimensions windows slide over: 1 or 2. Raises Unsupported for others."""
    if len(shape) not in (3, 4):
        raise Unsupported(f"slides over {len(shape) - 2} dimensions; TFLite has 1 and 2")
    return len(shape) - 2


def _is_same(size: int, result: int, stride: int, extent: int, pads: tuple[int, int]) -> bool:
    total = max((result - 1) * stride + extent - size, 0)
    return result == -(-size // stride) and pads == (total // 2, total - total // 2)
