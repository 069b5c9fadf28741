"""The range-mixing lint: a Concat whose parts differ so much that one scale leaves some nothing.

The last Concat of a YOLO head puts pixels (0 to 640) beside scores (0 to 1): under one 8-bit
scale all scores become zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edgeq.graph.model import Model

LEVELS = 255
FEWEST_LEVELS = 16
"""A part that gets fewer of the 255 levels (4 bits) is reported."""


@dataclass(frozen=True)
class Mixing:
    """A Concat and its worst-off part; `levels` are the integers that part's range would get."""

    node: str
    narrow: str
    narrow_range: tuple[float, float]
    wide: str
    wide_range: tuple[float, float]
    levels: float

    def __str__(self) -> str:
        narrow, wide = (f"{r[0]:.4g} to {r[1]:.4g}" for r in (self.narrow_range, self.wide_range))
        return (
            f"Concat '{self.node}' puts '{self.narrow}' ({narrow}) beside '{self.wide}' ({wide}): "
            f"{self.levels:.2g} of {LEVELS} levels would be left for it"
        )


def concat_inputs(model: Model) -> list[str]:
    """The computed float inputs of static shape of all Concats."""
    names = {
        name: None
        for node in model.nodes
        if node.op_type == "Concat"
        for name in model.activations(node)
        if all(model.shapes.get(name, (0,)))
    }
    return list(names)


def mixing(model: Model, ranges: Mapping[str, tuple[float, float]]) -> list[Mixing]:
    """The Concats that mix ranges, worst first; `ranges` are measured minima and maxima."""
    found = []
    for node in model.nodes:
        parts = {name: ranges[name] for name in node.input if name in ranges}
        if node.op_type != "Concat" or len(parts) < 2:
            continue
        spans = {name: max(high, 0.0) - min(low, 0.0) for name, (low, high) in parts.items()}
        total = max(max(h, 0.0) for _, h in parts.values())
        total -= min(min(low, 0.0) for low, _ in parts.values())
        live = {name: span for name, span in spans.items() if span > 0}
        if not live or total <= 0:
            continue
        narrow, wide = min(live, key=live.__getitem__), max(live, key=live.__getitem__)
        levels = LEVELS * live[narrow] / total
        if levels < FEWEST_LEVELS:
            found.append(Mixing(node.name, narrow, parts[narrow], wide, parts[wide], levels))
    return sorted(found, key=lambda mix: mix.levels)
