"""A child process in a group of its own, which ends with the session whatever happens to that."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from typing import BinaryIO, Callable, Mapping, NamedTuple, Sequence

from ..errors import GARBLED, AgentError
from ..wire.frames import PIECE_BYTES, Wire

MAX_LINE_BYTES = 64 << 20
_TAIL_BYTES = 4000
_STEP_S = 0.5
# What a process that is about to end gets for it, and what its own children may hold it up.
_GRACE_S = 5.0
_AFTERMATH_S = 0.2

# Asks the kernel to kill the child when this process dies, even of SIGKILL; the exec keeps that.
_TETHER = """
import os, sys
try:
    import ctypes
    ctypes.CDLL(None).prctl(1, 9, 0, 0, 0)
except Exception:
    pass
if os.getppid() != int(sys.argv[1]):
    os._exit(1)
os.execvp(sys.argv[2], sys.argv[2:])
"""

_groups: set[int] = set()


class Ended(NamedTuple):
    """How a child ended: its status (negative: the signal), and the end of what it said of it."""

    status: int
    errors: str

    @property
    def reason(self) -> str:
        """Signal or status, and the last line on standard error."""
        number = -self.status
        ended = f"status {self.status}" if number <= 0 else f"signal {number}"
        last = (self.errors.strip().splitlines() or ["nothing on standard error"])[-1]
        return f"{ended}; {last.strip()}"


def run(
    wire: Wire,
    arguments: Sequence[str],
    on_line: Callable[[bytes], bool],
    stdin: bytes = b"",
    environ: Mapping[str, str] | None = None,
) -> Ended:
    """Run a program to its end; each line on its standard output goes to `on_line`.

    Once that returns True the program has had its say and gets a few seconds to end. Raises
    Gone when the host does; the program is gone then, too.
    """
    with nameless(stdin) as content:
        process = subprocess.Popen(
            tethered(arguments),
            stdin=content,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environ,
            start_new_session=True,
        )
    _groups.add(process.pid)
    try:
        return _relay(wire, process, on_line)
    finally:
        # The group goes while its leader is at least a zombie: its number cannot be another's yet.
        _kill(process.pid)
        process.wait()
        _groups.discard(process.pid)
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()


def tethered(arguments: Sequence[str]) -> list[str]:
    """The command that runs a program which dies with this process, whatever kills that."""
    return [sys.executable, "-ISc", _TETHER, str(os.getpid()), *arguments]


def kill_all() -> None:
    """Kill every child and its children: this process is about to end."""
    for group in list(_groups):
        _kill(group)


def _relay(wire: Wire, process: subprocess.Popen[bytes], on_line: Callable[[bytes], bool]) -> Ended:
    assert process.stdout is not None and process.stderr is not None
    output, errors = process.stdout.fileno(), process.stderr.fileno()
    is_open = {output, errors}
    line, tail = bytearray(), b""
    deadline_s: float | None = None
    is_over = False
    while is_open:
        step_s = _AFTERMATH_S if deadline_s else _STEP_S
        for descriptor in wire.watch(sorted(is_open), step_s):
            chunk = os.read(descriptor, PIECE_BYTES)
            if not chunk:
                is_open.remove(descriptor)
            elif descriptor == errors:
                tail = (tail + chunk)[-_TAIL_BYTES:]
            else:
                line += chunk
                if b"\n" in chunk:
                    *whole, rest = bytes(line).split(b"\n")
                    line = bytearray(rest)
                    for one in whole:
                        if on_line(one):
                            deadline_s = time.monotonic() + _GRACE_S
                if len(line) > MAX_LINE_BYTES:
                    what = f"wrote a line of more than {MAX_LINE_BYTES} bytes"
                    raise AgentError(GARBLED, "job", what, "report it as a bug")
        if not is_over and is_open and _has_ended(process.pid):
            # Something it started may still hold its pipes open.
            is_over, deadline_s = True, time.monotonic() + _AFTERMATH_S
        if deadline_s is not None and time.monotonic() > deadline_s:
            _kill(process.pid)
            break
    if line:
        on_line(bytes(line))
    status = _wait(wire, process)
    return Ended(status, tail.decode("utf-8", "replace"))


def _wait(wire: Wire, process: subprocess.Popen[bytes]) -> int:
    """Wait for a program that has closed its pipes; it has no reason to go on for long."""
    deadline_s = time.monotonic() + _GRACE_S
    while not _has_ended(process.pid):
        if time.monotonic() > deadline_s:
            _kill(process.pid)
        wire.watch((), 0.02)
    _kill(process.pid)
    return process.wait()


def _has_ended(pid: int) -> bool:
    """Whether a child has ended, without burying it: its number stays its own."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _kill(group: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def nameless(content: bytes) -> BinaryIO:
    """A file without a name, in memory where the system can: no pipe that could fill up."""
    if hasattr(os, "memfd_create"):
        stream: BinaryIO = os.fdopen(os.memfd_create("edgeq"), "w+b")
    else:
        stream = tempfile.TemporaryFile("w+b")  # noqa: SIM115  the caller's
    stream.write(content)
    stream.seek(0)
    return stream
