"""How this machine reaches a device: it starts processes there and talks over their pipes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

STDERR_TAIL = 4000
"""Characters that are kept of the end of standard error."""


@dataclass(frozen=True)
class ProcessEnd:
    """A process that ended."""

    status: int | None
    """the exit status; None when it was not told, as after a signal or while it still runs"""
    stderr: str
    """the last 4000 characters of standard error"""


class Process(Protocol):
    """A process on the device. One thread may write while another one reads."""

    def write(self, data: bytes | memoryview) -> None:
        """Hand bytes to its standard input; returns when they are taken.

        Raises DeviceError when the link is gone or the process no longer reads.
        """
        ...

    def read(self, timeout_s: float) -> bytes | None:
        """Some bytes of its standard output, b"" at the end, None when none came in time.

        Raises DeviceError when the link is gone.
        """
        ...

    def ended(self, timeout_s: float) -> ProcessEnd:
        """How it ended, to be asked after the end of its output. Raises DeviceError as `read`."""
        ...

    def close(self) -> None:
        """End the process and free what it took. Never raises; any thread may call it, twice."""
        ...


class Transport(Protocol):
    """The way to one device."""

    address: str
    """how to name the device in messages and reports, as the user wrote it"""
    python: str
    """the interpreter to start there"""

    def start(self, arguments: Sequence[str]) -> Process:
        """Start an argument list, quoted where a shell is in between.

        Raises DeviceError when the device cannot be reached or refuses to run anything.
        """
        ...

    def close(self) -> None:
        """End the connection. Never raises; any thread may call it, twice."""
        ...
