"""The TFLite writer: a static float graph, and a plan if it is to be int8, to a flatbuffer."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import onnx

from edgeq.graph.model import Model
from edgeq.quantization.plan import Plan
from edgeq.runtimes.base import LayerTap
from edgeq.runtimes.litert import gelu
from edgeq.runtimes.litert import layout as layouts
from edgeq.runtimes.litert.emission import Origin, Unsupported, Value
from edgeq.runtimes.litert.lowering import Lowering
from edgeq.runtimes.litert.operators import OPERATORS
from edgeq.runtimes.litert.refusals import Refusals


@dataclass(frozen=True)
class Written:
    """The flatbuffer, what each of its operators computes, in their order, and what is tapped."""

    content: bytes
    origins: tuple[Origin, ...]
    taps: tuple[LayerTap, ...] = ()

    def operators_json(self) -> bytes:
        """Index of the operator to its name, its output and the ONNX nodes it is from."""
        return json.dumps([asdict(origin) for origin in self.origins]).encode()


def write_tflite(model: Model, plan: Plan | None, tapped: Sequence[str] = ()) -> Written:
    """The model as TFLite: in float without a plan, otherwise as the plan says.

    An image input [1, 3, H, W] is fed as [1, H, W, 3]; outputs are as in ONNX. Inputs, outputs
    and tensors have ONNX's names. Behind them come the `tapped` tensors as they lie, where the plan
    has integers of them. Raises InputError(s) for every node that TFLite cannot express.
    """
    ways = [_lowered(model, plan, at_once) for at_once in (False, True)]
    low, inputs, outputs = min(ways, key=lambda way: way[0].moved_bytes)
    taps = [] if plan is None else _taps(low, plan, tapped, tuple(outputs.values()))
    further = {tap.output: index for tap, index in taps}
    content = low.file.finish(inputs, outputs | further)
    return Written(content, tuple(low.origins), tuple(tap for tap, _ in taps))


def _taps(
    low: Lowering, plan: Plan, tensors: Sequence[str], outputs: Sequence[int]
) -> list[tuple[LayerTap, int]]:
    found = []
    for name in tensors:
        scale, there = plan.tensors.get(name), low.values.get(name, ())
        first = next((value for value in there if scale and value.scale == scale), None)
        if first is not None and first.index not in outputs:
            found.append((LayerTap(name, name, first.layout), first.index))
    return found


def refuse_unsupported(model: Model) -> None:
    """InputError(s) that name every node TFLite cannot express, with the reason.

    Nodes that one cause is behind are one error.
    """
    _lowered(model, None, moves_at_once=False)


def _lowered(
    model: Model, plan: Plan | None, moves_at_once: bool
) -> tuple[Lowering, dict[str, int], dict[str, int]]:
    """All nodes as operators, with the tensors that are fed and delivered, by name."""
    low = Lowering(model, plan, moves_at_once)
    inputs, refusals = {}, Refusals(model)
    for name in model.inputs:
        try:
            inputs[name] = _input(low, name)
        except Unsupported as exc:
            refusals.add_input(name, str(exc))
            _pretend(low, name)
    patterns = gelu.gelus(model)
    inside = {part.name for pattern in patterns.values() for part in pattern.nodes[:-1]}
    for node in model.nodes:
        try:
            if node.name in patterns:
                gelu.lower(low, node, patterns[node.name])
            elif node.name not in inside:
                _lower(low, node)
        except Unsupported as exc:
            refusals.add(node, str(exc))
            # An activation that it would have taken in is not looked at by itself.
            for name in (*node.output, low.result(node).name):
                _pretend(low, name)
    refusals.raise_all()
    outputs = {name: low.deliver(name) for name in model.outputs}
    return (
        low,
        {name: value.index for name, value in inputs.items()},
        {name: value.index for name, value in outputs.items()},
    )


def _lower(low: Lowering, node: onnx.NodeProto) -> None:
    if low.is_taken_in(node):
        return
    lower = OPERATORS.get(node.op_type) if node.domain in ("", "ai.onnx") else None
    if lower is None:
        raise Unsupported(f"TFLite has no operator for {node.domain or 'ONNX'}'s {node.op_type}")
    for name in (*node.input, node.output[0]):
        if name and name not in low.model.initializers:
            low.shape(name)
    low.begin(node)
    lower(low, node)
    for name in node.output[1:]:
        if name not in low.values and (name in low.model.consumers or name in low.model.outputs):
            raise Unsupported(f"its output '{name}' is asked for, which TFLite does not give")


def _input(low: Lowering, name: str) -> Value:
    rank = len(low.model.inputs[name])
    is_image = low.model.inputs[name][-3:-2] == (3,)
    behind = (rank - 2, rank - 1, rank - 3)
    layout = layouts.last(layouts.plain(rank), behind) if is_image else layouts.plain(rank)
    return low.feed(name, layout)


def _pretend(low: Lowering, name: str) -> None:
    """Let nodes behind an unsupported one be looked at all the same."""
    shape = low.model.shapes.get(name, ())
    low.values[name] = [Value(0, shape, layouts.plain(len(shape)), "float32")]
