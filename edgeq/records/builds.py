"""What several builds of one release on one device came to: how far they lie apart."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from typing import Annotated

from pydantic import Field

from edgeq.records.limits import Count, Finite, Hash, Positive, Text
from edgeq.records.record import Record

Share = Annotated[float, Field(ge=0, le=1)]


class BuildRun(Record):
    """One engine that was built anew, and what it finds and costs.

    `median_ms` are two measurements of an inference, one on the way through all builds and one on
    the way back. `changed` is the share of detections that this build and the first do not share.
    """

    fingerprint: Hash
    build_s: Positive | None
    engine_bytes: Count | None
    median_ms: tuple[Positive, Positive]
    mask_ap: Finite | None = None
    box_ap: Finite | None = None
    changed: Share | None = None
    unstable: tuple[Text, ...] = ()

    @property
    def mean_ms(self) -> float:
        """Of both measurements."""
        return sum(self.median_ms) / 2


class Builds(Record):
    """All of them. `p` is that of times as far apart by chance, were all builds as fast."""

    created_at: datetime.datetime
    edgeq_version: str
    artifact_id: Hash
    target: str
    device: str
    images: Count
    runs: tuple[BuildRun, ...]
    p: Share
    notes: tuple[str, ...] = ()

    @property
    def is_unstable(self) -> bool:
        """Whether some of the times mean nothing."""
        return any(run.unstable for run in self.runs)


def spread(values: Iterable[float | None]) -> float | None:
    """The largest less the smallest; None where one is missing."""
    found = list(values)
    known = [value for value in found if value is not None]
    return max(known) - min(known) if known and len(known) == len(found) else None
