"""What an engine has to say about itself, so that the rest need not know it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from edgeq.graph.model import Model
from edgeq.quantization.plan import Plan
from edgeq.quantization.rules import Placement
from edgeq.target import Target


@dataclass(frozen=True)
class Engine:
    """How the agent loads what a writer wrote: the runtime's name and the model file."""

    name: str
    model: str


class Runtime(Protocol):
    """One engine: its placement rules for a target, and its writer."""

    name: str
    engine: Engine
    packages: Mapping[str, str]
    """what the agent imports to run it, and the package on the board that brings each module"""

    def placement(self, target: Target, probe: Mapping[str, Any] | None) -> tuple[Placement, str]:
        """The rules for a target, and a note on what was decided by probing ('' if nothing was).

        `probe` is what the agent found on the device, None when there is no device at hand.
        """
        ...

    def write(self, model: Model, plan: Plan) -> dict[str, bytes]:
        """The artifact's files: name to content. The same model and plan give the same bytes."""
        ...
