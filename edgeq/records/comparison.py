"""What a comparison of two artifacts on one device found, metric by metric."""

from __future__ import annotations

import datetime
from typing import Literal

from pydantic import ConfigDict, Field, computed_field

from edgeq.records.accuracy import Agreement
from edgeq.records.record import Record
from edgeq.significance.outcome import Outcome

MetricName = Literal["inference", "frame", "peak memory", "size", "energy", "mask AP", "box AP"]
"""`inference` is the engine's own time, `frame` that of preprocess, inference and postprocess."""


class Change(Record):
    """B against A with its interval: B / A - 1 of a time or a size, B - A of an AP.

    `p` is that of no difference, as if this were the only metric; None in comparisons of before.
    """

    estimate: float
    low: float
    high: float
    confidence: float
    p: float | None = None


class Compared(Record):
    """One metric of both sides; `unit` is that of `a` and `b`, which are medians or exact figures.

    `limit` is how much worse B may be before it is called worse, a fraction of A or an AP. Without
    a `change` the figures could not be compared, and `reason` says why. Of 'cannot tell' it says
    what would resolve it.
    """

    metric: MetricName
    unit: Literal["ms", "bytes", "mJ", "AP"]
    a: float | None
    b: float | None
    change: Change | None
    limit: float
    outcome: Outcome
    reason: str = ""


class Side(Record):
    """One of the two: as the user named it, and what it is."""

    named: str
    artifact_id: str
    artifact_bytes: int
    engine: str
    """with its version, as 'onnxruntime 1.27.0'"""
    agreement: Agreement | None = None
    """with the float model, as last deployed on such a target; None where no report has it"""


class Comparison(Record):
    """Two artifacts that took turns on one device, metric by metric.

    `differences` are those of the two sides and their surroundings beside what is compared. Times
    of an `emulated` device say nothing about a real one.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")  # computed fields come back in its JSON

    id: str
    created_at: datetime.datetime
    edgeq_version: str
    recipe: str | None
    target: str
    device: str
    emulated: bool
    a: Side
    b: Side
    metrics: tuple[Compared, ...]
    differences: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    reloads: int
    pairs: int
    """of inferences, over all reloads"""
    measured_s: float
    versions: dict[str, str] = Field(default_factory=dict)

    def metric(self, name: str) -> Compared | None:
        """The metric of that name, None where it was not compared."""
        return next((found for found in self.metrics if found.metric == name), None)

    @property
    def agreed(self) -> str:
        """How each side agreed with its float model when it was deployed, in words; may be empty.

        Those are figures of other runs, with nothing to hold them against.
        """
        known = [
            f"{name} {one.agreement.mask.estimate:.4f}/{one.agreement.box.estimate:.4f}"
            for name, one in (("A", self.a), ("B", self.b))
            if one.agreement is not None
        ]
        said = "agreement with float as last deployed (masks/boxes)"
        return f"{said}: {', '.join(known)}" if known else ""

    @computed_field  # type: ignore[prop-decorator]
    @property
    def exit_code(self) -> int:
        """0 nothing is worse, 1 something is, 4 something cannot be told."""
        found = {metric.outcome for metric in self.metrics}
        if "worse" in found:
            return 1
        return 4 if "cannot tell" in found else 0
