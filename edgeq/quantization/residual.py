"""Residual blocks: which input of an Add is what the block branched off from."""

from __future__ import annotations

from collections.abc import Collection

import onnx

from edgeq.graph.model import Model

ACTIVATIONS = ("Relu", "LeakyRelu", "PRelu", "Clip", "Sigmoid", "Mul", "HardSwish", "Elu", "Tanh")


def identity(model: Model, node: onnx.NodeProto, layers: Collection[str]) -> str | None:
    """The branch of a sum that passes a quantized layer by; None where it is no residual block.

    The other branch ends in one of `layers`, directly or through its activation, and the engine
    computes the sum in that layer's kernel. Where both do (a shortcut with a convolution), the one
    that is computed last takes the sum in.
    """
    branches = list(dict.fromkeys(model.activations(node)))
    shapes = {model.shapes.get(name) for name in branches}
    if len(branches) != 2 or len(shapes) != 1:
        return None
    order = {name: index for index, made in enumerate(model.nodes) for name in made.output}
    first, last = sorted(branches, key=lambda name: order.get(name, -1))
    return first if _layer_behind(model, last) in layers else None


def _layer_behind(model: Model, tensor: str) -> str | None:
    """The node that a tensor comes from, through activations alone."""
    maker = model.producers.get(tensor)
    while maker is not None and maker.op_type in ACTIVATIONS:
        # SiLU multiplies a layer's output by its own sigmoid: both lead to the layer.
        maker = model.producers.get(maker.input[0])
    return None if maker is None else maker.name
