"""GELU as exporters write it where ONNX has no such operator: x * 0.5 * (1 + erf(x / sqrt(2)))."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import onnx

from edgeq.graph.model import Model
from edgeq.runtimes.litert.lowering import Lowering
from edgeq.runtimes.litert.pointwise import ended


@dataclass(frozen=True)
class Gelu:
    """What goes in, and the nodes that compute it, of which nobody else reads anything."""

    source: str
    nodes: tuple[onnx.NodeProto, ...]


def gelus(model: Model) -> dict[str, Gelu]:
    """Every GELU by the name of its last node."""
    found = {}
    for node in model.nodes:
        if node.op_type == "Erf" and (gelu := _around(model, node)) is not None:
            found[gelu.nodes[-1].name] = gelu
    return found


def lower(low: Lowering, node: onnx.NodeProto, gelu: Gelu) -> None:
    """GELU at a pattern's last node: in int8 where the plan has both of its ends so."""
    low.begin(node)
    for other in gelu.nodes[:-1]:
        low.take_in(other)
    _, scale, activation = low.result(node)
    read = None if scale is None or low.plan is None else low.plan.tensors.get(gelu.source)
    value = low.fetch(gelu.source, None, read)
    target = scale if read is not None else None
    made = low.emit("GELU", [value], value.shape, value.layout, target, approximate=False)
    low.finish(node, ended(low, made, activation))


def _around(model: Model, erf: onnx.NodeProto) -> Gelu | None:
    divided = model.producers.get(erf.input[0])
    plus = _only_reader(model, erf)
    if divided is None or _only_reader(model, divided) is None or plus is None:
        return None
    source, factor = _scaled(model, divided)
    added, one = _operands(model, plus)
    if plus.op_type != "Add" or added != erf.output[0] or one != 1:
        return None
    if source is None or not math.isclose(factor, math.sqrt(0.5), rel_tol=1e-3):
        return None
    return _product(model, source, [divided, erf, plus])


def _product(model: Model, source: str, nodes: list[onnx.NodeProto]) -> Gelu | None:
    """Up to the product of what nodes make, the source and 0.5, in whatever order."""
    factor, has_source = 1.0, False
    while (times := _only_reader(model, nodes[-1])) is not None and times.op_type == "Mul":
        other = next((name for name in times.input if name != nodes[-1].output[0]), "")
        half = model.producers.get(other)
        if other in model.initializers:
            factor *= _operands(model, times)[1]
        elif other == source:
            has_source = True
        elif half is not None and _scaled(model, half)[0] == source and _only_reader(model, half):
            factor, has_source = factor * _scaled(model, half)[1], True
            nodes = [half, *nodes]
        else:
            return None
        nodes = [*nodes, times]
        if has_source and math.isclose(factor, 0.5, rel_tol=1e-3):
            return Gelu(source, tuple(nodes))
    return None


def _scaled(model: Model, node: onnx.NodeProto) -> tuple[str | None, float]:
    """What a node multiplies or divides by one constant, and the factor."""
    name, number = _operands(model, node)
    if node.op_type == "Mul" and not math.isnan(number):
        return name, number
    if node.op_type == "Div" and name == node.input[0] and number:
        return name, 1 / number
    return None, math.nan


def _operands(model: Model, node: onnx.NodeProto) -> tuple[str | None, float]:
    """The computed one of two operands, and the one number that the other is (NaN if none)."""
    names = [name for name in node.input if name not in model.initializers]
    known = [model.constant(name) for name in node.input if name in model.initializers]
    if len(names) != 1 or len(known) != 1 or np.asarray(known[0]).size != 1:
        return None, math.nan
    return names[0], float(np.asarray(known[0], np.float64).reshape(()))


def _only_reader(model: Model, node: onnx.NodeProto) -> onnx.NodeProto | None:
    name = node.output[0]
    readers = model.consumers.get(name, [])
    return readers[0] if len(readers) == 1 and name not in model.outputs else None
