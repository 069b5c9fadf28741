"""The controller of a roll-out: wave after wave, until all have the release or something stops it.

It works in threads of its own; what happens is told as events, in the order of the journal.
"""

from __future__ import annotations

import datetime
import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Protocol

from edgeq.device.asking import Prompt, Prompts
from edgeq.device.connection import Address, asking
from edgeq.device.ssh.shared import Shared
from edgeq.errors import EdgeqError
from edgeq.records.rollout import (
    BACKWARD,
    ENDED,
    DeviceProgress,
    RolloutEvent,
    RolloutState,
)
from edgeq.rollout.approval import refusal
from edgeq.rollout.halt import INTERRUPTED, Halt, unfinished, with_progress, without_progress
from edgeq.rollout.memory import keep_little
from edgeq.rollout.stopping import reason_to_stop, trouble
from edgeq.spec.fleet.fleet import FleetDevice
from edgeq.spec.strategy import Strategy
from edgeq.store import rollouts
from edgeq.store.journal import RolloutJournal
from edgeq.store.rollouts import LEASE_S, Lease
from edgeq.store.runs import Store
from edgeq.verbs.fleet import Crew

Step = Callable[[DeviceProgress, FleetDevice, Address], DeviceProgress]


class Steps(Protocol):
    """What is done with a board, in a thread of its own; see `Boards`.

    Each writes down what it does before it does it, and returns how the board stands then. What is
    raised ends the controller.
    """

    def install(self, row: DeviceProgress, device: FleetDevice, at: Address) -> DeviceProgress:
        """Put the release on it, and make it current if it is no worse there."""
        ...

    def look_again(self, row: DeviceProgress, device: FleetDevice, at: Address) -> DeviceProgress:
        """At the end of its soak."""
        ...

    def go_back(self, row: DeviceProgress, device: FleetDevice, at: Address) -> DeviceProgress:
        """Make the release before current again."""
        ...


_BEAT_S = LEASE_S / 30
_LOOK_S = 0.2


