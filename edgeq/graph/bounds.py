"""The bounds of an activation that only clips: Relu, Relu6 and whatever Clip is given."""

from __future__ import annotations

import math

import numpy as np
import onnx

from edgeq.graph.model import Model, attribute

_LARGEST = float(np.finfo(np.float32).max)
"""Exporters write it for want of a bound."""


def bounds(model: Model, node: onnx.NodeProto) -> tuple[float, float] | None:
    """Between which values a Relu or Clip leaves its input; None if they are computed."""
    if node.op_type == "Relu":
        return 0.0, math.inf
    found = []
    for index, key, default in ((1, "min", -math.inf), (2, "max", math.inf)):
        name = node.input[index] if len(node.input) > index else ""
        if name and name not in model.initializers:
            return None
        value = model.constant(name).reshape(-1)[0] if name else attribute(node, key, default)
        number = float(value)  # type: ignore[arg-type]
        found.append(number if abs(number) < _LARGEST else math.copysign(math.inf, number))
    return found[0], found[1]
