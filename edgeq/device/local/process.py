"""A child process of this machine, in a process group of its own."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence

from edgeq.device.transport import STDERR_TAIL, ProcessEnd
from edgeq.errors import INPUT_CLOSED, NO_COMMANDS, DeviceError

_CHUNK = 1 << 20
_GRACE_S = 2.0
_LOOK_S = 0.1
"""How often a waiting thread looks whether another one closed the process."""


class LocalProcess:
    """See `Process`."""

    def __init__(self, address: str, arguments: Sequence[str]) -> None:
        self.address = address
        self._name = arguments[0]
        self._closing = threading.Event()
        # Each guards its pipe: a descriptor that is closed while another thread waits for it
        # could be another file's by then.
        self._writing, self._reading = threading.Lock(), threading.Lock()
        self._closed = threading.Lock()
        # A file takes whatever comes; a pipe that nobody reads would stop the process.
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115  (closed by close)
        try:
            self._process = subprocess.Popen(
                list(arguments),
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._stderr,
                process_group=0,
            )
        except BaseException as exc:
            self._stderr.close()
            if not isinstance(exc, OSError):
                raise
            what = f"cannot run {self._name}: {exc}"
            raise DeviceError(self.address, what, kind=NO_COMMANDS) from exc
        assert self._process.stdin is not None and self._process.stdout is not None
        self._stdin, self._stdout = self._process.stdin, self._process.stdout
        os.set_blocking(self._stdin.fileno(), False)

    def write(self, data: bytes | memoryview) -> None:
        """See `Process.write`."""
        view = memoryview(data).cast("B")
        with self._writing:
            while len(view):
                if self._closing.is_set() or self._stdin.closed:
                    raise self._deaf()
                try:
                    view = view[os.write(self._stdin.fileno(), view) :]
                except BlockingIOError:
                    _wait(self._stdin.fileno(), select.POLLOUT, _LOOK_S)
                except OSError as exc:
                    raise self._deaf() from exc

    def read(self, timeout_s: float) -> bytes | None:
        """See `Process.read`."""
        deadline = time.monotonic() + timeout_s
        with self._reading:
            while True:
                if self._closing.is_set():
                    return b""
                left_s = max(0.0, deadline - time.monotonic())
                if _wait(self._stdout.fileno(), select.POLLIN, min(left_s, _LOOK_S)):
                    return os.read(self._stdout.fileno(), _CHUNK)
                if left_s == 0:
                    return None

    def ended(self, timeout_s: float) -> ProcessEnd:
        """See `Process.ended`."""
        status: int | None = None
        with contextlib.suppress(subprocess.TimeoutExpired):
            status = self._process.wait(timeout_s)
        return ProcessEnd(status if status is None or status >= 0 else None, self._tail())

    def close(self) -> None:
        """See `Process.close`."""
        self._closing.set()
        with self._closed:
            with self._writing, contextlib.suppress(OSError):
                self._stdin.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_GRACE_S)
            # Also what it started itself and left behind.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            with self._reading:
                self._stdout.close()
            self._stderr.close()

    def _tail(self) -> str:
        if self._stderr.closed:
            return ""
        size = os.fstat(self._stderr.fileno()).st_size
        # At most four bytes a character; read at a place, the writers' own place stays.
        wanted = min(size, 4 * STDERR_TAIL)
        found = os.pread(self._stderr.fileno(), wanted, size - wanted)
        return found.decode(errors="replace")[-STDERR_TAIL:]

    def _deaf(self) -> DeviceError:
        return DeviceError(self.address, f"{self._name} no longer reads", kind=INPUT_CLOSED)


def _wait(descriptor: int, event: int, timeout_s: float) -> bool:
    poll = select.poll()
    poll.register(descriptor, event)
    return bool(poll.poll(timeout_s * 1000))
