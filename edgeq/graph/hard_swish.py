"""HardSwish as simplification leaves it: a HardSigmoid and its product with its own input."""

from __future__ import annotations

import math

import onnx

from edgeq.graph.model import Model, attribute


def product_of_gate(model: Model, node: onnx.NodeProto) -> onnx.NodeProto | None:
    """The Mul that makes a HardSwish of a HardSigmoid; None for any other node."""
    if node.op_type != "HardSigmoid":
        return None
    slope, shift = (attribute(node, *given) for given in (("alpha", 0.2), ("beta", 0.5)))
    assert isinstance(slope, float) and isinstance(shift, float)
    readers = model.consumers.get(node.output[0], [])
    if not math.isclose(slope, 1 / 6, rel_tol=1e-5) or shift != 0.5 or len(readers) != 1:
        return None
    [reader] = readers
    is_product = reader.op_type == "Mul" and set(reader.input) == {node.input[0], node.output[0]}
    return reader if is_product and node.output[0] not in model.outputs else None


def gate_of_product(model: Model, node: onnx.NodeProto) -> onnx.NodeProto | None:
    """The HardSigmoid with which a Mul makes a HardSwish; None for any other node."""
    makers = [model.producers[name] for name in node.input if name in model.producers]
    found = (maker for maker in makers if product_of_gate(model, maker) is not None)
    return next(found, None) if node.op_type == "Mul" else None
