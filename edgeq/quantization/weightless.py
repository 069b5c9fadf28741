"""Why a layer has no constant weight, which is what int8 layers multiply by."""

from __future__ import annotations

import onnx

from edgeq.graph.model import Model


def why_weightless(model: Model, node: onnx.NodeProto) -> str:
    """The reason, for a layer whose second operand is no constant."""
    weight = node.input[1]
    maker = model.producers.get(weight)
    if node.input[0] in model.initializers:
        return f"its constant is the first operand; int8 forms of {node.op_type} take the second"
    if maker is None:
        return f"its weight '{weight}' is an input of the model, not a constant"
    if not _depends_on_input(model, weight):
        return f"its weight is made by {maker.op_type} '{maker.name}', which cannot be folded"
    if node.op_type == "MatMul":
        return "both inputs of this MatMul are computed, as in attention"
    return f"its weight is computed from the image, by {maker.op_type} '{maker.name}'"


def _depends_on_input(model: Model, tensor: str) -> bool:
    pending, seen = [tensor], set()
    while pending:
        name = pending.pop()
        if name in model.inputs:
            return True
        maker = model.producers.get(name)
        if maker is not None and name not in seen:
            pending += maker.input
        seen.add(name)
    return False
