"""One subject is fed inputs for a while, in a process that may neither hang nor eat the memory."""

from __future__ import annotations

import faulthandler
import os
import resource
import time
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings

from edgeq.agent.errors import BUG, AgentError
from edgeq.errors import EdgeqError
from tests.fuzz.subjects import SUBJECTS, Subject

HANG_S = 10
MOST_BYTES = 2 << 30
_BATCH = 200


class Fault(Exception):
    """What was found: an input that is neither read nor refused."""


def feed(name: str, duration_s: float, first_seed: int, folder: Path) -> int:
    """How many inputs a subject read or refused within that time, in batches by their seeds.

    Raises Fault for the first (and smallest) input that it did neither to; it stands in `folder`,
    as does the one in hand when this process is ended for taking too long or too much.
    """
    subject, last = SUBJECTS[name], folder / f"{name}.input"
    work = folder / "work"
    work.mkdir()
    _bound()
    faulthandler.enable()
    end_s = time.monotonic() + duration_s
    count, number = 0, first_seed
    while count == 0 or time.monotonic() < end_s:
        count += _batch(subject, number, end_s, last, work)
        number += 1
    return count


def _batch(subject: Subject, number: int, end_s: float, last: Path, work: Path) -> int:
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
        if count and not fault and time.monotonic() > end_s:
            return  # hypothesis would go on to the end of its batch
        last.write_bytes(content)
        fault = True  # until it went well
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
        count, fault = count + 1, False

    try:
        one()
    except Exception as exc:
        what = f"seed {number}: {type(exc).__name__}: {exc}; the input stands in {last}"
        raise Fault(what) from exc
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
    if peak > MOST_BYTES:
        raise Fault(f"seed {number}: {peak >> 20} MiB were needed at once")
    return count


def _bound() -> None:
    """No more memory than allowed, whoever asks for it: what is refused raises MemoryError."""
    has = int(Path("/proc/self/statm").read_text().split()[5]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_DATA, (has + MOST_BYTES, has + MOST_BYTES))
