"""Activations that become part of the kernel before them."""

from __future__ import annotations

import math

import onnx

from edgeq.graph.bounds import bounds
from edgeq.graph.model import Model
from edgeq.quantization.plan import Plan

FUSING = ("Conv", "ConvTranspose", "Gemm", "MatMul", "Add", "Sub", "Mul")
"""What takes the activation behind it into its own kernel."""


ACTIVATIONS = {"NONE": 0, "RELU": 1, "RELU_N1_TO_1": 2, "RELU6": 3}
"""The schema's ActivationFunctionType."""

BOUNDS = {"RELU": (0.0, math.inf), "RELU6": (0.0, 6.0), "RELU_N1_TO_1": (-1.0, 1.0)}
"""Between which values each of them leaves its input."""


def activation_of(model: Model, node: onnx.NodeProto) -> str | None:
    """The activation that a kernel can end in, as the schema names it; None for other nodes."""
    if node.op_type not in ("Relu", "Clip"):
        return None
    limits = bounds(model, node)
    return next((code for code, known in BOUNDS.items() if known == limits), None)


def taken_in(model: Model, plan: Plan | None) -> dict[str, onnx.NodeProto]:
    """Node name to the activation that it takes in.

    In int8 it is what the plan absorbed: what lies between them has no scale there.
    """
    found = {}
    for node in model.nodes:
        source = node.input[0] if node.input else ""
        maker = model.producers.get(source)
        if maker is None or maker.op_type not in FUSING or activation_of(model, node) is None:
            continue
        if len(model.consumers[source]) != 1 or source in model.outputs:
            continue
        if plan is not None:
            quantized = [plan.decisions[n.name].quantized for n in (maker, node)]
            if quantized[0] != quantized[1] or (quantized[0] and source in plan.tensors):
                continue
        if not model.is_float(source):
            continue
        found[maker.name] = node
    return found
