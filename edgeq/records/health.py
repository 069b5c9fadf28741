"""How a board did with an artifact that never changes: whether the board is what it was."""

from __future__ import annotations

import datetime

from pydantic import Field

from edgeq.records.limits import Count, Hash, Positive, Text
from edgeq.records.record import Record


class HealthFigure(Record):
    """One median in ms, and where it usually lies; None where too few earlier ones tell."""

    measured_ms: Positive
    usual_ms: tuple[Positive, Positive] | None = None
    earlier: Count = 0

    @property
    def is_off(self) -> bool:
        """Whether it lies elsewhere, which makes one in a hundred where nothing changed."""
        if self.usual_ms is None:
            return False
        low, high = self.usual_ms
        return not low <= self.measured_ms <= high


class Health(Record):
    """A board's gold artifact, measured. `workload` names all that its times depend on."""

    created_at: datetime.datetime
    target: str
    device: str
    gold: str
    artifact_id: Hash
    workload: Hash
    figures: dict[str, HealthFigure] = Field(default_factory=dict)
    unstable: tuple[Text, ...] = ()

    @property
    def doubt(self) -> str:
        """Why times of this board mean nothing now; empty where they do."""
        if self.unstable:
            return f"the board's gold artifact '{self.gold}' is unstable: {self.unstable[0]}"
        off = [
            f"{name} takes {one.measured_ms:.3g} ms, and {one.usual_ms[0]:.3g} to "
            f"{one.usual_ms[1]:.3g} ms as a rule"
            for name, one in self.figures.items()
            if one.usual_ms is not None and one.is_off
        ]
        if not off:
            return ""
        return f"the board is off its own history with '{self.gold}': {'; '.join(off)}"
