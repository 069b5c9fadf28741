"""How fast is sent: many senders keep one rate together."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

_AT_ONCE_S = 0.05
"""Of the rate, by one sender: 256 of them take turns in 13 s, and a device that hears nothing in
the middle of a file hangs up after 30 s."""


class Pace:
    """A rate in bytes a second, for all threads that send by it.

    What goes out until any moment is at most what the rate allows until then, and one piece of each
    sender more. `within` is the pace of more senders, which holds too.
    """

    def __init__(
        self,
        bytes_per_s: float,
        within: Pace | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._rate = bytes_per_s
        self._within = within
        self._clock = clock
        self._sleep = sleep
        self._next = clock()
        self._reserving = threading.Lock()

    @property
    def piece_bytes(self) -> int:
        """What may be sent in one go, so that nobody waits long for the next one."""
        own = max(1, int(self._rate * _AT_ONCE_S))
        return own if self._within is None else min(own, self._within.piece_bytes)

    def wait(self, size: int) -> None:
        """Wait until so many bytes may be sent, which are then taken for sent."""
        self._sleep(max(0.0, self._reserved(size) - self._clock()))

    def _reserved(self, size: int) -> float:
        with self._reserving:
            at = max(self._next, self._clock())
            self._next = at + size / self._rate
        return at if self._within is None else max(at, self._within._reserved(size))
