"""Which tensors have one scale, because values move between them without being computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import onnx

from edgeq.graph.model import Model
from edgeq.quantization.rules import Rule


def sources_of_scale(
    model: Model, quantized: Sequence[onnx.NodeProto], rules: Mapping[str, Rule]
) -> dict[str, tuple[str, ...]]:
    """Tensors that do not scale alone: each to those whose ranges make its scale.

    `rules` are those of the quantized nodes, which are in execution order.
    """
    groups = _carried(model, quantized, rules)
    made = {
        name for node in quantized if rules[node.name].role == "carries" for name in node.output
    }
    found = {
        name: tuple(member for member in members if member not in made)
        for name, members in groups.items()
    }
    # From the last on, so that in chains all take over the scale of the last.
    for node in reversed(quantized):
        if rules[node.name].role != "merges":
            continue
        for name in node.input:
            members = groups.get(name, [name])
            sources = found.get(name, (name,))
            if _belongs_to(model, node, members, sources, rules):
                target = found.get(node.output[0], (node.output[0],))
                found.update(dict.fromkeys(members, target))
    return found


def _carried(
    model: Model, quantized: Sequence[onnx.NodeProto], rules: Mapping[str, Rule]
) -> dict[str, list[str]]:
    """The tensors between which values are carried: each to all of its group."""
    groups: dict[str, list[str]] = {}
    for node in quantized:
        if rules[node.name].role != "carries":
            continue
        joined = [
            n for name in (*model.activations(node), *node.output) for n in groups.get(name, [name])
        ]
        members = list(dict.fromkeys(joined))
        groups.update(dict.fromkeys(members, members))
    return groups


def _belongs_to(
    model: Model,
    merging: onnx.NodeProto,
    members: Sequence[str],
    sources: Sequence[str],
    rules: Mapping[str, Rule],
) -> bool:
    """Whether a group's values go nowhere but into one node, and its scale is free."""
    if any(name in model.inputs or name in model.outputs for name in members):
        return False
    for source in sources:
        maker = model.producers.get(source)
        if maker is not None and maker.name in rules and rules[maker.name].fixed is not None:
            return False
    readers = [reader for name in members for reader in model.consumers.get(name, [])]
    return all(
        reader.name == merging.name
        or (reader.name in rules and rules[reader.name].role == "carries")
        for reader in readers
    )
