"""The private verb `side`: one of two artifacts that take turns, in a process of its own."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

from ..manifest import read_manifest
from ..runtimes.base import load
from ..system.memory import peak_rss_bytes, reset_peak
from ..vision.image import read_image
from .bench import measure

if TYPE_CHECKING:
    from ..wire.events import Events
    from ..wire.job import SideJob


def side(job: SideJob, events: Events) -> dict[str, Any]:
    """Load, say so, then make one pass over the image of each number that comes in.

    The end of the input ends it; the result says what memory all of that took. AgentError as
    `bench`.
    """
    manifest = read_manifest(job.release)
    images = [read_image(path) for path in job.images]
    peak_was_reset = reset_peak()
    start_ns = time.perf_counter_ns()
    engine = load(manifest, job.threads, engine_path=job.engine, rests=True)
    load_ns = time.perf_counter_ns() - start_ns
    events.sample({"load_ns": load_ns})
    for line in sys.stdin:
        taken = measure(images[int(line)], manifest, engine)
        events.sample({"ns": [taken.preprocess_ns, taken.inference_ns, taken.postprocess_ns]})
    peak, source = peak_rss_bytes(peak_was_reset)
    return {
        "release": manifest.id,
        "engine": {"name": engine.name, "version": engine.version},
        "load_ns": load_ns,
        "peak_rss_bytes": peak,
        "peak_rss_source": source,
    }
