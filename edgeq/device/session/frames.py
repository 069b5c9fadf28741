"""Frames as they come from a device: lines of JSON, and the raw bytes behind some of them."""

from __future__ import annotations

import time
from collections.abc import Callable

from edgeq.device.session.parsing import LONGEST_LINE, garbled
from edgeq.device.transport import Process


class Stream:
    """Lines and blocks of bytes out of what a process writes.

    `silence` is called at least once a second, and before each read, with the seconds in which
    nothing came.
    """

    def __init__(self, process: Process, where: str, silence: Callable[[float], None]) -> None:
        self._process = process
        self._where = where
        self._silence = silence
        self._heard_s = time.monotonic()
        self._buffer = bytearray()

    def line(self) -> bytes | None:
        """Up to and with the next newline; None at the end. DeviceError for one without end."""
        looked = 0
        while (end := self._buffer.find(b"\n", looked)) < 0:
            looked = len(self._buffer)
            if looked > LONGEST_LINE:
                raise garbled(self._where, f"it says a line of more than {LONGEST_LINE} bytes")
            if not self._more():
                return None
        return self._take(end + 1)

    def exactly(self, count: int) -> bytes | None:
        """That many bytes; None when it ends before."""
        while len(self._buffer) < count:
            if not self._more():
                return None
        return self._take(count)

    def _take(self, count: int) -> bytes:
        taken = bytes(self._buffer[:count])
        del self._buffer[:count]
        return taken

    def _more(self) -> bool:
        while True:
            self._silence(time.monotonic() - self._heard_s)
            piece = self._process.read(1.0)
            if piece is not None:
                self._heard_s = time.monotonic()
                self._buffer += piece
                return bool(piece)
