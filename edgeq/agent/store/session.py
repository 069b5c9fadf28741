"""What one session remembers: its wire, its lock, and what it has put and named."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from ..errors import NOT_LOCKED, AgentError
from ..wire.frames import Wire
from . import disk
from .layout import Layout
from .lock import Lock


class Whole(NamedTuple):
    """A part that this session received completely, and how to see that nobody touched it since."""

    path: Path
    inode: int
    size_bytes: int
    mtime_ns: int


class AgentSession:
    """The state of one session; everything else is on the disk."""

    def __init__(self, root: Path, wire: Wire) -> None:
        self.layout = Layout(root)
        self.wire = wire
        self.lock = Lock(self.layout.lock)
        self.whole: dict[str, Whole] = {}
        self.used: set[str] = set()
        self.damaged: set[str] = set()
        self.releases: set[str] = set()

    def prepare(self) -> None:
        """Make the folders of the root, before anything is written into one."""
        for folder in self.layout.folders:
            disk.make_folder(folder)

    def enter(self) -> None:
        """Before anything is changed: folders, and a lock; without one of its own a shared one.

        So nothing that this session needs is collected by another.
        """
        self.prepare()
        if self.lock.mode is None:
            self.lock.acquire(self.wire, "", "", shared=True, wait_s=0.0)

    def need_exclusive(self, op: str) -> None:
        """Raise AgentError (not-locked) unless this session is alone."""
        if self.lock.mode != "exclusive":
            what = "needs the exclusive lock, which this session does not hold"
            raise AgentError(NOT_LOCKED, op, what, "ask for the lock first")
