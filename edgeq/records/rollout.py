"""What a strategy means for a fleet, and a roll-out as its journal has it."""

from __future__ import annotations

import datetime
from typing import Literal, get_args

from pydantic import Field

from edgeq.records.record import Record

DeviceState = Literal[
    "pending",
    "checking",
    "pushing",
    "verifying",
    "measuring",
    "activating",
    "soaking",
    "rolling back",
    "healthy",
    "failed",
    "rolled back",
    "deferred",
]
"""Of a device in a roll-out; written down before what it names is done."""
DEVICE_STATES: tuple[DeviceState, ...] = get_args(DeviceState)
WORKING: tuple[DeviceState, ...] = (
    "checking",
    "pushing",
    "verifying",
    "measuring",
    "activating",
    "rolling back",
)
"""Something is being done to the device, or was when its controller ended."""
ENDED: tuple[DeviceState, ...] = ("healthy", "failed", "rolled back")
"""Nothing is done to the device any more, unless somebody asks for it."""

RolloutState = Literal[
    "running",
    "paused",
    "waiting",
    "stopping",
    "stopped",
    "aborted",
    "done",
    "rolling back",
    "rolled back",
]
"""waiting: for an approval; stopping: by its own rule, and devices go back as the strategy has it;
rolling back: as somebody asked for."""
BACKWARD: tuple[RolloutState, ...] = ("stopping", "rolling back")
UNFINISHED: tuple[RolloutState, ...] = ("running", "paused", "waiting", *BACKWARD)

FailureClass = Literal["transient", "board", "artifact", "model"]
"""What a device's failure says: nothing yet; that the board is in trouble; that the artifact does
not work there; that the model does worse than the one before."""
AGAINST: tuple[FailureClass, ...] = ("artifact", "model")
"""Evidence against the release."""


class Wave(Record):
    """Devices that go together, by name; `boards` counts those of the waves before too."""

    name: str
    devices: tuple[str, ...]
    boards: int


class Odds(Record):
    """How a release that spoils this share of the devices fares."""

    bad_share: float
    seen_by_canary: float
    """the probability that the canary has one of them at least"""
    stopped_by: tuple[float, ...]
    """the probability that it is stopped before each wave's end, or at it"""
    median_boards: int | None
    """how many boards have the release when it stops, at the median; None: more than half go on"""


class RolloutPlan(Record):
    """A strategy on a fleet; nothing was touched."""

    fleet: str
    waves: tuple[Wave, ...]
    odds: tuple[Odds, ...]
    tolerated: float
    false_stops: float
    """the probability of a stop where the tolerated share is bad"""


class Reference(Record):
    """What the first device that ran an artifact found, which others are held against."""

    artifact_id: str
    snr_db: dict[str, float | None]
    """as of `Divergence`"""
    lacking: float | None = None


class DeviceProgress(Record):
    """A device of a roll-out."""

    device: str
    wave: int
    """0 is the canary"""
    place: str = ""
    """where it is, whatever it is called"""
    state: DeviceState = "pending"
    tries: int = 0
    failure: FailureClass | None = None
    reason: str = ""
    before: str | None = None
    """the release that was current when it was begun"""
    artifact_id: str | None = None
    updated_at: datetime.datetime | None = None
    soaks_until: datetime.datetime | None = None
    """the end of its soak, which may be none; there from when it may have the release"""
    losses: dict[str, float] = Field(default_factory=dict)
    """log ratios to the release before, by metric, of the last comparison"""
    reference: Reference | None = None

    @property
    def is_bad(self) -> bool:
        """Whether it is evidence against the release."""
        judged = self.state in ("failed", "rolling back", "rolled back")
        return judged and self.failure in AGAINST

    @property
    def may_have_it(self) -> bool:
        """Whether the release may be its current one, where another was before."""
        return self.soaks_until is not None and self.before not in (None, self.artifact_id)

    @property
    def is_evidence(self) -> bool:
        """Whether it says anything about the release."""
        runs = self.state == "soaking" and self.failure is None
        return self.is_bad or runs or self.state == "healthy"

    @property
    def is_in_trouble(self) -> bool:
        """Whether somebody has to look after it, for reasons of its own."""
        if self.is_bad:
            return False
        is_lost = self.failure is not None and self.state in ("soaking", *WORKING)
        return is_lost or self.state in ("failed", "deferred")


class Held(Record):
    """Who works on a roll-out, and until when unless a heartbeat prolongs it."""

    by: str
    since: datetime.datetime
    until: datetime.datetime
    generation: int


class RolloutStatus(Record):
    """A roll-out as its journal has it."""

    id: str
    created_at: datetime.datetime
    recipe: str
    fleet: str
    state: RolloutState
    reason: str = ""
    wanted: Literal["run", "pause", "abort"] = "run"
    """what somebody asked of its controller"""
    approved: int = 0
    """waves that may begin, behind the canary"""
    waves: tuple[str, ...] = ()
    held: Held | None = None
    devices: tuple[DeviceProgress, ...] = ()

    @property
    def is_worked_on(self) -> bool:
        """Whether its controller is heard."""
        return self.held is not None and self.held.until > datetime.datetime.now(datetime.UTC)

    @property
    def exit_code(self) -> int:
        """0 well so far, 1 stopped or bad somewhere, 3 devices in trouble, 4 waits for somebody."""
        if self.state in ("stopped", "aborted", "rolled back"):
            return 1
        if any(device.is_bad for device in self.devices):
            return 1
        if self.state in ("paused", "waiting") or (self.state != "done" and not self.is_worked_on):
            return 4
        return 3 if any(device.is_in_trouble for device in self.devices) else 0


class RolloutEvent(Record):
    """Something that happened in a roll-out; to the whole of it where no device is named."""

    rollout: str
    at: datetime.datetime
    state: DeviceState | RolloutState
    device: str | None = None
    wave: int | None = None
    failure: FailureClass | None = None
    reason: str = ""
