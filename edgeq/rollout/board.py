"""One board of a roll-out: it gets the release, is looked at again, or goes back.

Every step is in the journal before it is taken, and may be taken twice.
"""

from __future__ import annotations

import datetime
import random
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from edgeq.agent.errors import SUPERSEDED
from edgeq.device import trust
from edgeq.device.connection import Address, connect
from edgeq.device.device import Device
from edgeq.errors import DeviceError, EdgeqError, InputError
from edgeq.records.report import Report
from edgeq.records.rollout import AGAINST, DeviceProgress, DeviceState, FailureClass
from edgeq.rollout.ages import Ages
from edgeq.rollout.failures import UNFIT, class_of
from edgeq.rollout.health import healthy, proven
from edgeq.rollout.paces import Paces
from edgeq.rollout.work import Work
from edgeq.spec.fleet.fleet import FleetDevice
from edgeq.spec.strategy import Strategy
from edgeq.stages.build import Build
from edgeq.stages.check import Checked, check_room
from edgeq.store.journal import RolloutJournal
from edgeq.store.runs import Store

_BACKOFF_S = 2.0
_LONGEST_S = 60.0


@dataclass(frozen=True)
class Boards:
    """What is done with a board, for one controller. Each method is for a thread of its own."""

    journal: RolloutJournal
    store: Store
    work: Work
    strategy: Strategy
    paces: Paces
    allow_downgrade: bool = False
    sleep: Callable[[float], None] = time.sleep

    @cached_property
    def ages(self) -> Ages:
        """How old releases are."""
        return Ages(self.store, self.journal)

    def keep(self, report: Report) -> None:
        """Keep a report in the store. Raises InputError."""
        self.journal.patiently(lambda: self.store.add(report))

    def install(self, row: DeviceProgress, device: FleetDevice, address: Address) -> DeviceProgress:
        """Put the release on a board and make it current, if it is no worse there.

        What went wrong is in what is returned. Raises DeviceError (superseded) and InputError where
        nothing can be written down any more.
        """
        return _Hand(self, row, device, address).through(_Hand.install)

    def look_again(
        self, row: DeviceProgress, device: FleetDevice, address: Address
    ) -> DeviceProgress:
        """At the end of its soak; a board that is bad by now goes back. Raises as `install`."""
        return _Hand(self, row, device, address).through(_Hand.look_again)

    def go_back(self, row: DeviceProgress, device: FleetDevice, address: Address) -> DeviceProgress:
        """Make the release before current again. Raises as `install`."""
        return _Hand(self, row, device, address).through(_Hand.go_back)


