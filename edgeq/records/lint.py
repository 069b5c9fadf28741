"""What a lint found."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from edgeq.records.record import Record


class LintFinding(Record):
    """A rule, the node that breaks it, what is wrong there and what to do about it."""

    rule: str
    node: str
    what: str
    remedy: str
    severity: Literal["error", "warning"]


class Lint(Record):
    """What was found in a graph, errors first."""

    source: str
    target: str
    findings: tuple[LintFinding, ...]
    snr_db: dict[str, float | None] = Field(default_factory=dict)
    """of a recipe: what the plan does to each part of the float model's outputs, on a few images"""

    @property
    def has_errors(self) -> bool:
        """Whether the engine would refuse the graph, or compute something else."""
        return any(finding.severity == "error" for finding in self.findings)
