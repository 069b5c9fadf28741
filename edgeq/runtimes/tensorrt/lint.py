"""The lint for TensorRT: what its parser refuses in a Q/DQ graph, accepts wrongly, or runs slowly.

It reads any Q/DQ graph, whoever wrote it, and knows nothing of a plan.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from edgeq.graph.model import attribute
from edgeq.runtimes.complaint import Complaint

_LAYERS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
_ACTIVATIONS = ("Relu", "LeakyRelu", "PRelu", "Clip", "Sigmoid", "HardSwish", "Elu", "Tanh")
_UNKNOWN = ("QLinearConv", "QLinearMatMul", "DynamicQuantizeLinear", "ConvInteger", "MatMulInteger")
_MOVES = ("Concat", "MaxPool", "Resize", "Reshape", "Transpose", "Split", "Slice", "Flatten")

Check = Callable[["_Graph"], Iterator[Complaint]]
Node = onnx.NodeProto


def lint(proto: onnx.ModelProto) -> list[Complaint]:
    """All complaints about a graph, errors first."""
    graph = _Graph(proto)
    found = [complaint for check in CHECKS for complaint in check(graph)]
    return sorted(found, key=lambda complaint: complaint.severity)


class _Graph:
    def __init__(self, proto: onnx.ModelProto) -> None:
        self.nodes = list(proto.graph.node)
        self.constants: dict[str, NDArray[np.generic]] = {
            tensor.name: np.asarray(numpy_helper.to_array(tensor))
            for tensor in proto.graph.initializer
        }
        for node in self.nodes:
            if node.op_type == "Constant":
                self.constants[node.output[0]] = _value(node)
            elif node.op_type == "Identity" and node.input[0] in self.constants:
                self.constants[node.output[0]] = self.constants[node.input[0]]
        self.makers = {name: node for node in self.nodes for name in node.output if name}
        self.readers: Mapping[str, list[Node]] = defaultdict(list)
        for node in self.nodes:
            for name in filter(None, node.input):
                self.readers[name].append(node)
        self.outputs = {value.name for value in proto.graph.output}

    def all(self, *op_types: str) -> Iterator[Node]:
        return (node for node in self.nodes if node.op_type in op_types)

    def maker(self, tensor: str, *op_types: str) -> Node | None:
        """What makes a tensor, if it is one of these ops."""
        node = self.makers.get(tensor)
        return node if node is not None and node.op_type in op_types else None

    def scale(self, node: Node) -> NDArray[np.float64] | None:
        """The scale of a Q or DQ, None where it is computed."""
        found = self.constants.get(node.input[1])
        return None if found is None else np.asarray(found, np.float64)

    def is_constant(self, tensor: str) -> bool:
        """Whether a tensor is constant, or a constant's Q or DQ."""
        pair = self.maker(tensor, "QuantizeLinear", "DequantizeLinear")
        return tensor in self.constants or (pair is not None and self.is_constant(pair.input[0]))

    def dequantizer(self, node: Node, index: int) -> Node | None:
        """The DQ that an input comes from."""
        if index >= len(node.input):
            return None
        return self.maker(node.input[index], "DequantizeLinear")

    def is_quantized(self, node: Node) -> bool:
        """Whether a layer computes in int8: data and weight come from a DQ."""
        return all(self.dequantizer(node, index) is not None for index in (0, 1))

    def following(self, node: Node) -> list[Node]:
        return [reader for name in node.output for reader in self.readers[name]]


def _value(node: Node) -> NDArray[np.generic]:
    """The value of a Constant, whichever way it is written."""
    value = attribute(node, "value")
    if isinstance(value, onnx.TensorProto):
        return np.asarray(numpy_helper.to_array(value))
    return np.asarray([onnx.helper.get_attribute_value(found) for found in node.attribute][:1])


