"""How this machine reaches a device: run an argument list, put and get bytes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class Completed:
    """A command that ended: exit status, standard output and the end of standard error."""

    status: int
    stdout: str
    stderr: str


class Transport(Protocol):
    """The way to one device. Paths are the device's, absolute, as text."""

    address: str
    """how to name the device in messages and reports"""
    python: str
    """the interpreter that the agent runs under, on the device"""

    def root(self, configured: str) -> str:
        """The target's root folder with `~` expanded on the device."""
        ...

    def run(
        self, arguments: Sequence[str], on_line: Callable[[str], None] | None = None
    ) -> Completed:
        """Run a command to its end; `on_line` sees each line of its output as it comes.

        With `on_line` nothing is kept in `stdout`. Raises DeviceError when the device cannot be
        reached; a failing command is a status. A KeyboardInterrupt ends the command too.
        """
        ...

    def put(self, content: Path | bytes, path: str) -> None:
        """Write a file, whole or not at all; its folder has to exist. Raises DeviceError."""
        ...

    def get(self, path: str) -> bytes:
        """Read a file. Raises DeviceError."""
        ...
