"""Many devices at once: what is done with one is done with each, and its outcome is a value."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Generic, TypeVar

from edgeq.device.asking import Prompt, Prompts
from edgeq.device.connection import Address, asking
from edgeq.device.session.bundle import bundle
from edgeq.device.ssh.shared import Shared
from edgeq.errors import DeviceError, EdgeqError, InputError
from edgeq.records.examination import Examination
from edgeq.spec.fleet.file import load
from edgeq.spec.fleet.fleet import Fleet, FleetDevice
from edgeq.spec.target import Target

T = TypeVar("T")
Act = Callable[[Target, Address], T]
"""What is done with a device: `edgeq.status`, or any other function of a target and an address."""

AT_ONCE = 32


@dataclass(frozen=True)
class FleetOutcome(Generic[T]):
    """What came of one device: a result, or the error that there is none of."""

    device: FleetDevice
    result: T | None = None
    error: EdgeqError | None = None

    @property
    def exit_code(self) -> int:
        """What a command ends with that meets this device alone."""
        if self.error is not None:
            return self.error.exit_code
        unfit = isinstance(self.result, Examination) and not self.result.ready
        return DeviceError.exit_code if unfit else 0


def run_on_fleet(
    fleet: str | Path | Fleet, act: Act[T], on: str = "all", at_once: int = AT_ONCE
) -> tuple[FleetOutcome[T], ...]:
    """Do something with every device that a label expression means, many of them at once.

    Outcomes are in the fleet's order. Whatever goes wrong with a device is the error of its
    outcome, and of no other. Passphrases are asked for once, by the thread that calls this; when
    it is interrupted, no more devices are begun, and those at work are left. Raises InputError(s)
    for the fleet and the expression.
    """
    loaded = fleet if isinstance(fleet, Fleet) else load(fleet)
    devices = loaded.select(on)
    crew = Crew(devices, lambda device, address: act(device.target, address))
    found = {outcome.device.name: outcome for outcome in crew.outcomes(at_once)}
    return tuple(found[device.name] for device in devices)


class Crew(Generic[T]):
    """Threads that take devices one after another, and tell the calling one what came of them.

    `shared` is what their connections have in common, where they are not all of them.
    """

    def __init__(
        self,
        devices: Sequence[FleetDevice],
        act: Callable[[FleetDevice, Address], T],
        shared: Shared | None = None,
    ) -> None:
        self._devices = devices
        self._act = act
        self._shared = shared
        self._left = iter(range(len(devices)))
        self._taking = threading.Lock()
        self._over = threading.Event()
        self._news: SimpleQueue[Prompt | FleetOutcome[T]] = SimpleQueue()

    def outcomes(self, at_once: int) -> Iterator[FleetOutcome[T]]:
        """What came of each device, as it comes; whoever stops asking has no more begun."""
        bundle()  # made once, and not by every thread
        left = len(self._devices)
        ask = asking()
        questions = None if ask is None else Prompts(self._news.put, self._over)
        own = Shared(questions) if self._shared is None else nullcontext(self._shared)
        with own as shared:
            try:
                for number in range(min(at_once, len(self._devices))):
                    name = f"edgeq-fleet-{number}"
                    # A device that hangs must not keep the process from ending.
                    threading.Thread(
                        target=self._work, args=(shared,), name=name, daemon=True
                    ).start()
                while left:
                    news = self._news.get()
                    if isinstance(news, Prompt):
                        assert ask is not None
                        news.put(ask)
                    else:
                        left -= 1
                        yield news
            finally:
                self._over.set()

    def _work(self, shared: Shared) -> None:
        while not self._over.is_set():
            with self._taking:
                number = next(self._left, None)
            if number is None:
                return
            self._news.put(self._outcome(self._devices[number], shared))

    def _outcome(self, device: FleetDevice, shared: Shared) -> FleetOutcome[T]:
        address = Address(device.address, device.identity, device.jump, device.host_key, shared)
        try:
            return FleetOutcome(device, self._act(device, address))
        except EdgeqError as exc:
            return FleetOutcome(device, error=exc)
        except OSError as exc:  # edgeq's own folders: full, read-only, or not to be made
            where, what = str(exc.filename or "disk"), exc.strerror or str(exc)
            remedy = "see that $EDGEQ_HOME is a folder with space that you may write to"
            error: EdgeqError = InputError(where, what, remedy)
            error.__cause__ = exc
        except BaseException as exc:  # whatever it is, the others go on
            remedy = "this is a bug of edgeq, or of what it was told to run"
            error = EdgeqError(device.name, f"{type(exc).__name__}: {exc}", remedy)
            error.__cause__ = exc
        return FleetOutcome(device, error=error)
