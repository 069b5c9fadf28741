"""What a layer multiplies its weights with, as rows of a matrix, at sampled places of its output.

A convolution is a matrix product of its weight [groups, outputs, k] with windows [groups, n, k] of
its input; Gemm and MatMul are one with rows of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray

from edgeq.graph.model import attribute, integers

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Windows:
    """How one layer looks at its input."""

    op_type: str
    groups: int
    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    pads: tuple[int, ...]
    transposed: bool

    def matrix(self, weight: Floats) -> Floats:
        """A weight as [groups, outputs of a group, k]."""
        if self.op_type == "Conv":
            return weight.reshape(self.groups, len(weight) // self.groups, -1)
        return (weight if self.transposed else weight.T)[np.newaxis]

    def weight(self, matrix: NDArray[np.generic], like: Floats) -> Floats:
        """The weight that a matrix stands for, in the form of another."""
        if self.op_type == "Conv" or self.transposed:
            return np.ascontiguousarray(matrix.reshape(like.shape), np.float32)
        return np.ascontiguousarray(matrix[0].T, np.float32)

    def places(self, output: tuple[int, ...]) -> int:
        """How many places an output of that shape has."""
        shape = output[2:] if self.op_type == "Conv" else output[:-1]
        return int(np.prod(shape, dtype=np.int64))

    def inputs(self, values: Floats, output: tuple[int, ...], places: NDArray[np.int64]) -> Floats:
        """What lies under the windows at some places: [groups, places, k]."""
        if self.op_type != "Conv":
            return values.reshape(-1, values.shape[-1])[places][np.newaxis]
        top, left, bottom, right = self.pads
        padded = np.pad(values[0], ((0, 0), (top, bottom), (left, right)))
        rows, columns = np.divmod(places, output[3])
        rows, columns = rows * self.strides[0], columns * self.strides[1]
        taps = [
            padded[:, rows + i * self.dilations[0], columns + j * self.dilations[1]]
            for i in range(self.kernel[0])
            for j in range(self.kernel[1])
        ]
        stacked = np.stack(taps, axis=1)  # [channels, taps, places]
        grouped = stacked.reshape(self.groups, -1, len(places))
        return np.ascontiguousarray(grouped.transpose(0, 2, 1))

    def outputs(self, values: Floats, places: NDArray[np.int64]) -> Floats:
        """A layer's outputs at some places: [groups, outputs of a group, places]."""
        if self.op_type == "Conv":
            found = values[0].reshape(values.shape[1], -1)[:, places]
        else:
            found = values.reshape(-1, values.shape[-1])[places].T
        return np.asarray(found.reshape(self.groups, -1, len(places)))


def windows_of(node: onnx.NodeProto, weight: tuple[int, ...]) -> Windows | None:
    """How a layer with a weight of that shape looks at its input; None where it is no product."""
    if node.op_type in ("Gemm", "MatMul"):
        factors = {attribute(node, name, 1.0) for name in ("alpha", "beta")}
        if len(weight) != 2 or factors != {1.0} or attribute(node, "transA", 0):
            return None
        transposed = bool(attribute(node, "transB", 0))
        return Windows(node.op_type, 1, (), (), (), (), transposed)
    is_padded = attribute(node, "auto_pad", "NOTSET") == "NOTSET"
    if node.op_type != "Conv" or len(weight) != 4 or not is_padded:
        return None

    def numbers(name: str, default: int, count: int) -> tuple[int, ...]:
        return tuple(integers(node, name, [default] * count))

    groups = attribute(node, "group", 1)
    assert isinstance(groups, int)
    strides, dilations = numbers("strides", 1, 2), numbers("dilations", 1, 2)
    return Windows("Conv", groups, weight[2:], strides, dilations, numbers("pads", 0, 4), False)
