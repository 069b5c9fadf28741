"""What TFLite cannot express, a line for each cause: what only follows from one is counted."""

from __future__ import annotations

from dataclasses import dataclass, field

import onnx

from edgeq.errors import InputError, raise_all
from edgeq.graph.model import Model

_NAMED = 3
"""Nodes that one line names; the others are counted."""
_SELECTING = ("NonMaxSuppression", "GatherElements", "GatherND", "NonZero", "TopK")
"""What heads are made of that choose their detections themselves."""
_DEFAULT_HEAD = (
    "export it with the exporter's default head, which leaves NMS to edgeq (Ultralytics: nms=False "
    "and end2end=False), and write 'decoder: yolov8-seg'"
)
_TWO_STAGES = (
    "choose another engine, such as ONNX Runtime: no exporter leaves NMS out of a model whose "
    "second stage (RoiAlign) looks at what the first chose"
)


@dataclass
class _Cause:
    op_type: str
    reason: str
    nodes: list[str] = field(default_factory=list)
    followers: int = 0


class Refusals:
    """Collects refused nodes in execution order.

    A node that reads a shape which a refused one left open follows from that: without the cause it
    would look otherwise, or not be there.
    """

    def __init__(self, model: Model) -> None:
        self._model = model
        self._causes: dict[tuple[str, str], _Cause] = {}
        self._open: dict[str, _Cause] = {}
        self._inputs: list[InputError] = []

    def add_input(self, name: str, reason: str) -> None:
        """An input that cannot be fed."""
        where = f"{self._model.path}: input '{name}'"
        self._inputs.append(InputError(where, reason, self._remedy("")))

    def add(self, node: onnx.NodeProto, reason: str) -> None:
        """A node, and why."""
        behind = next((self._open[name] for name in node.input if name in self._open), None)
        if behind is not None:
            behind.followers += 1
        else:
            key = node.op_type, reason
            behind = self._causes.setdefault(key, _Cause(*key))
            behind.nodes.append(node.name)
        for name in node.output:
            shape = self._model.shapes.get(name)
            if shape is None or not all(shape):
                self._open[name] = behind

    def raise_all(self) -> None:
        """InputError(s), one a cause; nothing where there is none."""
        raise_all([*self._inputs, *(self._problem(cause) for cause in self._causes.values())])

    def _problem(self, cause: _Cause) -> InputError:
        named = ", ".join(f"'{name}'" for name in cause.nodes[:_NAMED])
        left = len(cause.nodes) - _NAMED
        named += f" and {left} more" if left > 0 else ""
        where = f"{self._model.path}: node{'s' * (len(cause.nodes) > 1)} {named} ({cause.op_type})"
        count = cause.followers
        follow = ", and 1 node behind it follows from that"
        if count > 1:
            follow = f", and {count} nodes behind it follow from that"
        what = cause.reason + (follow if count else "")
        return InputError(where, what, self._remedy(cause.op_type))

    def _remedy(self, op_type: str) -> str:
        """What helps with the model at hand."""
        kinds = {node.op_type for node in self._model.nodes}
        if op_type in _SELECTING and "RoiAlign" in kinds:
            return _TWO_STAGES
        chooses = "NonMaxSuppression" in kinds
        if op_type in _SELECTING and (chooses or self._model.metadata.get("end2end") == "True"):
            return _DEFAULT_HEAD
        return "export the model without it, or choose another engine"
