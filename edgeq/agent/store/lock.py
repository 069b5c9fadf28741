"""The lock of a root: flock on a file that is never removed, freed by the kernel whatever happens.

The file says who holds it, for people and for other sessions.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import time
from typing import TYPE_CHECKING, Any, Dict, Optional

from ..errors import LOCKED, AgentError

if TYPE_CHECKING:
    from pathlib import Path

    from ..wire.frames import Wire

_SILENT_S = 10.0
_SILENT_WAIT_S = 60.0
# Somebody who only looks (`holder`) may have it for an instant.
_SHORTEST_WAIT_S = 0.3
_STEP_S = 0.05


class Lock:
    """This session's hold on a root: `mode` is None, 'shared' or 'exclusive'."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.mode: Optional[str] = None
        self._fd: Optional[int] = None
        self._own: Dict[str, Any] = {}

    def acquire(self, wire: Wire, who: str, what: str, *, shared: bool, wait_s: float) -> None:
        """Take the lock, waiting up to `wait_s`, and longer for a holder whose host is silent.

        AgentError (locked) names the holder.
        """
        if self._fd is None:
            self._fd = _open(self.path)
        start_s = time.monotonic()
        operation = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        mode = "shared" if shared else "exclusive"
        if mode != self.mode:
            # Changing a lock gives the old one up first, so that nothing is left to fall back to.
            self.mode = None
            while not _try(self._fd, operation):
                waited_s = time.monotonic() - start_s
                limit_s = max(wait_s, _SHORTEST_WAIT_S)
                if self._is_holder_silent():
                    limit_s = max(limit_s, _SILENT_WAIT_S)
                if waited_s >= limit_s:
                    self.release()
                    raise self._locked()
                wire.watch((), _STEP_S)
            self.mode = mode
        self._own = {}
        if who or what:
            since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            record = {"who": who, "what": what, "pid": os.getpid(), "since": since}
            self._own = {**record, "shared": shared}
            _write(self._fd, self._own)

    def release(self) -> None:
        """Give the lock up, as the end of the process does."""
        fd, self._fd, self.mode = self._fd, None, None
        if fd is not None:
            os.close(fd)

    def touch(self) -> None:
        """Show that the host of this session is heard; only by the thread that beats."""
        # The other thread may give the lock up at any moment.
        fd = self._fd
        if fd is not None and self.mode is not None:
            with contextlib.suppress(OSError):
                os.utime(fd)

    def holder(self) -> Optional[Dict[str, Any]]:
        """Who holds the lock now, None for nobody."""
        if self.mode is not None:
            return self._own or None
        try:
            fd = os.open(str(self.path), os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            # For an instant it is this session's, which nobody minds who tries for longer.
            is_free = _try(fd, fcntl.LOCK_EX)
        finally:
            os.close(fd)
        return None if is_free else self._record()

    def _record(self) -> Dict[str, Any]:
        """What the holder said of itself; of one that said nothing that much."""
        try:
            record = json.loads(self.path.read_bytes().decode("utf-8"))
        except (OSError, ValueError):
            record = None
        # A record outlives its session; what it says of a process that is no more is not true.
        is_true = isinstance(record, dict) and _is_running(record.get("pid"))
        return record if is_true else {"who": "another session"}

    def _is_holder_silent(self) -> bool:
        try:
            age_s = time.time() - self.path.stat().st_mtime
        except OSError:
            return False
        return age_s > _SILENT_S

    def _locked(self) -> AgentError:
        record = self._record()
        who = record.get("who") or "another session"
        what = f" ({record['what']})" if record.get("what") else ""
        since = f" since {record['since']}" if record.get("since") else ""
        said = f"{who} is using this device{what}{since}"
        return AgentError(LOCKED, str(self.path), said, "wait until that has ended, or stop it")


def _open(path: Path) -> int:
    try:
        return os.open(str(path), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as exc:
        # What only reads may share a root that cannot be written to.
        if exc.errno not in (errno.EROFS, errno.EACCES) or not path.exists():
            raise
        return os.open(str(path), os.O_RDONLY | os.O_CLOEXEC)


def _try(fd: int, operation: int) -> bool:
    try:
        fcntl.flock(fd, operation | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


# The lock is held all the same: opened for reading only, or on a disk that is full.
_UNWRITABLE = (errno.EBADF, errno.EINVAL, errno.ENOSPC, errno.EDQUOT)


def _write(fd: int, record: Dict[str, Any]) -> None:
    content = json.dumps(record).encode("ascii") + b"\n"
    try:
        os.ftruncate(fd, 0)
        os.pwrite(fd, content, 0)
    except OSError as exc:
        if exc.errno not in _UNWRITABLE:
            raise


def _is_running(pid: object) -> bool:
    if not isinstance(pid, int) or pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True
