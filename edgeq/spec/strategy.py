"""The strategy of a roll-out: which devices go first, how many follow at once, what stops it."""

from __future__ import annotations

import datetime
import re
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from edgeq.errors import Invalid
from edgeq.significance.stopping import StopRule
from edgeq.spec import document
from edgeq.spec.recipe import Compare
from edgeq.spec.values import AS_TUPLE, BytesPerSecond, Or, Part, Percent, PositiveInt, Seconds

_WINDOW = r"^([01][0-9]|2[0-3]):([0-5][0-9])-([01][0-9]|2[0-3]):([0-5][0-9])$"


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
    slower_by: Percent = 0.02
    """how much slower all of them may be on average, which no count of bad ones tells"""
    trouble: Percent = 0.20
    """boards of a wave that fail for reasons of their own, such as a full disk; no evidence against
    the release, but a reason to look"""
    then: Literal["halt", "roll-back-wave", "roll-back-all"] = "halt"
    """what follows a stop: nothing, or the releases before on devices that had theirs replaced"""

    @model_validator(mode="after")
    def _apart(self) -> StopAt:
        if self.feared <= self.tolerated:
            what = f"feared is {self.feared:g}, but tolerated is {self.tolerated:g}"
            raise Invalid(what, "raise the one or lower the other", "feared")
        return self


class BoardGates(Part):
    """When a device is bad: its release against the one before it, in turns on that device."""

    slower_by: Percent = 0.08
    """inference, and the whole frame"""
    larger_by: Percent = 0.10
    """peak memory"""
    hungrier_by: Percent = 0.10
    """energy of a frame, where the board has rails that can be read"""
    duration: Seconds = 20.0
    """of taking turns"""
    loads: Annotated[int, Field(ge=3, le=100)] = 5
    """how often both are loaded anew"""

    @property
    def options(self) -> Compare:
        """What a comparison is told."""
        return Compare(
            slower_by=self.slower_by,
            larger_by=self.larger_by,
            hungrier_by=self.hungrier_by,
            duration_s=self.duration,
            reloads=self.loads,
        )


class Rate(Part):
    """How fast files go out, in bytes a second; nothing limits what is not named."""

    link: BytesPerSecond | None = None
    """to a device, or to all those behind one jump host together"""
    total: BytesPerSecond | None = None
    """to all of them together"""


class Approval(Part):
    """Who says before each wave behind the canary that it may begin; nobody: it just does."""

    by: Literal["nobody", "person", "command"] = "nobody"
    """a person says: edgeq rollout approve"""
    command: Annotated[tuple[str, ...], AS_TUPLE] = ()
    """is started with the roll-out's status as JSON on its standard input; 0 says yes"""

    @model_validator(mode="after")
    def _who(self) -> Approval:
        if (self.by == "command") != bool(self.command):
            what = "a command is named" if self.command else "no command is named"
            remedy = "write approval: {by: command, command: [program, argument]}"
            raise Invalid(f"by is '{self.by}', and {what}", remedy, "by")
        return self


def _minutes(text: str) -> tuple[int, int]:
    match = re.match(_WINDOW, text)
    if match is None:
        raise Invalid(f"'{text}' is no window", "write the hours as '22:00-05:00'")
    first, second, third, fourth = map(int, match.groups())
    return first * 60 + second, third * 60 + fourth


class Strategy(Part):
    """How a fleet gets a release."""

    canary: Annotated[Canary, BeforeValidator(_by_count), Or({"type": "integer"})] = Canary()
    waves: Annotated[tuple[Percent, ...], AS_TUPLE] = (0.10, 0.50)
    """how much of the fleet has it at the end of each wave after the canary; all others are the
    last one"""
    stop: StopAt = StopAt()
    board: BoardGates = BoardGates()
    soak: Seconds | None = None
    """how long a device runs the release before it is looked at again and its wave ends"""
    at_once: Annotated[int, Field(ge=1, le=256)] = 32
    """devices side by side"""
    rate: Rate = Rate()
    tries: PositiveInt = 3
    """of a device that cannot be reached, is at work or too slow; then it is put off"""
    windows: Annotated[tuple[str, ...], AS_TUPLE] = ()
    """hours of this machine's clock in which devices are begun, such as 22:00-05:00"""
    approval: Approval = Approval()
    signed: bool = False
    """whether only a signed release is rolled out"""

    @field_validator("waves")
    @classmethod
    def _growing(cls, waves: tuple[float, ...]) -> tuple[float, ...]:
        for before, share in pairwise(waves):
            if share <= before:
                what = f"{share:g} of the fleet comes after {before:g}"
                raise Invalid(what, "write growing shares: each counts what went before")
        return waves

    @field_validator("windows")
    @classmethod
    def _hours(cls, windows: tuple[str, ...]) -> tuple[str, ...]:
        for window in windows:
            first, last = _minutes(window)
            if first == last:
                raise Invalid(f"'{window}' is no time at all", "leave it out for the whole day")
        return windows

    def is_open(self, now: datetime.time) -> bool:
        """Whether devices may be begun at this time of day."""
        if not self.windows:
            return True
        minute = now.hour * 60 + now.minute
        for first, last in map(_minutes, self.windows):
            within = first <= minute < last if first < last else not last <= minute < first
            if within:
                return True
        return False

    @property
    def rule(self) -> StopRule:
        """What stops it."""
        at = self.stop
        return StopRule(self.canary.count, at.tolerated, at.feared, at.false_stops)


def load(path: Path) -> Strategy:
    """Read a strategy; all that is wrong with it is reported together, each with its line.

    Raises InputError or InputErrors.
    """
    return document.validate(document.read(path), Strategy)