def _default_type(node: Node) -> str:
    """The integers of a Q or DQ without a zero point."""
    stated = attribute(node, "output_dtype", 0)
    if node.op_type == "QuantizeLinear" and isinstance(stated, int) and stated:
        return onnx.helper.tensor_dtype_to_np_dtype(stated).name
    return "uint8" if node.op_type == "QuantizeLinear" else "int8"


def _operators(graph: _Graph) -> Iterator[Complaint]:
    for node in graph.all(*_UNKNOWN):
        what = f"is {node.op_type}, which TensorRT's parser does not know"
        remedy = "export with QuantizeLinear and DequantizeLinear around float operators"
        yield Complaint("operator", node.name, what, remedy, "error")


def _types(graph: _Graph) -> Iterator[Complaint]:
    for node in graph.all("QuantizeLinear", "DequantizeLinear"):
        integers = graph.constants.get(node.input[0]) if node.op_type[0] == "D" else None
        zero = graph.constants.get(node.input[2]) if len(node.input) > 2 else None
        kind = integers.dtype if integers is not None else zero.dtype if zero is not None else None
        name = kind.name if kind is not None else _default_type(node)
        bias = name == "int32" and any(
            reader.op_type in _LAYERS and node.output[0] in reader.input[2:]
            for reader in graph.following(node)
        )
        if bias:
            what = "dequantizes an int32 bias"
            yield Complaint("bias", node.name, what, "keep biases float", "error")
        elif name not in ("int8", "float8_e4m3fn"):
            what, remedy = f"has integers of type {name}", "use int8, symmetric around zero"
            yield Complaint("integer-type", node.name, what, remedy, "error")


def _zero_points(graph: _Graph) -> Iterator[Complaint]:
    for node in graph.all("QuantizeLinear", "DequantizeLinear"):
        zero = graph.constants.get(node.input[2]) if len(node.input) > 2 else None
        if zero is not None and np.any(np.asarray(zero, np.float64) != 0):
            what, remedy = (
                "has a zero point other than 0",
                "quantize symmetrically: 'scheme: scale'",
            )
            yield Complaint("zero-point", node.name, what, remedy, "error")


def _scales(graph: _Graph) -> Iterator[Complaint]:
    for node in graph.all("QuantizeLinear", "DequantizeLinear"):
        scale = graph.scale(node)
        if scale is None:
            what, remedy = "has a computed scale", "fold it into a constant"
            yield Complaint("scale", node.name, what, remedy, "error")
        elif not (np.isfinite(scale) & (scale > 0)).all():
            what = f"has the scale {scale.min():g}"
            remedy = "calibrate again with images that excite this tensor, or exclude the layer"
            yield Complaint("scale", node.name, what, remedy, "error")


def _activations(graph: _Graph) -> Iterator[Complaint]:
    for node in graph.all("QuantizeLinear", "DequantizeLinear"):
        scale = graph.scale(node)
        if scale is not None and scale.size > 1 and not graph.is_constant(node.input[0]):
            what = f"quantizes a computed tensor with {scale.size} scales"
            remedy = "give activations one scale: 'granularity: per-tensor'"
            yield Complaint("activation-granularity", node.name, what, remedy, "error")


def _weight_axes(graph: _Graph) -> Iterator[Complaint]:
    for node in graph.all(*_LAYERS):
        found = graph.dequantizer(node, 1)
        scale = graph.scale(found) if found is not None else None
        if found is None or scale is None or scale.size < 2 or node.op_type == "ConvTranspose":
            continue
        weight = graph.constants.get(found.input[0])
        rank = 2 if weight is None else weight.ndim
        axis = attribute(found, "axis", 1)
        assert isinstance(axis, int)
        axis += rank if axis < 0 else 0
        wanted = 0
        if node.op_type == "Gemm":
            wanted = 0 if attribute(node, "transB", 0) else 1
        elif node.op_type == "MatMul":
            wanted = rank - 1
        if axis != wanted:
            what = f"has its weight's scales along axis {axis}; {node.op_type} takes axis {wanted}"
            yield Complaint("weight-axis", node.name, what, "quantize by output channel", "error")


