"""The flatbuffer in the making: its constants and operators, and which node each is from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from edgeq.quantization.arithmetic import Scale
from edgeq.runtimes.litert import layout as layouts
from edgeq.runtimes.litert.flatbuffer import DType, Flatbuffer, Quantization, type_of
from edgeq.runtimes.litert.kernels import KERNELS
from edgeq.runtimes.litert.layout import Layout, Shape

DTYPES: dict[int, DType] = {
    onnx.TensorProto.FLOAT: "float32",
    # Indices and counts; LiteRT computes with 32 bits, and no extent is larger.
    onnx.TensorProto.INT64: "int32",
    onnx.TensorProto.INT32: "int32",
    onnx.TensorProto.BOOL: "bool",
}


class Unsupported(Exception):
    """A node that TFLite cannot express; the text says why."""


@dataclass(frozen=True)
class Value:
    """A tensor of the flatbuffer; `shape` as stored, `layout` says which ONNX axis lies where."""

    index: int
    shape: Shape
    layout: Layout
    dtype: DType
    scale: Scale | None = None


@dataclass
class Origin:
    """An operator and the ONNX nodes that it computes."""

    operator: str
    nodes: list[str]
    output: str


class Emission:
    """What is written so far. `node` is what the next operator computes, outermost first."""

    def __init__(self) -> None:
        self.file = Flatbuffer()
        self.origins: list[Origin] = []
        self.moved_bytes = 0
        """that TRANSPOSEs write"""
        self._node: list[str] = []
        self._unnamed: set[int] = set()
        self._made: dict[int, Origin] = {}

    def constant(
        self, array: NDArray[np.generic], scale: Scale | None = None, name: str = "constant"
    ) -> Value:
        """A constant; 64-bit integers become 32-bit ones."""
        if array.dtype == np.int64:
            limits = np.iinfo(np.int32)
            array = np.clip(array, limits.min, limits.max).astype(np.int32)
        elif array.dtype == np.float64:
            array = array.astype(np.float32)
        if str(array.dtype) not in (*DTYPES.values(), "int8"):
            raise Unsupported(f"the constant '{name}' is of type {array.dtype}")
        index = self.file.constant(name, array, quantization_of(scale))
        return Value(index, array.shape, layouts.plain(array.ndim), type_of(array), scale)

    def integers(self, *values: int) -> Value:
        """A constant list of 32-bit integers [n]."""
        return self.constant(np.array(values, np.int32), name="integers")

    def matrix(self, rows: list[list[int]]) -> Value:
        """A constant table of 32-bit integers, such as pads before and behind each axis."""
        return self.constant(np.array(rows, np.int32), name="integers")

    def weights(
        self, name: str, integers: NDArray[np.generic], scales: NDArray[np.float32], axis: int
    ) -> Value:
        """A constant with a scale a channel along an axis, or one for all, and no zero points."""
        zeros = (0,) * scales.size
        kept = Quantization(tuple(float(scale) for scale in scales), zeros, axis)
        index = self.file.constant(name, integers, kept)
        return Value(index, integers.shape, layouts.plain(integers.ndim), type_of(integers))

    def emit(
        self,
        code: str,
        inputs: Sequence[Value | None],
        shape: Shape,
        layout: Layout,
        scale: Scale | None = None,
        dtype: DType | None = None,
        **options: Any,
    ) -> Value:
        """One operator with one output: of int8 where it has a scale, otherwise of `dtype`."""
        return self.emit_many(code, inputs, [(shape, layout, scale, dtype)], **options)[0]

    def emit_many(
        self,
        code: str,
        inputs: Sequence[Value | None],
        outputs: Sequence[tuple[Shape, Layout, Scale | None, DType | None]],
        **options: Any,
    ) -> list[Value]:
        """One operator with several outputs: shape as stored, layout, scale and type of each."""
        made = []
        for shape, layout, scale, dtype in outputs:
            kind: DType = "int8" if scale is not None else dtype or "float32"
            number = len(self.origins)
            label = f"{self._node[0]}/{code.lower()}_{number}" if self._node else code.lower()
            index = self.file.tensor(label, shape, kind, quantization_of(scale))
            self._unnamed.add(index)
            made.append(Value(index, shape, layout, kind, scale))
        kernel = KERNELS[code]
        kinds = {value.dtype for value in (*inputs, *made) if value is not None}
        version = kernel.int8_version if "int8" in kinds else kernel.version
        indices = [-1 if value is None else value.index for value in inputs]
        self.file.operator(
            code, indices, [value.index for value in made], version, options, kernel.options
        )
        origin = Origin(code, list(self._node), self.file.name(made[0].index))
        self.origins.append(origin)
        self._made.update({value.index: origin for value in made})
        return made

    def laid(self, value: Value, layout: Layout, shape: Shape) -> Value:
        """The value in another layout; `shape` in ONNX's order."""
        if value.layout == layout:
            return value
        target = layouts.stored_shape(shape, layout)
        if layouts.moves_nothing(shape, value.layout, layout):
            return self.reshaped(value, target, layout)
        perm = self.integers(*layouts.between(value.layout, layout))
        self.moved_bytes += math.prod(target) * (1 if value.dtype in ("int8", "bool") else 4)
        return self.emit("TRANSPOSE", [value, perm], target, layout, value.scale, value.dtype)

    def reshaped(self, value: Value, shape: Shape, layout: Layout) -> Value:
        """The same values in the same order under another shape (as stored)."""
        if value.shape == shape:
            return replace(value, layout=layout)
        return self._copied(value, shape, layout)

    def _copied(self, value: Value, shape: Shape, layout: Layout) -> Value:
        """The same values in a tensor of its own."""
        inputs = [value, self.integers(*shape)]
        options = {"newShape": list(shape)}
        return self.emit("RESHAPE", inputs, shape, layout, value.scale, value.dtype, **options)

    def relabelled(self, value: Value, layout: Layout) -> Value:
        """The same stored values under another layout, as behind ONNX's Transpose."""
        return replace(value, layout=layout)

    def rescaled(self, value: Value, scale: Scale | None) -> Value:
        """The value as int8 with this scale, or as float."""
        if value.scale == scale:
            return value
        code = "DEQUANTIZE" if scale is None else "QUANTIZE"
        return self.emit(code, [value], value.shape, value.layout, scale)

    def _rename(self, value: Value, name: str) -> None:
        self._unnamed.discard(value.index)
        self.file.rename(value.index, name)
        if value.index in self._made:
            self._made[value.index].output = name


def quantization_of(scale: Scale | None) -> Quantization | None:
    """One scale for a whole tensor; None for floats."""
    return None if scale is None else Quantization((scale.scale,), (scale.zero_point,))
