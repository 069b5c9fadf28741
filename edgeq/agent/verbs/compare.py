"""The verb `compare`: two releases in two processes that take turns at every inference.

Clocks, heat and neighbours then meet both alike; one after the other, they would be the difference.
"""

from __future__ import annotations

import contextlib
import random
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Sequence

from ..measure.gauges import Gauges
from ..measure.power import find_meter
from ..measure.stability import mode_reasons, other_cores, slowed
from ..processes.worker import Worker
from ..system.environment import environment
from ..system.jetson import power_mode, power_modes
from ..system.reading import Reader
from ..vision.image import check_present

if TYPE_CHECKING:
    from ..wire.events import Events
    from ..wire.job import CompareJob

STAGES = ("preprocess_ns", "inference_ns", "postprocess_ns")
_NAMES = ("A", "B")
ENERGY_S = 2.0
"""Of a stretch that each side has for itself, as rails do not tell who uses them."""


class Pass(NamedTuple):
    """One pass of each side over one image, each (preprocess, inference, postprocess) in ns."""

    a: Sequence[int]
    b: Sequence[int]


def compare(job: CompareJob, events: Events, root: Path = Path("/")) -> dict[str, Any]:
    """Load both anew and let them take turns; raw samples of both, pair by pair.

    The device's own files lie below `root`. AgentError as `bench`, and died; of a side, its letter
    comes first.
    """
    reader = Reader(root)
    check_present(job.images)
    before, mode_before = environment(reader.root), power_mode(reader)
    with contextlib.ExitStack() as stack:
        gauges = stack.enter_context(contextlib.closing(Gauges(reader, find_meter(reader))))
        idle = gauges.watch_idle()
        sides = [stack.enter_context(contextlib.closing(_started(job, i))) for i in (0, 1)]
        for worker in sides:
            worker.hear()
        chance = random.Random(job.seed)
        _turns(sides, job, chance, job.warmup_s, events, "warm-up")
        start_ns = time.perf_counter_ns()
        passes = _turns(sides, job, chance, job.duration_s, events, "compare")
        duration_ns = time.perf_counter_ns() - start_ns
        energy: list[dict[str, Any] | None] = [None, None]
        # Whoever is second meets a board that the first one heated.
        first = chance.getrandbits(1)
        for index in (first, 1 - first):
            energy[index] = _energy(sides[index], job, gauges, idle)
        facts = [worker.finish() for worker in sides]
    # Only now do the sides, which have ended, count as this process's own.
    after, mode_after = environment(reader.root), power_mode(reader)
    return {
        "sides": [
            _side(facts[index], [one[index] for one in passes], energy[index]) for index in (0, 1)
        ],
        "threads": job.threads,
        "duration_ns": duration_ns,
        "other_cores": other_cores(before, after),
        "power_mode": mode_after.text if mode_after else None,
        "slowed": slowed(before, after),
        "wrong_mode": mode_reasons(job.power_mode, mode_before, mode_after, power_modes(reader)),
    }


def _started(job: CompareJob, index: int) -> Worker:
    chosen = job.sides[index]
    described: dict[str, Any] = {
        "release": str(chosen.release),
        "images": [str(path) for path in job.images],
        "threads": job.threads,
    }
    if chosen.engine is not None:
        described["engine"] = str(chosen.engine)
    return Worker(_NAMES[index], "side", described)


def _turns(
    sides: Sequence[Worker],
    job: CompareJob,
    chance: random.Random,
    seconds: float,
    events: Events,
    stage: str,
) -> list[Pass]:
    """Pairs of passes for that long, and at least two; who is first in a pair is drawn."""
    start_s = time.monotonic()
    passes: list[Pass] = []
    while True:
        image = str(len(passes) % len(job.images))
        first = chance.getrandbits(1)
        taken: list[Sequence[int]] = [(), ()]
        for index in (first, 1 - first):
            taken[index] = sides[index].ask(image)["ns"]
            sides[index].rest()
        passes.append(Pass(*taken))
        elapsed_s = time.monotonic() - start_s
        if elapsed_s >= seconds and len(passes) >= 2:
            return passes
        done_ms, total_ms = int(elapsed_s * 1e3), max(1, int(seconds * 1e3))
        events.progress(stage, min(done_ms, total_ms - 1), total_ms)


def _energy(
    worker: Worker, job: CompareJob, gauges: Gauges, idle: Sequence[Any]
) -> dict[str, Any] | None:
    """What a pass of one side takes of the board's rails; None where none can be read."""
    if not idle:
        return None
    with gauges.watch() as sampler:
        start_s, count = time.monotonic(), 0
        while time.monotonic() - start_s < ENERGY_S or count < 2:
            worker.ask(str(count % len(job.images)))
            count += 1
        duration_ns = int((time.monotonic() - start_s) * 1e9)
    return gauges.power(idle, sampler.looks, duration_ns, count)


def _side(
    facts: dict[str, Any], taken: Sequence[Sequence[int]], energy: dict[str, Any] | None
) -> dict[str, Any]:
    stages = {name: [one[place] for one in taken] for place, name in enumerate(STAGES)}
    told = {name: value for name, value in facts.items() if name != "event"}
    return {**told, **stages, "power": energy}
