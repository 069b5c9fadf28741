"""One measured figure, the limit that it has to keep, and whether it does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from tests.cpu import CpuClass, cpu_class

Verdict = Literal["kept", "missed", "not measured", ""]


@dataclass(frozen=True)
class Limit:
    """What a figure may be: at most, or at least, a bound; `cpu` is the class that it is for."""

    kind: Literal["at most", "at least"]
    bound: float
    cpu: CpuClass | None = None

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


def by_cpu(limits: Mapping[CpuClass, Limit]) -> Limit | None:
    """The limit for this machine's class of CPU, which it names; None where none was found yet."""
    limit = limits.get(cpu_class())
    return None if limit is None else replace(limit, cpu=cpu_class())


def missing(part: str, name: str, unit: str, reason: str, limit: Limit | None = None) -> Figure:
    """The figure that could not be measured."""
    return Figure(part, name, None, unit, limit, reason)
