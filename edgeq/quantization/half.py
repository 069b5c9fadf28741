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


def kept_float32(model: Model, tail: Tail, statistics: Statistics) -> tuple[str, ...]:
    """Nodes that read or write what float16 does not hold, and all of the head's tail.

    Pixel coordinates are in the tail: from 512 on float16 knows only every other quarter of them.
    """
    return tuple(
        node.name
        for node in model.nodes
        if node.name in tail.nodes or _overflows(model, node, statistics)
    )


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
