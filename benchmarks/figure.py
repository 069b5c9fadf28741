"""One measured figure, the limit that it has to keep, and whether it does."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Verdict = Literal["kept", "missed", "not measured", ""]


@dataclass(frozen=True)
class Limit:
    """What a figure may be: at most, or at least, a bound."""

    kind: Literal["at most", "at least"]
    bound: float

    def keeps(self, value: float) -> bool:
        """Whether a value is within the limit."""
        return value <= self.bound if self.kind == "at most" else value >= self.bound


@dataclass(frozen=True)
class Figure:
    """A figure of one part; `value` is None where it was not measured, and `note` says why.

    `unit` is 'x' for a ratio. Without a `limit` the figure is there to compare with.
    """

    part: str
    name: str
    value: float | None
    unit: str
    limit: Limit | None = None
    note: str = ""

    @property
    def verdict(self) -> Verdict:
        """Whether the limit was kept; '' where there is none."""
        if self.value is None:
            return "not measured"
        if self.limit is None:
            return ""
        return "kept" if self.limit.keeps(self.value) else "missed"

    def record(self) -> dict[str, Any]:
        """The figure for JSON."""
        return {**asdict(self), "verdict": self.verdict}


def at_most(bound: float) -> Limit:
    """The limit of a figure that should be small."""
    return Limit("at most", bound)


def at_least(bound: float) -> Limit:
    """The limit of a figure that should be large."""
    return Limit("at least", bound)


def missing(part: str, name: str, unit: str, reason: str, limit: Limit | None = None) -> Figure:
    """The figure that could not be measured."""
    return Figure(part, name, None, unit, limit, reason)