class _Hand:
    """A board and its line of the journal."""

    def __init__(
        self, boards: Boards, row: DeviceProgress, device: FleetDevice, address: Address
    ) -> None:
        self.boards = boards
        self.row = row
        self.device = device
        self.address = replace(address, pace=boards.paces.of(device))

    def through(self, steps: Callable[[_Hand], None]) -> DeviceProgress:
        """Take steps, and again where what stopped them may pass."""
        for number in range(1, self.boards.strategy.tries + 1):
            try:
                steps(self)
                return self.row
            except Exception as raised:
                error = _told(raised, self.device)
                if _is_over(error, self.boards):
                    raise
                if class_of(error) != "transient":
                    self._failed(error)
                    return self.row
                if number == self.boards.strategy.tries:
                    self._put_off(error)
                    return self.row
                wait_s = min(_BACKOFF_S * 2.0 ** (number - 1), _LONGEST_S)
                self.boards.sleep(wait_s * random.uniform(0.5, 1.5))
        raise AssertionError("unreachable: the last try returns")

    def install(self) -> None:
        is_decided = self.row.state == "activating" and self.row.artifact_id is not None
        if not is_decided:
            self._to("checking", tries=self.row.tries + 1)
        with connect(self.device.target, self.address) as board:
            signers = trust.signers(self.device.target)
            if not is_decided:
                self._try(board)
            else:
                self._hold(board)
            assert self.row.artifact_id is not None
            board.activate(self.row.artifact_id, signers, self._generation)
            with suppress(DeviceError):  # what is left lying there is no matter of the release
                board.collect()
        self._soak()

    def _try(self, board: Device) -> None:
        """All that comes before the release becomes current."""
        work, strategy = self.boards.work, self.boards.strategy
        checked, built = self._made_for(board)
        trust.require_signed(self.device.target, board, built.artifact.signature)
        self._hold(board)
        before = board.status().current
        if before == built.artifact.id == self.row.artifact_id:  # given to it by an earlier try
            before = self.row.before
        if built.artifact.signature is not None and not self.boards.allow_downgrade:
            self.boards.ages.require_newer(built.artifact.id, before, board.address)
        self._to("pushing", before=before, artifact_id=built.artifact.id)
        check_room(checked)
        board.send(built.artifact)
        self._to("verifying")
        work.verify(self.device.target, board, built.artifact)
        self._to("measuring")
        reference = proven(work, checked, built, self.boards.keep)
        losses = healthy(strategy, self.device, checked, built.artifact, before)
        self._to("activating", reference=reference, losses=losses, soaks_until=_now())

    def _made_for(self, board: Device) -> tuple[Checked, Build]:
        """The recipe for this board, and the artifact of it."""
        _ = board.hello  # what is wrong with the way there has nothing to do with the recipe
        try:
            checked = self.boards.work.on(self.device, board)
            return checked, self.boards.work.build(checked)
        except InputError as exc:
            raise DeviceError(exc.where, exc.what, exc.remedy, kind=UNFIT) from exc

    def _soak(self) -> None:
        seconds = self.boards.strategy.soak
        if seconds is None:
            self._to("healthy", failure=None, reason="")
            return
        until = _now() + datetime.timedelta(seconds=seconds)
        self._to("soaking", failure=None, reason="", soaks_until=until)

    def look_again(self) -> None:
        if self.row.state == "rolling back":
            self.go_back()
            return
        work, strategy = self.boards.work, self.boards.strategy
        with connect(self.device.target, self.address) as board:
            checked, built = self._made_for(board)
            self._hold(board)
            if built.artifact.id != self.row.artifact_id:
                what = "the recipe makes another release by now than this device has"
                raise DeviceError(board.address, what, "begin another roll-out")
            current = board.status().current
            if current != self.row.artifact_id:
                what = f"somebody made {(current or 'nothing')[:12]} its current release"
                raise DeviceError(board.address, what, "see who works on it")
            try:
                proven(work, checked, built, self.boards.keep)
                losses = healthy(strategy, self.device, checked, built.artifact, self.row.before)
            except EdgeqError as error:
                if class_of(error) not in ("artifact", "model") or not self.has_before:
                    raise
                failure = class_of(error)
                self._to("rolling back", failure=failure, reason=f"at its soak's end: {error}")
                self._restore(board)
                return
        self._to("healthy", losses=losses, failure=None, reason="")

    def go_back(self) -> None:
        if not self.has_before:
            return
        if self.row.state != "rolling back":
            self._to("rolling back")
        with connect(self.device.target, self.address) as board:
            self._hold(board)
            self._restore(board)

    def _restore(self, board: Device) -> None:
        assert self.row.before is not None
        # What somebody else made current meanwhile is not ours to take away.
        if board.status().current == self.row.artifact_id:
            board.restore(self.row.before, trust.signers(self.device.target), self._generation)
        # What made it go back stays; trouble on the way is over.
        over = {} if self.row.failure in AGAINST else {"failure": None, "reason": ""}
        self._to("rolled back", soaks_until=None, **over)

    @property
    def has_before(self) -> bool:
        """Whether there is a release to go back to."""
        return self.row.before is not None and self.row.before != self.row.artifact_id

    @property
    def _generation(self) -> int:
        return self.boards.journal.lease.generation

    def _hold(self, board: Device) -> None:
        """Nobody else changes the board until the session ends, no older controller after it."""
        board.lock(f"roll-out {self.boards.journal.lease.rollout}")
        board.claim(self._generation)

    def _to(self, state: DeviceState, **changed: Any) -> None:
        self.row = self.boards.journal.move(self.row, state, **changed)

    def _failed(self, error: EdgeqError) -> None:
        """Where it stands is what it stays: a release that was current goes on being it."""
        state: DeviceState = "rolling back" if self.row.state == "rolling back" else "failed"
        self._to(state, failure=self._held_against(class_of(error)), reason=str(error))

    def _put_off(self, error: EdgeqError) -> None:
        # What is decided has to be done by whoever reaches the board next.
        is_decided = self.row.state in ("activating", "rolling back", "soaking")
        state: DeviceState = self.row.state if is_decided else "deferred"
        self._to(state, failure=self._held_against("transient"), reason=str(error))

    def _held_against(self, failure: FailureClass) -> FailureClass:
        """What made it go back counts, whatever happens on the way."""
        is_bad = self.row.state == "rolling back" and self.row.failure in AGAINST
        return self.row.failure or failure if is_bad else failure


def _told(raised: Exception, device: FleetDevice) -> EdgeqError:
    """What went wrong on one device, which must not end the others."""
    if isinstance(raised, EdgeqError):
        return raised
    what = f"{type(raised).__name__}: {raised}"
    return EdgeqError(device.name, what, "this is a bug of edgeq, or its folder cannot be used")


def _is_over(error: EdgeqError, boards: Boards) -> bool:
    """Whether this controller has to end: another has the board, or the journal is gone."""
    if error.where == boards.store.where:
        return True
    if not isinstance(error, DeviceError) or error.kind != SUPERSEDED:
        return False
    try:
        boards.journal.beat()
    except EdgeqError:
        return True
    return False  # the board met a controller of another store, whose clock is ahead


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
