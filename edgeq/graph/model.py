"""The model as one static graph, with the look-ups that every later stage needs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Model:
    """A simplified ONNX model: static shapes, BatchNorm folded, weights inlined, nodes named.

    `sha256` is the hash of the file (and its external data) that it was loaded from, `names` are
    the node names of that file, before simplification.
    """

    path: Path
    proto: onnx.ModelProto
    sha256: str
    names: dict[str, str]
    """node name to op type, as in the file"""
    notes: tuple[str, ...] = ()
    """what loading changed that its user may want to know"""

    @property
    def opset(self) -> int:
        """The version of ONNX's own operators."""
        versions = (o.version for o in self.proto.opset_import if o.domain in ("", "ai.onnx"))
        return int(next(versions))

    @property
    def metadata(self) -> dict[str, str]:
        """What the exporter wrote into the file beside the graph."""
        return {entry.key: entry.value for entry in self.proto.metadata_props}

    @property
    def nodes(self) -> list[onnx.NodeProto]:
        """The nodes in execution order."""
        return list(self.proto.graph.node)

    @cached_property
    def initializers(self) -> dict[str, onnx.TensorProto]:
        """Constant tensors by name."""
        return {tensor.name: tensor for tensor in self.proto.graph.initializer}

    @cached_property
    def inputs(self) -> dict[str, Shape]:
        """Name and shape of what has to be fed."""
        return {
            value.name: shape_of(value)
            for value in self.proto.graph.input
            if value.name not in self.initializers
        }

    @cached_property
    def outputs(self) -> dict[str, Shape]:
        """Name and shape of what comes out."""
        return {value.name: shape_of(value) for value in self.proto.graph.output}

    @cached_property
    def shapes(self) -> dict[str, Shape]:
        """Shape of every tensor whose shape is known; 0 stands for an unknown extent."""
        graph = self.proto.graph
        known = {v.name: shape_of(v) for v in (*graph.value_info, *graph.input, *graph.output)}
        known.update({t.name: tuple(t.dims) for t in graph.initializer})
        return known

    @cached_property
    def types(self) -> dict[str, int]:
        """ONNX element type of every tensor whose type is known."""
        graph = self.proto.graph
        values = (*graph.value_info, *graph.input, *graph.output)
        known = {v.name: v.type.tensor_type.elem_type for v in values}
        known.update({t.name: t.data_type for t in graph.initializer})
        return known

    @cached_property
    def producers(self) -> dict[str, onnx.NodeProto]:
        """The node that makes a tensor."""
        return {name: node for node in self.proto.graph.node for name in node.output if name}

    @cached_property
    def consumers(self) -> dict[str, list[onnx.NodeProto]]:
        """The nodes that read a tensor, subgraphs of control flow included."""
        found: dict[str, list[onnx.NodeProto]] = {}
        for node in self.proto.graph.node:
            for name in dict.fromkeys((*node.input, *outer_names(node))):
                if name:
                    found.setdefault(name, []).append(node)
        return found

    def is_float(self, tensor: str) -> bool:
        """Whether a tensor holds 32-bit floats."""
        return self.types.get(tensor) == onnx.TensorProto.FLOAT

    def activations(self, node: onnx.NodeProto) -> list[str]:
        """The float inputs of a node that are computed, not constant."""
        return [i for i in node.input if i and i not in self.initializers and self.is_float(i)]

    def constant(self, tensor: str) -> NDArray[np.generic]:
        """The value of a constant tensor."""
        return np.asarray(numpy_helper.to_array(self.initializers[tensor]))

    def weight(self, node: onnx.NodeProto) -> str | None:
        """The constant weight of a Conv, ConvTranspose, Gemm or MatMul, by tensor name."""
        if node.op_type not in ("Conv", "ConvTranspose", "Gemm", "MatMul"):
            return None
        return node.input[1] if node.input[1] in self.initializers else None


def shape_of(value: onnx.ValueInfoProto) -> Shape:
    """Static shape of a value; 0 where an extent is unknown."""
    return tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim)


def attribute(node: onnx.NodeProto, name: str, default: object = None) -> object:
    """The value of a node's attribute, or the default."""
    for candidate in node.attribute:
        if candidate.name == name:
            value: object = onnx.helper.get_attribute_value(candidate)
            return value.decode() if isinstance(value, bytes) else value
    return default


def integer(node: onnx.NodeProto, name: str, default: int) -> int:
    """An attribute that is an integer."""
    found = attribute(node, name, default)
    assert isinstance(found, int)
    return found


def integers(node: onnx.NodeProto, name: str, default: list[int]) -> list[int]:
    """An attribute that is a list of integers; the default for an empty one, too."""
    found = attribute(node, name) or default
    assert isinstance(found, list)
    return [int(n) for n in found]


def number(node: onnx.NodeProto, name: str, default: float) -> float:
    """An attribute that is a number."""
    found = attribute(node, name, default)
    assert isinstance(found, (int, float))
    return float(found)


def inner_graphs(node: onnx.NodeProto) -> list[onnx.GraphProto]:
    """The graphs that a node of control flow (If, Loop, Scan) carries."""
    found: list[onnx.GraphProto] = []
    for candidate in node.attribute:
        found += [candidate.g] if candidate.HasField("g") else []
        found += candidate.graphs
    return found


def outer_names(node: onnx.NodeProto) -> list[str]:
    """Tensors that the subgraphs of a node (If, Loop, Scan) read from outside."""
    found: list[str] = []
    for graph in inner_graphs(node):
        inner = {t.name for t in (*graph.input, *graph.initializer)}
        inner.update(name for child in graph.node for name in child.output)
        for child in graph.node:
            found += [n for n in (*child.input, *outer_names(child)) if n not in inner]
        found += [value.name for value in graph.output if value.name not in inner]
    return found
