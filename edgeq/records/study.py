"""The trials of a study, and the patterns that they show."""

from __future__ import annotations

from edgeq.records.record import Record
from edgeq.records.trial import Trial


class Pattern(Record):
    """One of the patterns of the paper's tables, and whether it shows here."""

    pattern: str
    appears: bool
    figures: str


class Study(Record):
    """All trials of a study, in the order of its tables."""

    recipe: str
    target: str
    images: str
    float_mask_ap: float | None
    float_box_ap: float | None
    weights: tuple[Trial, ...]
    activations: tuple[Trial, ...]
    partial: tuple[Trial, ...]
    order: tuple[str, ...]
    """the layers as the curve leaves them out, the most sensitive first"""
    patterns: tuple[Pattern, ...]
