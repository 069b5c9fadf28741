"""How much accuracy may be lost: what a user states, and what trials are held against."""

from __future__ import annotations

import re
from dataclasses import dataclass

from edgeq.errors import InputError
from edgeq.records.accuracy import Interval

_NUMBER = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*(%?)")


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


@dataclass(frozen=True)
class Contract:
    """The largest drops of mask and box AP, absolute."""

    mask: float
    box: float

    @staticmethod
    def of(mask: Limit, box: Limit, float_mask: float, float_box: float) -> Contract:
        """The contract for a float model of these APs."""
        return Contract(mask.of(float_mask), box.of(float_box))

    def is_met(self, mask: Interval | None, box: Interval | None) -> bool:
        """Whether both drops, as measured, are within their limits."""
        return self.excess(mask, box) <= 0

    def excess(self, mask: Interval | None, box: Interval | None) -> float:
        """By how much the worse of both exceeds its limit; negative where both keep it.

        Kinds of which nothing is annotated do not count.
        """
        found = ((mask, self.mask), (box, self.box))
        return max((i.estimate - limit for i, limit in found if i is not None), default=0.0)

    def is_resolved(self, mask: Interval | None, box: Interval | None) -> bool:
        """Whether the intervals lie on one side of the limits: enough images to be sure."""
        found = [(i, limit) for i, limit in ((mask, self.mask), (box, self.box)) if i is not None]
        kept = all(i.high <= limit for i, limit in found)
        return kept or any(i.low > limit for i, limit in found)
