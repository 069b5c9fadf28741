"""One subject is fed inputs for a while, in a process that may neither hang nor eat the memory."""

from __future__ import annotations

import faulthandler
import os
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.strategies import SearchStrategy

from edgeq.agent.errors import BUG, AgentError
from edgeq.errors import EdgeqError

HANG_S = 10
MOST_BYTES = 2 << 30
FEWEST = 20
"""Inputs, however slow the machine is."""
_BATCH = 200


Read = Callable[[bytes, Path], None]


class Subject(NamedTuple):
    """Almost valid inputs, and what reads one in a folder of its own.

    What is refused raises EdgeqError or AgentError; anything else that is raised is a fault.
    """

    inputs: SearchStrategy[bytes]
    read: Read


class Fault(Exception):
    """What was found: an input that is neither read nor refused."""


def feed(subject: Subject, duration_s: float, first_seed: int, folder: Path) -> int:
    """How many inputs a subject read or refused within that time, in batches by their seeds.

    Raises Fault for the first (and smallest) input that it did neither to: that is the file `input`
    in `folder`, as is the one in hand when this process is ended for taking too long.
    """
    (folder / "work").mkdir()
    _bound()
    faulthandler.enable()
    end_s = time.monotonic() + duration_s
    count, number = 0, first_seed
    while count < FEWEST or time.monotonic() < end_s:
        count += _batch(subject, number, end_s, folder)
        number += 1
    return count


def _batch(subject: Subject, number: int, end_s: float, folder: Path) -> int:
    count, fault = 0, False

    @seed(number)
    @settings(
        max_examples=_BATCH,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(subject.inputs)
    def one(content: bytes) -> None:
        nonlocal count, fault
        if count >= FEWEST and not fault and time.monotonic() > end_s:
            return  # hypothesis would go on to the end of its batch
        (folder / "input").write_bytes(content)
        fault = True  # until it went well
        _read(subject, content, folder / "work")
        count, fault = count + 1, False

    try:
        one()
    except Exception as exc:
        what = f"seed {number}: {type(exc).__name__}: {exc}; the input is {folder}/input"
        raise Fault(what) from exc
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
    if peak > MOST_BYTES:
        raise Fault(f"seed {number}: {peak >> 20} MiB were needed at once")
    return count


def _read(subject: Subject, content: bytes, work: Path) -> None:
    """Raise what is no refusal; a hang ends the process, as code in C hears no signal."""
    faulthandler.dump_traceback_later(HANG_S, exit=True)
    try:
        subject.read(content, work)
    except EdgeqError as exc:
        if exc.exit_code == EdgeqError.exit_code:
            raise
    except AgentError as exc:
        if exc.kind == BUG:
            raise
    finally:
        faulthandler.cancel_dump_traceback_later()


def _bound() -> None:
    """No more memory than allowed, whoever asks for it: what is refused raises MemoryError."""
    has = int(Path("/proc/self/statm").read_text().split()[5]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_DATA, (has + MOST_BYTES, has + MOST_BYTES))
