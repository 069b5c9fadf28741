"""A graph computed in PyTorch: the float model, or the one with a plan's Q/DQ in it.

What a plan quantizes is read from the Q/DQ graph itself, so that training sees exactly what is
written. Integers are represented by the real values that they stand for: QuantizeLinear rounds to
the grid, with straight-through gradients (Wu et al. 2020, arXiv 2004.09602, section 5.2: none where
a value is clipped), and DequantizeLinear hands them on.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from edgeq.errors import require
from edgeq.graph.model import integer
from edgeq.repair.reconstruction.inputs import Tensor
from edgeq.repair.reconstruction.operators import compute
from edgeq.repair.reconstruction.ranges import rounded

torch = require("torch", "train")

Values = dict[str, Tensor]
Replaced = Mapping[str, Sequence[Tensor | None]]
"""By node name, what is read instead of constants: by a layer as its weight and its bias, by a
QuantizeLinear as its scale and its zero point"""


class Network:
    """Nodes in execution order, and their constants."""

    def __init__(self, proto: onnx.ModelProto, device: str = "cpu") -> None:
        self.nodes = list(proto.graph.node)
        self._protos = {tensor.name: tensor for tensor in proto.graph.initializer}
        self._device = device
        self._constants: Values = {}
        self._rounded = {
            node.output[0]: node
            for node in self.nodes
            if node.op_type == "QuantizeLinear" and node.input[0] in self._protos
        }

    def constant(self, name: str) -> Tensor:
        """A constant as a tensor; made when it is first read."""
        if name in self._rounded and name not in self._constants:
            node = self._rounded[name]
            self._constants[name] = _rounded([self.constant(source) for source in node.input])
        if name not in self._constants:
            value = np.array(numpy_helper.to_array(self._protos[name]))
            self._constants[name] = torch.from_numpy(value).to(self._device)
        return self._constants[name]

    def run(
        self,
        nodes: Sequence[onnx.NodeProto],
        values: Mapping[str, Tensor],
        wanted: Collection[str],
        replaced: Replaced | None = None,
    ) -> Values:
        """What some of the nodes make of values [N, ...], by tensor name: those that are wanted."""
        last = {name: i for i, node in enumerate(nodes) for name in node.input}
        held = dict(values)
        for index, node in enumerate(nodes):
            inputs = [self._read(name, held) for name in node.input]
            if replaced is None or node.name not in replaced:
                made = self._made(node, inputs)
            elif node.op_type == "QuantizeLinear":
                made = (_rounded_to(inputs, replaced[node.name]),)
            else:
                made = compute(node, _with_constants(inputs, replaced[node.name]))
            held.update(zip(node.output, made, strict=False))
            for name in {*node.input, *node.output}:
                if last.get(name, -1) <= index and name not in wanted:
                    held.pop(name, None)
        return {name: held[name] for name in wanted}

    def _read(self, name: str, held: Mapping[str, Tensor]) -> Tensor | None:
        if name in held:
            return held[name]
        # The weight of a replaced layer is not made at all.
        return self.constant(name) if name in self._protos or name in self._rounded else None

    def _made(self, node: onnx.NodeProto, inputs: list[Tensor | None]) -> tuple[Tensor, ...]:
        if node.op_type == "QuantizeLinear":
            return (_rounded(inputs),)
        if node.op_type == "DequantizeLinear":
            stored = node.input[0] in self._protos
            return (_restored(inputs, integer(node, "axis", 1)) if stored else inputs[0],)
        return compute(node, inputs)


def _with_constants(inputs: list[Tensor | None], own: Sequence[Tensor | None]) -> list[Any]:
    """The inputs of a layer with another weight, and another bias where there is one."""
    weight, bias = own
    behind = inputs[2:] if bias is None else [bias]
    return [inputs[0], weight, *behind]


def _rounded(inputs: Sequence[Any]) -> Tensor:
    """Values on the grid of integers, with one scale: only weights have more, made elsewhere."""
    x, scale, zero_point = inputs
    limits = torch.iinfo(zero_point.dtype)
    return torch.fake_quantize_per_tensor_affine(
        x, scale, zero_point.to(torch.int32), limits.min, limits.max
    )


def _rounded_to(inputs: Sequence[Any], learned: Sequence[Tensor]) -> Tensor:
    """Values on a grid whose scale and zero point are learned, of the same type of integers."""
    scale, zero_point = learned
    return rounded(inputs[0], scale, zero_point, inputs[2].dtype)


def _restored(inputs: Sequence[Any], axis: int) -> Tensor:
    """Real values of integers that are constants."""
    q, scale, zero_point = inputs
    if scale.dim():
        shape = [-1 if i == axis else 1 for i in range(q.dim())]
        scale, zero_point = scale.reshape(shape), zero_point.reshape(shape)
    return (q.to(torch.float32) - zero_point.to(torch.float32)) * scale
