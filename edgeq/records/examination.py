"""What a board is, and what is missing there."""

from __future__ import annotations

from typing import Literal

from edgeq.records.record import Record

State = Literal["ok", "note", "missing", "wrong"]


class Finding(Record):
    """One thing that was looked at. Wrong: a deploy cannot work; missing: `setup` brings it."""

    name: str
    state: State
    found: str
    remedy: str = ""


class Examination(Record):
    """What a board is, measured against what its target needs."""

    device: str
    target: str
    findings: tuple[Finding, ...]
    environment: str | None
    changed: bool = False

    @property
    def ready(self) -> bool:
        """Whether a deploy can work."""
        return all(finding.state in ("ok", "note") for finding in self.findings)
