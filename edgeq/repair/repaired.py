"""What a repair hands on."""

from __future__ import annotations

from dataclasses import dataclass

from edgeq.graph.model import Model


@dataclass(frozen=True)
class Repaired:
    """A model with the names and shapes of another, and what was done to it, in words."""

    model: Model
    notes: tuple[str, ...] = ()
