"""Many variants of one graph as one graph, in which what they have in common is computed once.

Value numbering (Cocke and Schwartz, Programming Languages and Their Compilers, 1970): two nodes
that do the same with the same values are one. A layer that is quantized alone shares everything
before it with the float model, and every tensor that its suffix reads from there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import onnx
from onnx import helper

from edgeq.graph.model import Model, outer_names

Key = tuple[object, ...]


class Merged:
    """A graph that begins as the float model; `add` brings in variants of it."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.nodes: list[onnx.NodeProto] = []
        self._constants: dict[Key, onnx.TensorProto] = {}
        self._made: dict[Key, tuple[str, ...]] = {}
        self._given = {name: name for name in (*model.inputs, *model.initializers)}
        self._taken = set(self._given)
        self._nodes_taken: set[str] = set()
        self.add(model.nodes, ())

    def add(
        self, nodes: Iterable[onnx.NodeProto], constants: Iterable[onnx.TensorProto]
    ) -> dict[str, str]:
        """Take in a variant; returns its tensors' names to those that they have here.

        `nodes` are in execution order and may read the model's inputs and initializers.
        """
        names = dict(self._given)
        for tensor in constants:
            names[tensor.name] = self._constant(tensor)
        for node in nodes:
            self._node(node, names)
        return names

    def compute(self, op_type: str, inputs: Sequence[str], **attributes: Any) -> str:
        """One more node on tensors named as here; the name of its output."""
        node = helper.make_node(op_type, inputs, [op_type], **attributes)
        names = {name: name for name in inputs}
        self._node(node, names)
        return names[op_type]

    def constant(self, tensor: onnx.TensorProto) -> str:
        """A constant of one's own; its name here."""
        return self._constant(tensor)

    def proto(self, outputs: Sequence[str]) -> onnx.ModelProto:
        """The model with these outputs, without the nodes that none of them needs."""
        needed, kept = set(outputs), []
        for node in reversed(self.nodes):
            if needed.intersection(node.output):
                kept.append(node)
                needed.update(node.input)
                needed.update(outer_names(node))
        source = self.model.proto
        proto = onnx.ModelProto()
        proto.ir_version = source.ir_version
        proto.opset_import.extend(source.opset_import)
        graph = proto.graph
        graph.name = source.graph.name
        graph.node.extend(reversed(kept))
        graph.input.extend(v for v in source.graph.input if v.name in self.model.inputs)
        graph.output.extend(onnx.ValueInfoProto(name=name) for name in outputs)
        constants = (*source.graph.initializer, *self._constants.values())
        graph.initializer.extend(tensor for tensor in constants if tensor.name in needed)
        return proto

    def _node(self, node: onnx.NodeProto, names: dict[str, str]) -> None:
        inputs = [names[name] if name else "" for name in node.input]
        captured = {name: names[name] for name in outer_names(node)}
        key = (
            *(node.op_type, node.domain, len(node.output), *inputs, "", *captured.items()),
            *sorted(a.SerializeToString(deterministic=True) for a in node.attribute),
        )
        made = self._made.get(key)
        if made is None:
            made = tuple(_free(name, self._taken) if name else "" for name in node.output)
            self._made[key] = made
            written = onnx.NodeProto()
            written.CopyFrom(node)
            written.name = _free(node.name or node.op_type, self._nodes_taken)
            written.input[:], written.output[:] = inputs, made
            _rename_captured(written, captured)
            self.nodes.append(written)
        names.update(zip(node.output, made, strict=True))

    def _constant(self, tensor: onnx.TensorProto) -> str:
        content = onnx.TensorProto()
        content.CopyFrom(tensor)
        content.name = ""
        key = ("", content.SerializeToString(deterministic=True))
        if key not in self._constants:
            content.name = _free(tensor.name, self._taken)
            self._constants[key] = content
        return self._constants[key].name


def _free(name: str, taken: set[str]) -> str:
    """The name, or the first numbered one that is not taken; it is from now on."""
    found, number = name, 0
    while found in taken:
        number += 1
        found = f"{name}@{number}"
    taken.add(found)
    return found


def _rename_captured(node: onnx.NodeProto, names: Mapping[str, str]) -> None:
    """Rename what the subgraphs of a node (If, Loop, Scan) read from outside."""
    if not names:
        return
    for attribute in node.attribute:
        for graph in (attribute.g, *attribute.graphs) if attribute.HasField("g") else ():
            inner = {t.name for t in (*graph.input, *graph.initializer)}
            inner.update(name for child in graph.node for name in child.output)
            outer = {old: new for old, new in names.items() if old not in inner}
            for child in graph.node:
                child.input[:] = [outer.get(name, name) for name in child.input]
                _rename_captured(child, outer)
            for value in graph.output:
                value.name = outer.get(value.name, value.name)
