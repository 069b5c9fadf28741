"""The QDQ writer: a float graph and a plan to ONNX with QuantizeLinear and DequantizeLinear."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from edgeq.graph.model import Model
from edgeq.quantization import arithmetic
from edgeq.quantization.arithmetic import Scale
from edgeq.quantization.bias import bias_of, has_bias
from edgeq.quantization.plan import Plan

_TYPES = {"int8": np.int8, "uint8": np.uint8}


def write_qdq(model: Model, plan: Plan) -> bytes:
    """The serialized QDQ model; inputs, outputs and node names are those of the float model."""
    return _Writer(model, plan).write()


def qdq_nodes(model: Model, plan: Plan) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto]]:
    """The nodes of the QDQ model, in execution order, and the constants that the float one lacks.

    Cheap, as no weight but those of quantized layers is copied: for who writes many plans.
    """
    writer = _Writer(model, plan)
    writer.lay()
    return writer.nodes, list(writer.added.values())


class _Writer:
    def __init__(self, model: Model, plan: Plan) -> None:
        self.model = model
        self.plan = plan
        self.nodes: list[onnx.NodeProto] = []
        self.added: dict[str, onnx.TensorProto] = {}
        self.copies: set[str] = set()
        graph = model.proto.graph
        self.taken = {name for node in graph.node for name in (*node.input, *node.output)}
        self.taken |= {name for node in graph.node for name in _captured(node)}

    def lay(self) -> None:
        for name in (*self.model.inputs, *self.model.initializers):
            self._quantize(name, name)
        for node in self.model.nodes:
            self._node(node)

    def write(self) -> bytes:
        self.lay()
        proto = onnx.ModelProto()
        proto.CopyFrom(self.model.proto)
        graph = proto.graph
        # Old exporters list initializers as inputs too; without its initializer one must be fed.
        fed = [value for value in graph.input if value.name in self.model.inputs]
        del graph.input[:]
        graph.input.extend(fed)
        del graph.node[:]
        graph.node.extend(self.nodes)
        used = {name for node in self.nodes for name in node.input}
        used |= {name for node in self.nodes for name in _captured(node)}
        kept = [t for t in graph.initializer if t.name in used or t.name in self.model.outputs]
        del graph.initializer[:]
        graph.initializer.extend([*kept, *self.added.values()])
        del graph.value_info[:]
        # The oldest that holds the opset: a board's engine may be years older than this machine's.
        proto.ir_version = helper.find_min_ir_version_for(proto.opset_import, ignore_unknown=True)
        onnx.checker.check_model(proto)
        return bytes(proto.SerializeToString(deterministic=True))

    def _node(self, node: onnx.NodeProto) -> None:
        written = onnx.NodeProto()
        written.CopyFrom(node)
        quantized = self.plan.decisions[node.name].quantized
        reads = self.plan.reads.get(node.name, ())
        for i, name in enumerate(node.input):
            if name in reads:
                own = quantized and self.plan.form == "own-pairs"
                written.input[i] = self._dequantized(
                    name, f"{node.name}/{i}" if own else "dequantized"
                )
        if node.name in self.plan.weights:
            written.input[1] = self._weight(node)
            if has_bias(node) and self.plan.quantized_bias:
                written.input[2] = self._bias(node)
        self.nodes.append(written)
        for i, name in enumerate(node.output):
            if name in self.plan.tensors:
                self._output(written, i, name)

    def _output(self, written: onnx.NodeProto, index: int, name: str) -> None:
        if name in self.model.outputs and name in self.plan.integers:
            written.output[index] = self._free(f"{name}/float")
            self._quantize(written.output[index], name)
            self._dequantize(name, name, f"{name}/DequantizeLinear")
        else:
            self._quantize(name, name)

    def _quantize(self, source: str, tensor: str) -> None:
        if tensor not in self.plan.tensors:
            return
        inputs = [source, *self._scale(tensor)]
        name = f"{tensor}/QuantizeLinear"
        integers = self._free(f"{tensor}/q")
        self.nodes.append(helper.make_node("QuantizeLinear", inputs, [integers], name=name))

    def _dequantized(self, tensor: str, reader: str) -> str:
        """A dequantized copy for one reader, or for all that are called the same.

        ONNX Runtime fuses only pairs that nobody shares; float readers have nothing to fuse.
        """
        result = self._free(f"{tensor}/{reader}")
        if result not in self.copies:
            self.copies.add(result)
            self._dequantize(tensor, result, f"{result}/DequantizeLinear")
        return result

    def _dequantize(self, tensor: str, result: str, name: str) -> None:
        inputs = [self._free(f"{tensor}/q"), *self._scale(tensor)]
        self.nodes.append(helper.make_node("DequantizeLinear", inputs, [result], name=name))

    def _scale(self, tensor: str) -> list[str]:
        scale: Scale = self.plan.tensors[tensor]
        zero = np.array(scale.zero_point, _TYPES[scale.dtype])
        return [
            self._constant(f"{tensor}/scale", np.array(scale.scale, np.float32)),
            self._constant(f"{tensor}/zero_point", zero),
        ]

    def _weight(self, node: onnx.NodeProto) -> str:
        planned = self.plan.weights[node.name]
        scales = np.array(planned.scales, np.float32)
        values = np.asarray(self.model.constant(planned.tensor), np.float32)
        integers = arithmetic.quantize_weights(values, scales, planned.axis, planned.bits)
        prefix = self._free(f"{node.name}/weight")
        zero = np.zeros(scales.shape, np.int8)
        return self._constant_dequantized(prefix, integers, scales, zero, planned.axis)

    def _bias(self, node: onnx.NodeProto) -> str:
        planned = self.plan.weights[node.name]
        input_scale = self.plan.tensors[node.input[0]].scale
        scales = np.array(planned.scales, np.float32)
        integers, product = arithmetic.bias_integers(bias_of(self.model, node), input_scale, scales)
        axis = None if planned.axis is None else 0
        zero = np.zeros(product.shape, np.int32)
        prefix = self._free(f"{node.name}/bias")
        return self._constant_dequantized(prefix, integers, product, zero, axis)

    def _constant_dequantized(
        self,
        prefix: str,
        integers: NDArray[np.generic],
        scales: NDArray[np.float32],
        zero: NDArray[np.generic],
        axis: int | None,
    ) -> str:
        if axis is not None:
            attributes: dict[str, Any] = {"axis": axis}
        else:
            scales, zero, attributes = scales.reshape(()), zero.reshape(()), {}
        constants = [
            self._constant(f"{prefix}/scale", scales),
            self._constant(f"{prefix}/zero_point", zero),
        ]
        if self.plan.form == "float-weights":
            # Floats that lie on the integers' grid: the engine's own rounding finds these again.
            values = arithmetic.dequantize_weights(np.asarray(integers, np.int8), scales, axis)
            source, quantized = self._constant(f"{prefix}/float", values), self._free(f"{prefix}/q")
            self._pair_half("QuantizeLinear", [source, *constants], quantized, prefix, attributes)
        else:
            quantized = self._constant(f"{prefix}/q", integers)
        self._pair_half("DequantizeLinear", [quantized, *constants], prefix, prefix, attributes)
        return prefix

    def _pair_half(
        self, op_type: str, inputs: list[str], result: str, prefix: str, attributes: dict[str, Any]
    ) -> None:
        name = f"{prefix}/{op_type}"
        self.nodes.append(helper.make_node(op_type, inputs, [result], name=name, **attributes))

    def _constant(self, name: str, value: NDArray[np.generic]) -> str:
        name = self._free(name)
        if name not in self.added:
            self.added[name] = numpy_helper.from_array(value, name)
        return name

    def _free(self, name: str) -> str:
        """The name, or a longer one where the float model uses it already."""
        while name in self.taken:
            name += "_"
        return name


def _captured(node: onnx.NodeProto) -> Iterator[str]:
    """Names that a node's subgraphs mention; too many is harmless here."""
    for attribute in node.attribute:
        for graph in [attribute.g] if attribute.type == onnx.AttributeProto.GRAPH else []:
            for child in graph.node:
                yield from child.input
                yield from _captured(child)
            yield from (value.name for value in graph.output)
