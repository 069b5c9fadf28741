"""Running a program that may take minutes, abort, or eat all memory: watched, and ended in time."""

from __future__ import annotations

import contextlib
import os
import selectors
import subprocess
import time
from pathlib import Path
from typing import Callable, NamedTuple, Sequence

from ..errors import BUILD_TIMEOUT, OUT_OF_MEMORY, AgentError
from ..system.environment import parse_meminfo
from .child import Ended, nameless, tethered

MEMINFO = Path("/proc/meminfo")

_STEP_S = 0.2
# What a program gets to end after its last word, and what its own children may hold it up.
_GRACE_S = 5.0
_TAIL_BYTES = 8000
_PIECE_BYTES = 1 << 16


class ProcessLimits(NamedTuple):
    """Seconds that the program may take, and bytes of memory that must be left to the rest."""

    timeout_s: float
    reserve_bytes: int


def supervise(
    arguments: Sequence[str],
    stdin: bytes,
    limits: ProcessLimits,
    on_line: Callable[[bytes], bool],
    where: str,
) -> Ended:
    """Run a program to its end; each line on its standard output goes to `on_line`.

    Once that returns True the program has had its say. It dies with this process. AgentError:
    build-timeout or out-of-memory; the program is gone then, too.
    """
    with nameless(stdin) as content:
        # In this process's group, so that whoever ends the group ends it too.
        process = subprocess.Popen(
            tethered(arguments), stdin=content, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
    try:
        return _follow(process, limits, on_line, where)
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()


def _follow(
    process: subprocess.Popen[bytes],
    limits: ProcessLimits,
    on_line: Callable[[bytes], bool],
    where: str,
) -> Ended:
    assert process.stdout is not None and process.stderr is not None
    output, errors = process.stdout.fileno(), process.stderr.fileno()
    line, tail = bytearray(), b""
    end_s = time.monotonic() + limits.timeout_s
    had_its_say = False
    with selectors.DefaultSelector() as selector:
        selector.register(output, selectors.EVENT_READ)
        selector.register(errors, selectors.EVENT_READ)
        while selector.get_map() or process.poll() is None:
            ready = selector.select(_STEP_S)
            for key, _ in ready:
                chunk = os.read(key.fd, _PIECE_BYTES)
                if not chunk:
                    selector.unregister(key.fd)
                elif key.fd == errors:
                    with contextlib.suppress(OSError):
                        os.write(2, chunk)
                    tail = (tail + chunk)[-_TAIL_BYTES:]
                else:
                    line += chunk
                    *whole, rest = bytes(line).split(b"\n")
                    line = bytearray(rest)
                    for one in whole:
                        if on_line(one) and not had_its_say:
                            had_its_say, end_s = True, time.monotonic() + _GRACE_S
            if not ready and process.poll() is not None:
                # Something that it started still holds its pipes open.
                break
            if time.monotonic() > end_s:
                if had_its_say:
                    break
                raise _too_slow(limits, where)
            if not had_its_say:
                _check_memory(limits, where)
    if line:
        on_line(bytes(line))
    if process.poll() is None:
        process.kill()
    return Ended(process.wait(), tail.decode("utf-8", "replace"))


def _too_slow(limits: ProcessLimits, where: str) -> AgentError:
    what = f"took longer than the {limits.timeout_s:g} seconds that the job gives"
    remedy = "raise limits.build_s in the target, or give the board a faster power mode"
    return AgentError(BUILD_TIMEOUT, where, what, remedy)


def _check_memory(limits: ProcessLimits, where: str) -> None:
    # The builder takes what it can get, and the kernel's choice of whom to kill need not be it.
    try:
        available = parse_meminfo(MEMINFO.read_text()).get("MemAvailable")
    except OSError:
        return
    if available is None or available >= limits.reserve_bytes:
        return
    left, reserve = available >> 20, limits.reserve_bytes >> 20
    what = f"was ended with {left} MiB of memory left, as {reserve} MiB must be left to the rest"
    remedy = "stop other programs, add swap, or lower limits.workspace_bytes in the target"
    raise AgentError(OUT_OF_MEMORY, where, what, remedy)
