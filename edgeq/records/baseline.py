"""A run that others are compared with, by name."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Literal

from edgeq.records.record import Record
from edgeq.records.report import Report

Whereabouts = Literal["here", "in the cache", "on boards that hold it"]


class Baseline(Record):
    """A name for a run: its figures, and the artifact that it measured."""

    name: str
    created_at: datetime.datetime
    report: Report


class KeptBaseline(Record):
    """A baseline and where its artifact is; what is not `here` may be gone one day."""

    baseline: Baseline
    artifact: Whereabouts
    folder: Path | None
    note: str = ""
