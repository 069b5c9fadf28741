"""Which nodes stay float32 where all others are float16."""

from __future__ import annotations

import numpy as np
import onnx

from edgeq.calibration.statistics import Statistics
from edgeq.graph.model import Model
from edgeq.graph.tail import Tail

MARGIN = 2.0
"""Values on the device may be larger by this factor than those that calibration saw."""
LIMIT = float(np.finfo(np.float16).max) / MARGIN
_SMALL = 16
"""Elements of a constant up to which each counts: an epsilon, not one of many weights."""
_PASSING = ("Sqrt", "Pow", "Reciprocal", "Log", "Max", "Clip", "Neg", "Abs")


def kept_float32(model: Model, tail: Tail, statistics: Statistics) -> tuple[str, ...]:
    """Nodes that read or write what float16 does not hold, and all of the head's tail.

    Pixel coordinates are in the tail: from 512 on float16 knows only every other quarter of them.
    """
    kept = set(tail.nodes)
    for node in model.nodes:
        if _overflows(model, node, statistics):
            kept.add(node.name)
        elif _underflows(model, node):
            kept |= _with_readers(model, node)
    return tuple(node.name for node in model.nodes if node.name in kept)


def _overflows(model: Model, node: onnx.NodeProto, statistics: Statistics) -> bool:
    for name in filter(None, (*node.input, *node.output)):
        if name in model.initializers:
            values = model.constant(name)
            if model.is_float(name) and float(np.abs(values).max(initial=0.0)) > LIMIT:
                return True
        elif name in statistics:
            seen = statistics.histogram(name)
            if max(-seen.low, seen.high) > LIMIT:
                return True
    return False


def _underflows(model: Model, node: onnx.NodeProto) -> bool:
    """Whether a small constant, such as the epsilon of a norm, would become zero."""
    for name in node.input:
        if name in model.initializers and model.is_float(name):
            values = np.asarray(model.constant(name), np.float32)
            with np.errstate(over="ignore"):
                lost = (values != 0) & (values.astype(np.float16) == 0)
            if values.size <= _SMALL and lost.any():
                return True
    return False


def _with_readers(model: Model, node: onnx.NodeProto) -> set[str]:
    """A node and its readers, up to where its result is no longer as small: behind a division."""
    found: set[str] = set()
    pending = [node]
    while pending:
        made = pending.pop()
        found.add(made.name)
        for name in made.output:
            for reader in model.consumers.get(name, []):
                if reader.op_type in _PASSING and reader.name not in found:
                    pending.append(reader)
                found.add(reader.name)
    return found
