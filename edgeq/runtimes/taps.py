"""Taps: a written Q/DQ model that gives out integers of its inside, too."""

from __future__ import annotations

from collections.abc import Sequence

import onnx

from edgeq.graph.model import Model
from edgeq.runtimes.base import LayerTap, Tapped


def tap_qdq(model: Model, content: bytes, tensors: Sequence[str]) -> Tapped:
    """What QuantizeLinear makes of the tensors as further outputs, in ONNX's order.

    No DequantizeLinear is added: one more reader would keep a pair from being fused.
    """
    proto = onnx.load_from_string(content)
    quantizers = {node.name: node for node in proto.graph.node if node.op_type == "QuantizeLinear"}
    taps = []
    for tensor in tensors:
        node = quantizers.get(f"{tensor}/QuantizeLinear")
        shape = model.shapes.get(tensor)
        if node is None or shape is None:
            continue
        taps.append(LayerTap(tensor, node.output[0], tuple(range(len(shape)))))
        proto.graph.output.append(onnx.ValueInfoProto(name=node.output[0]))
    return Tapped(proto.SerializeToString(deterministic=True), tuple(taps))
