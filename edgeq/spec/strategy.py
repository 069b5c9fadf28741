"""The strategy of a roll-out: which devices go first, how many follow at once, what stops it."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field, field_validator, model_validator

from edgeq.errors import Invalid
from edgeq.significance.stopping import StopRule
from edgeq.spec import document
from edgeq.spec.values import AS_TUPLE, Or, Part, Percent


def _by_count(value: object) -> object:
    return {"count": value} if isinstance(value, int) and not isinstance(value, bool) else value


class Canary(Part):
    """The devices that are looked at first."""

    count: Annotated[int, Field(ge=1)] = 5
    on: str | None = None
    """drawn from those that a label expression means; default: from all"""


class StopAt(Part):
    """How many bad devices stop it; shares are of devices, each of which is bad by itself."""

    tolerated: Percent = 0.02
    """bad for reasons of their own"""
    feared: Percent = 0.10
    """bad because of what is rolled out"""
    false_stops: Percent = 0.01
    """the largest chance of a stop where no more than the tolerated share is bad"""

    @model_validator(mode="after")
    def _apart(self) -> StopAt:
        if self.feared <= self.tolerated:
            what = f"feared is {self.feared:g}, but tolerated is {self.tolerated:g}"
            raise Invalid(what, "raise the one or lower the other", "feared")
        return self


class Strategy(Part):
    """How a fleet gets a release."""

    canary: Annotated[Canary, BeforeValidator(_by_count), Or({"type": "integer"})] = Canary()
    waves: Annotated[tuple[Percent, ...], AS_TUPLE] = (0.10, 0.50)
    """how much of the fleet has it at the end of each wave after the canary; all others are the
    last one"""
    stop: StopAt = StopAt()

    @field_validator("waves")
    @classmethod
    def _growing(cls, waves: tuple[float, ...]) -> tuple[float, ...]:
        for before, share in pairwise(waves):
            if share <= before:
                what = f"{share:g} of the fleet comes after {before:g}"
                raise Invalid(what, "write growing shares: each counts what went before")
        return waves

    @property
    def rule(self) -> StopRule:
        """What stops it."""
        return StopRule(self.canary.count, **self.stop.model_dump())


def load(path: Path) -> Strategy:
    """Read a strategy; all that is wrong with it is reported together, each with its line.

    Raises InputError or InputErrors.
    """
    return document.validate(document.read(path), Strategy)
