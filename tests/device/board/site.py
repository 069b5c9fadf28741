"""A network of boards of one's own: several processes may each have one at the same time."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from pathlib import Path
from typing import IO

from . import image
from .board import Board
from .cable import gateway, ip, up
from .disk import make_key

NETWORK = IPv4Network("10.77.0.0/16")
# networks are the machine's, so their locks are too; each holds the folder of its latest site
LOCKS = Path("/run/edgeq-boards")
BY_HAND = 0  # the slot of `python -m tests.device.board`, never taken by a test run
SLOTS = range(1, 16)
STARTED_AT_ONCE = 16
PATIENCE_S = 10.0


class Site:
    """One of sixteen bridges with the boards behind it; everything that it keeps is in `folder`."""

    def __init__(self, slot: int) -> None:
        self.slot = slot
        self.folder = image.cache() / "sites" / str(slot)
        self.bridge = f"edgeq{slot}"
        self.network = list(NETWORK.subnets(new_prefix=20))[slot]
        self.boards: list[Board] = []
        self._lock: IO[str] | None = None
        self._numbers = 0

    @classmethod
    def claim(cls) -> Site:
        """A free site, cleared of what a killed run left; RuntimeError when all are taken."""
        for slot in SLOTS:
            site = cls(slot)
            if site.open():
                return site
        raise RuntimeError(
            f"all {len(SLOTS)} networks of boards are in use by other processes;"
            f" see who holds the locks in {LOCKS}"
        )

    def open(self) -> bool:
        """Take the site and start its bridge; False when another process has it."""
        LOCKS.mkdir(exist_ok=True)
        lock = (LOCKS / str(self.slot)).open("a+")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            return False
        self._lock = lock
        lock.seek(0)
        for folder in {Path(lock.read() or self.folder), self.folder}:
            self._clear(folder)
        lock.truncate(0)
        lock.write(str(self.folder))
        lock.flush()
        self.folder.mkdir(parents=True)
        make_key(self.folder / "key")
        ip(f"link add {self.bridge} type bridge", *up(self.bridge, gateway(self.network)))
        return True

    def board(self, *, emulated: bool = True) -> Board:
        """A new board, powered off."""
        number, self._numbers = self._numbers, self._numbers + 1
        board = Board(
            number,
            folder=self.folder / str(number),
            address=self.address(number),
            cable=f"eq{self.slot}b{number}",
            bridge=self.bridge,
            base=image.build() if emulated else None,
        )
        self.boards.append(board)
        return board

    def start(self, count: int, *, emulated: bool = True) -> list[Board]:
        """New boards, powered on side by side."""
        boards = [self.board(emulated=emulated) for _ in range(count)]
        with ThreadPoolExecutor(STARTED_AT_ONCE) as pool:
            list(pool.map(Board.start, boards))
        return boards

    def stop(self, boards: list[Board]) -> None:
        """Remove boards and their disks."""
        with ThreadPoolExecutor(STARTED_AT_ONCE) as pool:
            list(pool.map(Board.stop, boards))
        self.boards = [board for board in self.boards if board not in boards]

    def close(self) -> None:
        """Remove every board and the site itself, for others to take."""
        self.stop(self.boards)
        self._clear(self.folder)
        if self._lock is not None:
            self._lock.close()

    def abandon(self) -> None:
        """Give up the site but leave its boards running, until someone opens it again."""
        if self._lock is not None:
            self._lock.close()

    def address(self, number: int) -> IPv4Interface:
        """Where a board is reached: 10.77.x.y, with the length of the network's prefix."""
        host = IPv4Address(self.network[0]) + number // 250 * 256 + number % 250 + 2
        return IPv4Interface(f"{host}/{self.network.prefixlen}")

    def _clear(self, folder: Path) -> None:
        """End and remove what was started in a folder, by this process or by an earlier one."""
        for pid in _leftovers(folder):
            children = Path(f"/proc/{pid}/task/{pid}/children")
            try:
                # the death of its first process ends all of a board
                for process in (*map(int, children.read_text().split()), pid):
                    os.kill(process, signal.SIGKILL)
            except (FileNotFoundError, ProcessLookupError):
                pass  # it has just ended by itself
        deadline = time.monotonic() + PATIENCE_S
        while any(_leftovers(folder)):
            if time.monotonic() > deadline:
                raise RuntimeError(f"processes of {folder} survive SIGKILL")
            time.sleep(0.01)
        if Path("/sys/class/net", self.bridge).exists():
            ip(f"link delete {self.bridge}")
        if folder.exists():
            shutil.rmtree(folder)


def _leftovers(folder: Path) -> Iterator[int]:
    """The processes that hold a board whose folder is in another, whoever started them."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().decode(errors="replace").split("\0")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if words[0] == "unshare" and any(word.startswith(f"{folder}/") for word in words):
            yield int(path.parent.name)
