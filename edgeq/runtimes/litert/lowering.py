"""From ONNX nodes to TFLite operators: what every operator's lowering reads, writes and says."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray

from edgeq.graph.model import Model, integer
from edgeq.quantization import arithmetic
from edgeq.quantization.arithmetic import Scale
from edgeq.quantization.plan import Plan
from edgeq.runtimes.litert import layout as layouts
from edgeq.runtimes.litert.flatbuffer import DType, Flatbuffer, Quantization, type_of
from edgeq.runtimes.litert.fusion import activation_of, taken_in
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


class Result(NamedTuple):
    """What a node has to write: ONNX's name, its scale (None: float), the activation it ends in."""

    name: str
    scale: Scale | None
    activation: str


@dataclass
class Origin:
    """An operator and the ONNX nodes that it computes."""

    operator: str
    nodes: list[str]
    output: str


@dataclass
class Lowering:
    """The flatbuffer in the making, and where each ONNX tensor is in it."""

    model: Model
    plan: Plan | None
    moves_at_once: bool = False
    """whether ONNX's Transpose moves values there, rather than where another order is needed"""
    file: Flatbuffer = field(default_factory=Flatbuffer)
    values: dict[str, list[Value]] = field(default_factory=dict)
    origins: list[Origin] = field(default_factory=list)
    moved_bytes: int = 0
    """that TRANSPOSEs write"""

    def __post_init__(self) -> None:
        self._node: list[str] = []
        self._unnamed: set[int] = set()
        self._made: dict[int, Origin] = {}
        self._delivered: set[int] = set()
        self._activations = taken_in(self.model, self.plan)
        self._taken = {behind.name for behind in self._activations.values()}

    # What a node is.

    def begin(self, node: onnx.NodeProto) -> None:
        """What is emitted from here on belongs to this node, and the activation it takes in."""
        behind = self._activations.get(node.name)
        self._node = [node.name] if behind is None else [node.name, behind.name]

    def take_in(self, node: onnx.NodeProto) -> None:
        """What is emitted from here on computes this node, too."""
        self._node.append(node.name)

    def is_taken_in(self, node: onnx.NodeProto) -> bool:
        """Whether a node is an activation that the one before it computes."""
        return node.name in self._taken

    def is_quantized(self, node: onnx.NodeProto) -> bool:
        """Whether the plan has this node in int8."""
        return self.plan is not None and self.plan.decisions[node.name].quantized

    def result(self, node: onnx.NodeProto, output: int = 0) -> Result:
        """What a node has to write."""
        name, activation = node.output[output], "NONE"
        behind = self._activations.get(node.name)
        if behind is not None:
            name, activation = behind.output[0], str(activation_of(self.model, behind))
        scale = self.plan.tensors.get(name) if self.plan and self.is_quantized(node) else None
        return Result(name, scale, activation)

    def shape(self, name: str) -> Shape:
        """An ONNX tensor's shape, in ONNX's order."""
        found = self.model.shapes.get(name)
        if found is None or not all(found):
            raise Unsupported(f"the shape of '{name}' is not static")
        return found

    def known(self, name: str) -> NDArray[np.generic] | None:
        """The value of an ONNX constant; None for '' and for what is computed."""
        return self.model.constant(name) if name in self.model.initializers else None

    def dtype(self, name: str) -> DType:
        """The TFLite type of an ONNX tensor."""
        found = DTYPES.get(self.model.types.get(name, 0))
        if found is None:
            kind = onnx.TensorProto.DataType.Name(self.model.types.get(name, 0))
            raise Unsupported(f"'{name}' is of type {kind.lower()}")
        return found

    # Reading.

    def read(
        self, node: onnx.NodeProto, index: int, layout: Layout | None = None, floats: bool = False
    ) -> Value:
        """An input of a node, in a layout (None: any), as the plan has it read or as `floats`."""
        scale = None if floats else self.scale_read(node, index)
        return self.fetch(node.input[index], layout, scale)

    def carried(self, node: onnx.NodeProto, layout: Layout | None = None) -> Value:
        """The first input of a node that only moves values: as integers if there are any.

        Whether they are dequantized before or behind is the same, and integers are a quarter.
        """
        name = node.input[0]
        if not self.is_quantized(node):
            for value in self.values.get(name, ()):
                if value.scale is not None and self.model.is_float(name):
                    return self.fetch(name, layout, value.scale)
        return self.read(node, 0, layout)

    def scale_read(self, node: onnx.NodeProto, index: int) -> Scale | None:
        """The scale that the plan has a node read an input with; None where it reads floats."""
        name = node.input[index]
        if self.plan is None or not self.is_quantized(node):
            return None
        return self.plan.tensors[name] if name in self.plan.reads.get(node.name, ()) else None

    def fetch(self, name: str, layout: Layout | None, scale: Scale | None) -> Value:
        """An ONNX tensor in a layout (None: any) and with a scale (None: not quantized)."""
        if name in self.model.initializers:
            return self._constant_value(name, layout, scale)
        there = self.values[name]
        for value in there:
            if value.scale == scale and layout in (None, value.layout):
                return value
        alike = [value for value in there if value.scale == scale]
        alike += [value for value in there if value.scale and layout in (None, value.layout)]
        value = [*alike, *there][0]
        # Integers are moved rather than floats: that is a quarter of the bytes.
        if value.scale is None:
            value = self._as(name, self._requantized(name, value, scale), layout)
        else:
            value = self._requantized(name, self._as(name, value, layout), scale)
        return value

    def _as(self, name: str, value: Value, layout: Layout | None) -> Value:
        if layout in (None, value.layout):
            return value
        assert layout is not None
        return self._keep(name, self.laid(value, layout, self.shape(name)))

    def _requantized(self, name: str, value: Value, scale: Scale | None) -> Value:
        if value.scale == scale:
            return value
        return self._keep(name, self.rescaled(value, scale))

    def _keep(self, name: str, value: Value) -> Value:
        self.values[name].append(value)
        return value

    def _constant_value(self, name: str, layout: Layout | None, scale: Scale | None) -> Value:
        array = np.asarray(self.model.constant(name))
        layout = layout or layouts.plain(array.ndim)
        array = array.transpose(layout)
        if scale is not None:
            integers = arithmetic.quantize(np.asarray(array, np.float32), scale)
            return replace(self.constant(integers, scale, name), layout=layout)
        return replace(self.constant(array, name=name), layout=layout)

    # Making.

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
        index = self.file.constant(name, array, _quantization(scale))
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
            index = self.file.tensor(label, shape, kind, _quantization(scale))
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

    # Both ends of the graph.

    def feed(self, name: str, layout: Layout) -> Value:
        """A tensor that is fed: int8 if the recipe wants that, otherwise of ONNX's type."""
        shape = layouts.stored_shape(self.shape(name), layout)
        is_int8 = self.plan is not None and self.plan.io == "int8"
        scale = self.plan.tensors.get(name) if self.plan and is_int8 else None
        dtype: DType = "int8" if scale else self.dtype(name)
        value = Value(
            self.file.tensor(name, shape, dtype, _quantization(scale)), shape, layout, dtype, scale
        )
        self.values[name] = [value]
        return value

    def deliver(self, name: str) -> Value:
        """An output in ONNX's layout and type; int8 where it is that and the recipe wants it so."""
        maker = self.model.producers.get(name)
        self._node = [] if maker is None else [maker.name]
        scale = None
        if self.plan is not None and self.plan.io == "int8" and name in self.plan.integers:
            scale = self.plan.tensors[name]
        value = self.fetch(name, layouts.plain(len(self.shape(name))), scale)
        if self.model.types.get(name) == onnx.TensorProto.INT64:
            value = self.emit("CAST", [value], value.shape, value.layout, None, "int64")
        elif value.index not in self._made or value.index in self._delivered:
            # What is fed, constant or an output already has a name that it needs.
            value = self._copied(value, value.shape, value.layout)
        self._delivered.add(value.index)
        for other in self.values.get(name, ()):
            if other.index != value.index and self.file.name(other.index) == name:
                self._rename(other, f"{name}/inside")
        self._rename(value, name)
        return value

    # Writing.

    def define(self, name: str, value: Value, scale: Scale | None) -> None:
        """Say where an ONNX tensor is; `scale` is what it has to have."""
        value = self.rescaled(value, scale)
        if value.index in self._unnamed:
            self._rename(value, name)
        self.values.setdefault(name, []).append(value)

    def _rename(self, value: Value, name: str) -> None:
        self._unnamed.discard(value.index)
        self.file.rename(value.index, name)
        if value.index in self._made:
            self._made[value.index].output = name

    def finish(self, node: onnx.NodeProto, value: Value, output: int = 0) -> None:
        """A node's output is this value."""
        result = self.result(node, output)
        self.define(result.name, value, result.scale)

    def carry(self, node: onnx.NodeProto, value: Value, output: int = 0) -> None:
        """A node's output is this value, integers where `carried` gave some."""
        self.define(node.output[output], value, value.scale)


def _quantization(scale: Scale | None) -> Quantization | None:
    return None if scale is None else Quantization((scale.scale,), (scale.zero_point,))


def axis_of(node: onnx.NodeProto, rank: int, default: int = 0) -> int:
    """A node's `axis`, counted from the front."""
    return integer(node, "axis", default) % rank
