"""How long a device may take for an answer: from what is asked of it.

A device that says only that it is alive, or a byte a second, is given up when this is over. Boards
are slow, and emulated ones a hundred times slower: what is said here is far more than any needs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

QUICK_S = 120.0
"""For what needs no work, and on top of everything."""
SLOWEST_LINK = 16 << 10
"""Bytes a second, below which nobody waits for a file."""
_LONG_S = {"commit": 1800.0, "collect": 1800.0, "recheck": 1800.0, "environment": 3600.0}
"""What may wait for a card that is full, or for a build."""
_JOB_S = 3600.0
_BUILT_S = 1800.0
"""For what comes before and after the builder, whose own limit is about that of a job."""
_IMAGE_S = 120.0
_GIVEN = ("timeout_s", "warmup_s", "max_warmup_s", "max_duration_s", "duration_s", "soak_s")
"""Fields of a job that allow it a time."""


def answer_s(op: str, fields: Mapping[str, Any], sent_bytes: int = 0) -> float:
    """Seconds for the answer to a request that goes there with that many raw bytes."""
    allowed = QUICK_S + moving_s(sent_bytes) + _LONG_S.get(op, 0.0)
    if op == "lock":
        allowed += _seconds(fields.get("wait_s"))
    if op == "job":
        job: Mapping[str, Any] = fields["job"]
        allowed += _JOB_S + sum(_seconds(job.get(name)) for name in _GIVEN)
        if fields["verb"] in ("build", "adopt"):
            allowed += _BUILT_S
        if fields["verb"] == "predict":
            allowed += _IMAGE_S * len(job.get("images", ()))
    return allowed


def _seconds(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0  # which the agent refuses


def moving_s(size_bytes: int) -> float:
    """Seconds in which that many bytes have come over any link worth waiting for."""
    return size_bytes / SLOWEST_LINK