class Controller:
    """Works on one roll-out, while it has the lease."""

    def __init__(
        self,
        store: Store,
        lease: Lease,
        devices: Mapping[str, FleetDevice],
        strategy: Strategy,
        steps: Callable[[RolloutJournal], Steps],
    ) -> None:
        self._store = store
        self._lease = lease
        self._devices = devices
        self._strategy = strategy
        self._steps = steps
        known = rollouts.status(store, lease.rollout)
        self._began_as = known
        self._rows = {row.device: row for row in known.devices}
        self._evidence = sum(row.is_evidence for row in known.devices)
        self._bad = sum(row.is_bad for row in known.devices)
        self._approved = known.approved
        self._halt: Halt | None = None
        self._error: BaseException | None = None
        self._over = threading.Event()
        self._phase: RolloutState = "running"
        self._why = ""
        self._ask = asking()
        self._asked: SimpleQueue[Prompt] = SimpleQueue()

    @property
    def rollout(self) -> str:
        """Its id."""
        return self._lease.rollout

    def run(self) -> Generator[RolloutEvent, None, None]:
        """Work until it is done or halted, and yield what happens.

        Who stops asking, or is interrupted, has it paused: what boards are doing at that moment is
        gone on with by who resumes it. Raises DeviceError (superseded) when another controller took
        it over, InputError when the store fails; then too nothing is lost.
        """
        keep_little()
        with RolloutJournal(self._store, self._lease) as journal:
            worker = threading.Thread(
                target=self._work_through, args=(journal,), name="edgeq-rollout", daemon=True
            )
            heart = threading.Thread(target=self._beat, args=(journal,), daemon=True)
            worker.start()
            heart.start()
            try:
                while worker.is_alive() or not journal.events.empty():
                    self._put_questions()
                    try:
                        yield journal.events.get(timeout=_LOOK_S)
                    except Empty:
                        continue
            except GeneratorExit:
                self._ask_to_halt(Halt("paused", INTERRUPTED))
                worker.join()
                raise
            except BaseException:
                self._leave(journal)
                raise
            finally:
                self._over.set()
                heart.join()
            if self._error is not None:
                raise self._error

    def _put_questions(self) -> None:
        while self._ask is not None and not self._asked.empty():
            self._asked.get().put(self._ask)

    def _leave(self, journal: RolloutJournal) -> None:
        """Somebody wants this process to end now."""
        self._ask_to_halt(Halt("paused", INTERRUPTED))
        state: RolloutState = "paused" if self._phase == "running" else self._phase
        self._over.set()
        with suppress(EdgeqError):  # the lease runs out by itself
            journal.settle(state, with_progress(self._why, INTERRUPTED), release=True)

    # The heart's thread.

    def _beat(self, journal: RolloutJournal) -> None:
        while not self._over.is_set():
            try:
                wanted, self._approved = journal.beat()
            except BaseException as error:
                self._fail(error)
                return
            if self._phase in BACKWARD:
                pass  # which goes on to its end
            elif wanted == "pause":
                self._ask_to_halt(Halt("paused", "as asked for"))
            elif wanted == "abort":
                self._ask_to_halt(Halt("aborted", "as asked for"))
            self._over.wait(_BEAT_S)

    def _fail(self, error: BaseException) -> None:
        self._error = self._error or error
        self._ask_to_halt(Halt("paused", str(error)))

    def _ask_to_halt(self, halt: Halt) -> None:
        # A reason to stop outweighs that somebody wants a pause.
        if self._halt is None or (halt.state == "stopped" and self._error is None):
            self._halt = halt

    # Everything below runs in the worker's thread, or in those of its crew.

    def _work_through(self, journal: RolloutJournal) -> None:
        try:
            state, reason = self._outcome(journal)
            if self._error is None:
                journal.settle(state, reason, release=True)
        except BaseException as error:
            self._fail(error)

    def _outcome(self, journal: RolloutJournal) -> tuple[RolloutState, str]:
        self._journal, self._do = journal, self._steps(journal)
        questions = None if self._ask is None else Prompts(self._asked.put, self._over)
        # For all waves: nobody is asked for a passphrase again in the middle of the night.
        with Shared(questions) as self._shared:
            return self._went()

    def _went(self) -> tuple[RolloutState, str]:
        began = self._began_as
        if began.state in BACKWARD:
            # Nobody says why a release is taken back that did not stop by itself.
            why = without_progress(began.reason) if began.state == "stopping" else ""
            return self._backward(began.state, why)
        try:
            self._forward()
        except Halt as halt:
            if halt.state != "stopped":
                return halt.state, halt.reason
            self._phase = "stopping"  # from here on nobody pauses it
            self._halt = None
            return self._backward("stopping", halt.reason)
        open_ones = [row for row in self._rows.values() if row.state not in (*ENDED, "deferred")]
        return ("paused", unfinished(open_ones)) if open_ones else ("done", "")

    def _forward(self) -> None:
        self._look()  # who found the reason to stop may have died before it was written
        self._require_going()
        for number in range(len(self._began_as.waves)):
            self._wave(number)
        later = [row for row in self._rows.values() if row.state == "deferred"]
        self._each(self._do.install, later)
        self._soaked([row.device for row in later])

    def _wave(self, number: int) -> None:
        """Install, soak, look again; then whether the next one may begin."""
        names = [row.device for row in self._rows.values() if row.wave == number]
        going = [row for name in names if (row := self._rows[name]).state == "rolling back"]
        self._each(self._do.go_back, going)
        todo = [
            row
            for row in map(self._rows.__getitem__, names)
            if row.state not in (*ENDED, "deferred", "soaking", "rolling back")
        ]
        is_new = bool(todo) or any(self._rows[name].state == "soaking" for name in names)
        if number and todo and all(row.state == "pending" for row in todo):
            self._await_approval(number)
        self._each(self._do.install, todo)
        self._soaked(names)
        # Also by who goes on where the end of a wave was reached and nobody looked any more.
        so_far = [row for row in self._rows.values() if row.wave <= number]
        reason = reason_to_stop(self._strategy, so_far, wave=number)
        if reason:
            raise Halt("stopped", reason)
        reason = trouble(self._strategy, [self._rows[name] for name in names])
        if reason and is_new:
            raise Halt("paused", f"{self._began_as.waves[number]}: {reason}")

    def _each(self, step: Step, rows: Sequence[DeviceProgress]) -> None:
        """A step with each device, many side by side; none is begun once there is a halt."""
        devices = [self._devices[row.device] for row in rows]

        def act(device: FleetDevice, address: Address) -> DeviceProgress | None:
            is_new = step == self._do.install
            begins = self._may_begin() if is_new else self._halt is None
            return step(self._rows[device.name], device, address) if begins else None

        crew = Crew(devices, act, self._shared)
        for outcome in crew.outcomes(self._strategy.at_once) if rows else ():
            if outcome.error is not None:
                self._fail(outcome.error)
            if outcome.result is not None:
                self._keep(outcome.result)
                if step != self._do.go_back:
                    self._look()
        self._require_going()

    def _keep(self, row: DeviceProgress) -> None:
        before = self._rows[row.device]
        self._evidence += row.is_evidence - before.is_evidence
        self._bad += row.is_bad - before.is_bad
        self._rows[row.device] = row

    def _look(self) -> None:
        # At each of thousands: all are gone through only where there is a reason.
        if not self._bad or self._bad < self._strategy.rule.fewest(self._evidence):
            return
        reason = reason_to_stop(self._strategy, self._rows.values())
        if reason and self._phase not in BACKWARD:
            self._ask_to_halt(Halt("stopped", reason))
            # Before those at work are done: should this controller die, they must not undo it.
            self._enter("stopping", reason)

    def _may_begin(self) -> bool:
        """Whether a device may be begun, once its hour has come."""
        while self._halt is None:
            if self._strategy.is_open(datetime.datetime.now().time()):
                return True
            self._over.wait(_BEAT_S)
        return False

    def _require_going(self) -> None:
        if self._halt is not None:
            raise self._halt

    def _soaked(self, names: Sequence[str]) -> None:
        """Wait until each has run the release for as long as it should, then look again."""
        soaking = [row for name in names if (row := self._rows[name]).state == "soaking"]
        for row in soaking:
            while row.soaks_until and datetime.datetime.now(datetime.UTC) < row.soaks_until:
                self._require_going()
                self._over.wait(_LOOK_S)
        self._each(self._do.look_again, soaking)

    def _await_approval(self, number: int) -> None:
        approval = self._strategy.approval
        wave = self._began_as.waves[number]
        if approval.by == "nobody" or self._approved >= number:
            return
        if approval.by == "command":
            what = refusal(approval.command, rollouts.status(self._store, self.rollout))
            if what:
                raise Halt("paused", f"{wave} is not approved: {what}")
            return
        self._enter("waiting", f"{wave} waits: edgeq rollout approve {self.rollout}")
        while self._approved < number:
            self._require_going()
            self._over.wait(_LOOK_S)
        self._enter("running")

    def _enter(self, phase: RolloutState, reason: str = "") -> None:
        if (phase, reason) != (self._phase, self._why):
            self._journal.settle(phase, reason)
        self._phase, self._why = phase, reason

    def _backward(self, phase: RolloutState, reason: str) -> tuple[RolloutState, str]:
        """What the strategy wants to follow a stop, or all devices, as somebody asked for."""
        then = self._strategy.stop.then
        if phase == "stopping" and then == "halt":
            return "stopped", reason
        self._enter(phase, reason)
        begun = [row.wave for row in self._rows.values() if row.state != "pending"]
        is_wave = phase == "stopping" and then == "roll-back-wave"
        first = max(begun, default=0) if is_wave else 0
        rows = [row for row in self._rows.values() if row.wave >= first and row.may_have_it]
        try:
            self._each(self._do.go_back, rows)
        except Halt as halt:  # it is gone on with in the same direction
            return phase, with_progress(reason, halt.reason)
        left = [row for row in self._rows.values() if row.wave >= first and row.may_have_it]
        if left:
            return phase, with_progress(reason, unfinished(left))
        return ("stopped" if phase == "stopping" else "rolled back"), reason
