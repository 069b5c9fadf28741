"""How much accuracy may be lost: what a user states, and what trials are held against."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal, NamedTuple

from edgeq.errors import InputError
from edgeq.records.accuracy import Agreement, Interval
from edgeq.records.trial import Trial

_NUMBER = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*(%?)")
_LEAST = 1e-4
"""For comparing, where nothing at all may be lost."""


@dataclass(frozen=True)
class Limit:
    """A drop of AP that may not be exceeded: absolute, or as a share of the float model's AP."""

    value: float
    relative: bool = False

    def of(self, reference: float) -> float:
        """The absolute drop for a float AP."""
        return self.value * reference if self.relative else self.value


def parse_limit(text: str, where: str = "--max-drop") -> Limit:
    """'0.003' is absolute, '1%' is of the float model's AP. InputError for anything else."""
    found = _NUMBER.fullmatch(text.strip())
    if found is None:
        raise InputError(where, f"'{text}' is no drop of AP", "write 0.003, or 1% of float's AP")
    value = float(found[1]) / (100 if found[2] else 1)
    if value >= 1:
        raise InputError(where, f"'{text}' allows to lose everything", "AP goes from 0 to 1")
    return Limit(value, bool(found[2]))


class Judgement(NamedTuple):
    """Whether a contract is met, `by` which figure, and whether that figure's interval is sure.

    `share` is what is lost, in units of what may be lost.
    """

    met: bool
    by: Literal["AP", "agreement"]
    resolved: bool
    share: float


@dataclass(frozen=True)
class Contract:
    """The largest drops of mask and box AP, absolute, the least agreement, the largest latency.

    That is in units of the start's; None is without a limit.
    """

    mask: float
    box: float
    agreement: float
    latency: float | None = None

    @staticmethod
    def of(
        mask: Limit,
        box: Limit,
        agreement: float,
        float_mask: float,
        float_box: float,
        latency: float | None = None,
    ) -> Contract:
        """The contract for a float model of these APs."""
        return Contract(mask.of(float_mask), box.of(float_box), agreement, latency)

    def is_fast_enough(self, trial: Trial) -> bool:
        """Whether a trial takes no longer than it may, as measured."""
        if self.latency is None:
            return True
        return trial.latency is not None and trial.latency.estimate <= self.latency

    def decided(
        self, mask: Interval | None, box: Interval | None, agreement: Agreement | None
    ) -> Judgement:
        """By AP where its drops on labels resolve their limits, otherwise by the worse agreement.

        Where there is nothing to agree with, AP as it was measured has to do.
        """
        found = self._kinds(mask, box)
        resolved = bool(found) and self.is_resolved(mask, box)
        if resolved or agreement is None:
            shares = [i.estimate / max(limit, _LEAST) for i, limit in found]
            return Judgement(self.is_met(mask, box), "AP", resolved, max(shares, default=0.0))
        _, worse = agreement.worse
        sure = not worse.low <= self.agreement <= worse.high
        share = (1 - worse.estimate) / max(1 - self.agreement, _LEAST)
        return Judgement(worse.estimate >= self.agreement, "agreement", sure, share)

    def is_met(self, mask: Interval | None, box: Interval | None) -> bool:
        """Whether both drops, as measured, are within their limits."""
        return all(i.estimate <= limit for i, limit in self._kinds(mask, box))

    def is_resolved(self, mask: Interval | None, box: Interval | None) -> bool:
        """Whether the intervals lie on one side of the limits: enough images to be sure."""
        found = self._kinds(mask, box)
        kept = all(i.high <= limit for i, limit in found)
        return kept or any(i.low > limit for i, limit in found)

    def images_needed(self, images: int, mask: Interval | None, box: Interval | None) -> int | None:
        """How many images like these would resolve the limits; None where no number would.

        An interval shrinks with the root of the number of images, around what was measured.
        """
        found = self._kinds(mask, box)
        beyond = [_times(i, limit) for i, limit in found if i.estimate > limit]
        times = min(beyond) if beyond else max((_times(i, limit) for i, limit in found), default=0)
        return math.ceil(images * times) if math.isfinite(times) else None

    def _kinds(self, mask: Interval | None, box: Interval | None) -> list[tuple[Interval, float]]:
        """The kinds that count, with their limits: those of which anything is annotated."""
        found = (mask, self.mask), (box, self.box)
        return [(interval, limit) for interval, limit in found if interval is not None]


def _times(drop: Interval, limit: float) -> float:
    """How many times as many images would take the limit out of an interval."""
    distance = abs(drop.estimate - limit)
    reach = drop.high - drop.estimate if drop.estimate <= limit else drop.estimate - drop.low
    return math.inf if distance == 0 else (reach / distance) ** 2
