"""The verb `serve`: one session, requests worked off in order until the host hangs up."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any, Callable, Dict, Optional

from . import jobs
from .errors import BAD_REQUEST, BUG, OUT_OF_MEMORY, AgentError, of_os_error
from .processes import child
from .store import (
    blobs,
    collect,
    generation,
    holding,
    installation,
    releases,
    room,
    sets,
    signature,
    states,
    workfiles,
)
from .store.layout import Layout, filesystem, free_bytes, nearest
from .store.session import AgentSession
from .wire.arguments import Arguments
from .wire.frames import Gone, Request, Wire

BEAT_S = 5.0
_TICK_S = 2.5
_MAX_SIGNERS_BYTES = 1 << 20
_SAME_EDGEQ = "host and agent must be of one edgeq"

Operation = Callable[[AgentSession, Arguments], Optional[Dict[str, Any]]]

_WITH_RAW_BYTES = ("put",)
OPERATIONS: Dict[str, Operation] = {
    "lock": holding.hold,
    "patience": holding.be_patient,
    "status": holding.status,
    "forget": holding.forget,
    "have": blobs.have,
    "recheck": blobs.recheck,
    "put": blobs.put,
    "commit": blobs.commit_all,
    "set": sets.remember,
    "room": room.room,
    "release": releases.release,
    "activate": states.activate,
    "rollback": states.roll_back,
    "claim": generation.claim,
    "restore": states.restore,
    "signers": signature.keep_signers,
    "collect": collect.collect_now,
    "environment": installation.build,
    "job": jobs.job,
    "get": workfiles.get,
    "blob": workfiles.blob,
    "remove": workfiles.remove,
}
"""What works off each request; one that answers by itself returns None."""


def serve(root: Path) -> None:
    """Work off one session on standard input and output, which nothing else can write to."""
    sys.stdout.flush()
    wire = Wire(0, os.dup(1))
    os.dup2(2, 1)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    for name in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(name, _end)
    session = AgentSession(root, wire)
    try:
        wire.send(_ready(session))
        threading.Thread(target=_beat, args=(session,), daemon=True).start()
        work_off(session)
    except Gone as exc:
        _say_why(exc)


def work_off(session: AgentSession) -> None:
    """Answer requests in order until the end of input; raises Gone."""
    while True:
        request = session.wire.request()
        if request is None:
            return
        _answer(session, request)


def _answer(session: AgentSession, request: Request) -> None:
    """Send exactly one answer; only Gone gets through."""
    try:
        if request.problem:
            raise AgentError(BAD_REQUEST, "request", request.problem, _SAME_EDGEQ)
        if request.op not in _WITH_RAW_BYTES:
            session.wire.drain()
        answer = _operation(request.op)(session, Arguments(request.op, request.fields))
    except AgentError as exc:
        session.wire.drain()
        session.wire.send({"error": {"kind": exc.kind, "message": exc.message}})
    except Gone:
        raise
    except Exception as exc:
        problem = _unexpected(request.op, exc)
        session.wire.drain()
        session.wire.send({"error": {"kind": problem.kind, "message": problem.message}})
    else:
        session.wire.drain()
        if answer is not None:
            session.wire.send({"ok": answer})


def _unexpected(op: str, exc: Exception) -> AgentError:
    problem = of_os_error(exc) if isinstance(exc, OSError) else None
    if problem is not None:
        return problem
    if isinstance(exc, MemoryError):
        remedy = "free some and try again"
        return AgentError(OUT_OF_MEMORY, op, "the device has no memory left", remedy)
    # With what is there already: nothing more can be imported when files or memory have run out.
    sys.excepthook(type(exc), exc, exc.__traceback__)
    trace = exc.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else "nowhere"
    where = f"{op} ({place.rpartition('/')[2]})"
    return AgentError(BUG, where, f"{type(exc).__name__}: {exc}", "report it")


def _operation(op: str) -> Operation:
    if op not in OPERATIONS:
        raise AgentError(BAD_REQUEST, op[:60], "is no operation", _SAME_EDGEQ)
    return OPERATIONS[op]


def _beat(session: AgentSession) -> None:
    """Tell the host that this side lives, and other sessions that the host does."""
    wire, said_s = session.wire, time.monotonic()
    while True:
        # A host that is less patient is told more often.
        beat_s = min(BEAT_S, wire.patience_s / 4)
        wire.patience_changed.wait(min(_TICK_S, beat_s / 2))
        wire.patience_changed.clear()
        # While it works rather than waits, it cannot hear the host, who then is not silent.
        if not wire.is_waiting or time.monotonic() - wire.heard_s < BEAT_S + _TICK_S:
            session.lock.touch()
        if time.monotonic() - said_s > beat_s * 0.9:
            said_s = time.monotonic()
            try:
                wire.send({"alive": 1})
            except Gone as exc:
                child.kill_all()
                _say_why(exc)
                os._exit(0)


def _say_why(gone: Gone) -> None:
    """Without a word the end would look as if the system had killed this."""
    with contextlib.suppress(OSError):
        os.write(2, f"{gone}\n".encode())


def machine_name(machine: str, maxsize: int) -> str:
    """The kernel's machine, and that the programs on it are of another kind where they are."""
    return machine if maxsize > 2**32 else f"{machine} (32-bit Python)"


def _ready(session: AgentSession) -> Dict[str, Any]:
    root = session.layout.root
    flags = filesystem(root).f_flag
    return {
        "edgeq": "ready",
        "python": sys.version.split()[0],
        "executable": sys.executable,
        "root": str(root),
        "machine": machine_name(os.uname().machine, sys.maxsize),
        "libc": _libc(),
        "clock_unix_s": time.time(),
        "pid": os.getpid(),
        "read_only": bool(flags & os.ST_RDONLY),
        "noexec": bool(flags & os.ST_NOEXEC),
        "writable": os.access(str(nearest(root)), os.W_OK | os.X_OK),
        "free_bytes": free_bytes(root),
        "ssh_keygen": _is_installed("ssh-keygen"),
        "signers": _signers(session.layout),
        "environment": session.layout.environment(),
    }


def _is_installed(program: str) -> bool:
    # As shutil.which, for what may be started there.
    return any(os.access(f"{folder}/{program}", os.X_OK) for folder in os.get_exec_path())


def _signers(layout: Layout) -> Optional[str]:
    """The device's own list of signers; one that cannot be read is a list of nobody."""
    if not layout.is_signed_only:
        return None
    try:
        with layout.allowed_signers.open("rb") as stream:
            return stream.read(_MAX_SIGNERS_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""


def _libc() -> Optional[str]:
    try:
        return os.confstr("CS_GNU_LIBC_VERSION")
    except (ValueError, OSError):
        return None


def _end(number: int, frame: object) -> None:
    child.kill_all()
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