def _transposed(graph: _Graph) -> Iterator[Complaint]:
    for node in graph.all("ConvTranspose"):
        if graph.is_quantized(node):
            what = "is a quantized transposed convolution, whose build fails in some releases"
            remedy = f"add '{node.name}' to exclude"
            yield Complaint("transposed-convolution", node.name, what, remedy, "warning")


def _splits(graph: _Graph) -> Iterator[Complaint]:
    """A Q between a layer and its activation."""
    for node in graph.all(*_LAYERS):
        for quantizer in graph.following(node):
            if quantizer.op_type != "QuantizeLinear":
                continue
            for pair in graph.following(quantizer):
                for reader in graph.following(pair):
                    if reader.op_type in _ACTIVATIONS and len(graph.readers[node.output[0]]) == 1:
                        what = f"lies between '{node.name}' and its activation '{reader.name}'"
                        remedy = "quantize what comes out of the activation instead"
                        yield Complaint("split-fusion", quantizer.name, what, remedy, "warning")


def _concats(graph: _Graph) -> Iterator[Complaint]:
    for node in graph.all("Concat"):
        pairs = [graph.maker(name, "DequantizeLinear") for name in node.input]
        after = [reader for reader in graph.following(node) if reader.op_type == "QuantizeLinear"]
        scales = {
            float(scale)
            for pair in (*pairs, *after)
            if pair is not None and (scale := graph.scale(pair)) is not None and scale.size == 1
        }
        if after and len(scales) > 1:
            what = (
                f"has {len(scales)} scales at its inputs and output: each takes a pass of its own"
            )
            remedy = "give all of them one scale"
            yield Complaint("concat-scales", node.name, what, remedy, "warning")


def _islands(graph: _Graph) -> Iterator[Complaint]:
    """A quantized layer that gets floats and hands on floats: a reformat on each side."""
    quantized = {node.name for node in graph.all(*_LAYERS) if graph.is_quantized(node)}
    for node in graph.all(*_LAYERS):
        if node.name not in quantized or len(quantized) == 1:
            continue
        before = _layers(graph, node.input[0], quantized)
        after = [name for name in node.output if _is_read_as_int8(graph, name)]
        if before is not None and not before and not after:
            what = "computes in int8 between float layers: a reformat on each side eats the gain"
            remedy = f"add '{node.name}' to exclude, or take its neighbours out of it"
            yield Complaint("island", node.name, what, remedy, "warning")


def _layers(graph: _Graph, tensor: str, quantized: set[str]) -> set[str] | None:
    """The quantized layers right before a tensor; None where the graph's input is."""
    found: set[str] = set()
    pending, seen = [tensor], set()
    while pending:
        name = pending.pop()
        maker = graph.makers.get(name)
        if name in seen or name in graph.constants:
            continue
        seen.add(name)
        if maker is None:
            return None
        if maker.op_type in _LAYERS:
            found |= {maker.name} & quantized
        else:
            pending += [read for read in maker.input if read and not graph.is_constant(read)]
    return found


def _is_read_as_int8(graph: _Graph, tensor: str) -> bool:
    """Whether an int8 reader is behind a tensor, through activations and what moves values."""
    pending, seen = [tensor], set()
    while pending:
        name = pending.pop()
        if name in seen:
            continue
        seen.add(name)
        for reader in graph.readers[name]:
            if reader.op_type == "QuantizeLinear":
                return True
            if reader.op_type in (*_ACTIVATIONS, *_MOVES, "Mul", "Add"):
                pending += reader.output
    return False


CHECKS: tuple[Check, ...] = (
    _operators,
    _types,
    _zero_points,
    _scales,
    _activations,
    _weight_axes,
    _transposed,
    _splits,
    _concats,
    _islands,
)
"""Of the errors, TensorRT's own parser refuses all but two: weights with scales along a wrong axis
and activations with many scales build, and compute something else."""
