"""A Q/DQ graph whose floats are float16: for engines that compute in the types as written."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from typing import Literal

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgeq.errors import InputError

OPSET = 19
"""The first in which QuantizeLinear and DequantizeLinear take float16."""
_OPS = frozenset(
    (
        *("Add", "AveragePool", "BatchNormalization", "Clip", "Concat", "Conv"),
        *("ConvTranspose", "Div", "Elu", "Erf", "Exp", "Expand", "Flatten", "Gather"),
        *("Gemm", "GlobalAveragePool", "GlobalMaxPool", "HardSigmoid", "HardSwish"),
        *("Identity", "InstanceNormalization", "LayerNormalization", "LeakyRelu"),
        *("MatMul", "Max", "MaxPool", "Min", "Mish", "Mul", "Neg", "PRelu", "Pad", "Pow"),
        *("ReduceMax", "ReduceMean", "Relu", "Reshape", "Resize", "Sigmoid", "Slice"),
        *("Softmax", "Softplus", "Split", "Sqrt", "Squeeze", "Sub", "Tanh", "Tile"),
        *("Transpose", "Unsqueeze"),
    )
)
"""Ops of one float type T for all that they read and write; any other stays float32."""
_FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16)
_NAMES: dict[int, str] = {TensorProto.FLOAT: "float32", TensorProto.FLOAT16: "float16"}
_TYPES = {name: kind for kind, name in _NAMES.items()}


def to_float16(
    content: bytes, kept: Collection[str], where: str, io: Literal["float32", "float16"]
) -> bytes:
    """The serialized graph with float16 everywhere but in the nodes named in `kept`.

    Float inputs and outputs of the graph have the type `io`. A tensor is converted once for all
    readers that want the other type. Raises InputError for a graph that has no form in opset 19.
    """
    proto = onnx.load_from_string(content)
    opset = next(entry.version for entry in proto.opset_import if entry.domain in ("", "ai.onnx"))
    if opset < OPSET:
        try:
            proto = onnx.version_converter.convert_version(proto, OPSET)
        except Exception as exc:  # of the C++ side, in several types
            reason = str(exc).strip().splitlines()[0]
            what = f"cannot be brought from opset {opset} to {OPSET}: {reason}"
            raise InputError(where, what, f"export it with opset_version={OPSET}") from exc
    return _Converter(proto, kept, _TYPES[io]).convert()


class _Converter:
    def __init__(self, proto: onnx.ModelProto, kept: Collection[str], io: int) -> None:
        self.proto = onnx.shape_inference.infer_shapes(proto)
        graph = self.proto.graph
        self.kept = set(kept)
        self.constants = {tensor.name: tensor for tensor in graph.initializer}
        values = (*graph.value_info, *graph.input, *graph.output)
        self.types = {v.name: v.type.tensor_type.elem_type for v in values}
        self.types.update({name: tensor.data_type for name, tensor in self.constants.items()})
        self.readers: dict[str, list[onnx.NodeProto]] = defaultdict(list)
        self.captured: set[str] = set()
        for node in graph.node:
            for name in node.input:
                self.readers[name].append(node)
            if any(a.type == onnx.AttributeProto.GRAPH for a in node.attribute):
                self.captured.update(_mentioned(node))
        self.io = io
        self.outputs = {value.name for value in graph.output}
        for value in (*graph.input, *graph.output):
            if value.type.tensor_type.elem_type == TensorProto.FLOAT:
                value.type.tensor_type.elem_type = io
        for value in graph.input:
            if self.types[value.name] == TensorProto.FLOAT and value.name not in self.constants:
                self.types[value.name] = io
        self.nodes: list[onnx.NodeProto] = []
        self.added: dict[str, onnx.TensorProto] = {}
        self.casts: set[str] = set()

    def convert(self) -> bytes:
        for node in list(self.proto.graph.node):
            self._node(node)
        graph = self.proto.graph
        used = {name for node in self.nodes for name in node.input} | self.captured
        used |= {value.name for value in graph.output}
        kept = [tensor for tensor in graph.initializer if tensor.name in used]
        del graph.node[:], graph.initializer[:], graph.value_info[:]
        graph.node.extend(self.nodes)
        graph.initializer.extend([*kept, *self.added.values()])
        self.proto.ir_version = helper.find_min_ir_version_for(
            self.proto.opset_import, ignore_unknown=True
        )
        onnx.checker.check_model(self.proto)
        return bytes(self.proto.SerializeToString(deterministic=True))

    def _node(self, node: onnx.NodeProto) -> None:
        wanted = self._type_of(node)
        for i, name in enumerate(node.input):
            if self.types.get(name) in _FLOATS:
                # The scales of a Resize are no data: they are float32 by definition.
                own = TensorProto.FLOAT if node.op_type == "Resize" and i > 0 else wanted
                node.input[i] = self._as(name, own)
        self.nodes.append(node)
        for i, name in enumerate(node.output):
            is_cast = node.op_type == "Cast"  # which says its own type
            if self.types.get(name) not in _FLOATS or (is_cast and name not in self.outputs):
                continue
            if name in self.outputs and wanted != self.io:
                node.output[i] = f"{name}/{_NAMES[wanted]}"
                self.casts.add(node.output[i])  # who reads it inside finds it there
                self.nodes.append(_cast(node.output[i], name, self.io))
                self.types[name] = self.io
            else:
                self.types[name] = wanted

    def _type_of(self, node: onnx.NodeProto) -> int:
        if node.op_type == "QuantizeLinear":
            return int(self.types[node.input[0]])
        if node.op_type == "DequantizeLinear":
            readers = self.readers[node.output[0]]
            halves = any(self._type_of(reader) == TensorProto.FLOAT16 for reader in readers)
            return TensorProto.FLOAT16 if halves else TensorProto.FLOAT
        is_kept = node.name in self.kept or any(name in self.captured for name in node.output)
        return TensorProto.FLOAT if is_kept or node.op_type not in _OPS else TensorProto.FLOAT16

    def _as(self, name: str, wanted: int) -> str:
        """The name of a tensor in the wanted type."""
        if self.types[name] == wanted:
            return name
        result = f"{name}/{_NAMES[wanted]}"
        if name in self.constants:
            if result not in self.added:
                values = numpy_helper.to_array(self.constants[name]).astype(np.float16)
                self.added[result] = numpy_helper.from_array(values, result)
        elif result not in self.casts:
            self.casts.add(result)
            self.nodes.append(_cast(name, result, wanted))
        return result


def _cast(source: str, result: str, to: int) -> onnx.NodeProto:
    return helper.make_node("Cast", [source], [result], name=f"{result}/Cast", to=to)


def _mentioned(node: onnx.NodeProto) -> set[str]:
    """Names that a node's subgraphs mention; too many is harmless here."""
    found: set[str] = set()
    for attribute in node.attribute:
        if attribute.type == onnx.AttributeProto.GRAPH:
            for child in attribute.g.node:
                found |= {*child.input, *_mentioned(child)}
            found |= {value.name for value in attribute.g.output}
    return found
