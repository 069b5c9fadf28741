"""Weights that a kernel multiplies side by side, and steps with which it adds them exactly.

x86 without VNNI multiplies with VPMADDUBSW, which adds the products of two neighbours in 16 bits
and saturates. With activations of up to 255 it cannot where the weights of one sign of such a pair
sum to at most 128: 255 x 128 is 32,640. Which weights are neighbours is read in ONNX Runtime's MLAS
(qlinearconv.cc, convsym.cpp, QgemmU8X8KernelAvx2.S, QgemmU8S8KernelAvx512Core.asm): two that follow
one another along the summed axis, in convolutions first by place in the window, then by channel of
the group. Depthwise convolutions multiply in 32 bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import onnx
from numpy.typing import NDArray

from edgeq.graph.model import attribute, integer

PAIR_LIMIT = 128
"""The most that two neighbours of one sign may sum to."""
_STEPS = 127

Number = TypeVar("Number", bound=np.generic)
Doubles = NDArray[np.float64]
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Neighbours:
    """Which weights of a row [k] are multiplied side by side, and what they may sum to.

    `beside` is the index of each weight's neighbour [k], its own where it has none.
    """

    beside: NDArray[np.int64]
    limit: int

    def over(self, integers: Doubles | Floats) -> NDArray[np.bool_]:
        """Of rows [..., k], which weights sum to more than the limit with their neighbour."""
        others = integers[..., self.beside]
        paired = self.beside != np.arange(len(self.beside))
        alike = (integers * others > 0) & paired
        return np.asarray(alike & (np.abs(integers) + np.abs(others) > self.limit))


def neighbours_of(node: onnx.NodeProto, shape: tuple[int, ...], limit: int) -> Neighbours | None:
    """The neighbours in a weight of that shape, None where none share 16 bits."""
    if node.op_type == "Conv":
        if shape[1] == 1 and shape[0] == integer(node, "group", 1):
            return None
        places = np.arange(np.prod(shape[1:], dtype=np.int64)).reshape(shape[1], -1)
        summed = places.T.reshape(1, -1)
    elif node.op_type == "Gemm":
        summed = np.arange(shape[1] if attribute(node, "transB", 0) else shape[0])[np.newaxis]
    else:
        summed = np.arange(np.prod(shape[:-1] or shape, dtype=np.int64)).reshape(-1, shape[-2:][0])
    beside = np.arange(summed.size)
    first, second = summed[:, : summed.shape[1] // 2 * 2 : 2], summed[:, 1::2]
    beside[first], beside[second] = second, first
    return Neighbours(beside, limit)


def rows_of(node: onnx.NodeProto, weight: NDArray[Number]) -> NDArray[Number]:
    """A weight as rows [output channels, k], in the order of `Neighbours.beside`."""
    if node.op_type == "Conv":
        return weight.reshape(len(weight), -1)
    if node.op_type == "Gemm":
        return weight if attribute(node, "transB", 0) else weight.T
    if weight.ndim == 1:
        return weight[np.newaxis]
    return np.moveaxis(weight, -1, 0).reshape(weight.shape[-1], -1)


def from_rows(
    node: onnx.NodeProto, rows: NDArray[Number], shape: tuple[int, ...]
) -> NDArray[Number]:
    """A weight of that shape of the rows that `rows_of` made of one."""
    if node.op_type == "Conv":
        return rows.reshape(shape)
    if node.op_type == "Gemm":
        return rows if attribute(node, "transB", 0) else rows.T
    if len(shape) == 1:
        return np.asarray(rows[0])
    return np.moveaxis(rows.reshape(shape[-1], *shape[:-1]), 0, -1)


def bounded_scales(rows: Floats, scales: Floats, neighbours: Neighbours) -> Floats:
    """The least scales, [channels] or [1] and no less than these, with which no pair is too large.

    Where the scales are those of each channel's largest weight, they grow by no more than twofold.
    """
    found = scales.copy()
    left = np.flatnonzero(neighbours.beside > np.arange(len(neighbours.beside)))
    one, other = rows[:, left], rows[:, neighbours.beside[left]]
    of_channel = np.broadcast_to(scales[:, np.newaxis], (len(rows), 1))
    channel, pair = np.nonzero(
        (one * np.sign(other) > 0) & _exceeds(one, other, of_channel, neighbours.limit)
    )
    one, other = one[channel, pair], other[channel, pair]
    owner = channel if scales.size > 1 else np.zeros_like(channel)
    np.maximum.at(found, owner, _least(one, other, scales[owner], neighbours.limit))
    return found


def _least(one: Floats, other: Floats, low: Floats, limit: int) -> Floats:
    """For each pair that is too large at `low` the least scale at which it is not."""
    high = (np.maximum(np.abs(one), np.abs(other)) / np.float32(limit // 2)).astype(np.float32)
    # Floats of one sign are ordered as their bits are.
    least, most = low.view(np.int32).astype(np.int64), high.view(np.int32).astype(np.int64)
    while (most - least > 1).any():
        middle = (least + most) // 2
        exceeds = _exceeds(one, other, middle.astype(np.int32).view(np.float32), limit)
        least, most = np.where(exceeds, middle, least), np.where(exceeds, most, middle)
    return most.astype(np.int32).view(np.float32)


def _exceeds(one: Floats, other: Floats, scales: Floats, limit: int) -> NDArray[np.bool_]:
    sizes = (
        np.minimum(np.rint(np.abs(values.astype(np.float64)) / scales.astype(np.float64)), _STEPS)
        for values in (one, other)
    )
    return np.asarray(sum(sizes) > limit)
