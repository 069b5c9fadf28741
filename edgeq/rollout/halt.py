"""The end of a controller's work before all devices are done, and the words for it."""

from __future__ import annotations

from collections.abc import Sequence

from edgeq.errors import listed
from edgeq.records.rollout import DeviceProgress, RolloutState

INTERRUPTED = "its controller was interrupted"
_SO_FAR = "; so far: "
_NAMED = 6


class Halt(Exception):
    """A reason to end, and how the roll-out stands then."""

    def __init__(self, state: RolloutState, reason: str) -> None:
        super().__init__(reason)
        self.state = state
        self.reason = reason


def with_progress(why: str, so_far: str) -> str:
    """Why it goes back, which is told to its end, and how far it got."""
    return f"{why}{_SO_FAR}{so_far}" if why else so_far


def without_progress(reason: str) -> str:
    """Why it goes back, of what `with_progress` made."""
    return reason.partition(_SO_FAR)[0]


def unfinished(rows: Sequence[DeviceProgress]) -> str:
    """Which devices somebody has to come back for."""
    names = listed([row.device for row in rows], _NAMED)
    noun = "device" if len(rows) == 1 else "devices"
    return f"{len(rows)} {noun} could not be finished, resume it later: {names}"
