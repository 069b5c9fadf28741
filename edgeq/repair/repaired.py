"""What a repair hands on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from edgeq.graph.model import Model
from edgeq.quantization.arithmetic import Scale


@dataclass(frozen=True)
class Repaired:
    """A model with the names and shapes of another, and what was done to it, in words.

    `scales` are those that were learned along, by tensor: its plan has them instead of its own.
    """

    model: Model
    notes: tuple[str, ...] = ()
    scales: Mapping[str, Scale] = field(default_factory=dict)
