"""Everything that a page about a run shows: its report, its evidence, and the runs beside it."""

from __future__ import annotations

from pydantic import Field

from edgeq.records.evidence import RunEvidence
from edgeq.records.history import Series
from edgeq.records.insight import Insight
from edgeq.records.record import Record
from edgeq.records.report import Report


class Dossier(Record):
    """A run and what surrounds it.

    `without_evidence` and `without_insight` say why these are None. `runs` are those to choose
    from, the newest first, with this one among them; `series` is how the figures went in the runs
    of the same recipe on the same device, `baselines` the names of those of them that have one.
    """

    report: Report
    evidence: RunEvidence | None
    without_evidence: str = ""
    insight: Insight | None = None
    without_insight: str = ""
    runs: tuple[Report, ...]
    series: tuple[Series, ...] = ()
    baselines: dict[str, str] = Field(default_factory=dict)
