"""From ONNX nodes to TFLite operators: what every operator's lowering reads, writes and says."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray

from edgeq.graph.model import Model, integer
from edgeq.quantization import arithmetic
from edgeq.quantization.arithmetic import Scale
from edgeq.quantization.plan import Plan
from edgeq.runtimes.litert import layout as layouts
from edgeq.runtimes.litert.emission import DTYPES, Emission, Unsupported, Value, quantization_of
from edgeq.runtimes.litert.flatbuffer import DType
from edgeq.runtimes.litert.fusion import activation_of, taken_in
from edgeq.runtimes.litert.layout import Layout, Shape


class Result(NamedTuple):
    """What a node has to write: ONNX's name, its scale (None: float), the activation it ends in."""

    name: str
    scale: Scale | None
    activation: str


@dataclass
class Lowering(Emission):
    """The flatbuffer in the making, and where each ONNX tensor is in it."""

    model: Model
    plan: Plan | None
    moves_at_once: bool = False
    """whether ONNX's Transpose moves values there, rather than where another order is needed"""
    values: dict[str, list[Value]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__init__()
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

    # Both ends of the graph.

    def feed(self, name: str, layout: Layout) -> Value:
        """A tensor that is fed: int8 if the recipe wants that, otherwise of ONNX's type."""
        shape = layouts.stored_shape(self.shape(name), layout)
        is_int8 = self.plan is not None and self.plan.io == "int8"
        scale = self.plan.tensors.get(name) if self.plan and is_int8 else None
        dtype: DType = "int8" if scale else self.dtype(name)
        value = Value(
            self.file.tensor(name, shape, dtype, quantization_of(scale)),
            shape,
            layout,
            dtype,
            scale,
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

    def finish(self, node: onnx.NodeProto, value: Value, output: int = 0) -> None:
        """A node's output is this value."""
        result = self.result(node, output)
        self.define(result.name, value, result.scale)

    def carry(self, node: onnx.NodeProto, value: Value, output: int = 0) -> None:
        """A node's output is this value, integers where `carried` gave some."""
        self.define(node.output[output], value, value.scale)


def axis_of(node: onnx.NodeProto, rank: int, default: int = 0) -> int:
    """A node's `axis`, counted from the front."""
    return integer(node, "axis", default) % rank
