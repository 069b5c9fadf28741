"""The verb `bench`: raw samples of every stage, under conditions that are recorded with them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple, Sequence

from .decode import decode
from .engine import Engine, fit_tensor, load
from .environment import environment
from .image import check_present, read_image
from .letterbox import prepare
from .manifest import Manifest, read_manifest
from .memory import peak_rss_bytes, reset_peak, rss_bytes
from .stability import Conditions, instability, other_cores, steady

if TYPE_CHECKING:
    from .arrays import Bytes
    from .job import BenchJob
    from .protocol import Events


class Sample(NamedTuple):
    """One pass over one image: from decoded pixels to a tensor, to raw outputs, to RLE masks."""

    preprocess_ns: int
    inference_ns: int
    postprocess_ns: int


class WarmUp(NamedTuple):
    """How many passes were made before the timed ones, and whether they became steady."""

    passes: int
    steady: bool


def bench(job: BenchJob, events: Events) -> dict[str, Any]:
    """Load, warm up, then time every stage; the result carries raw samples and conditions.

    AgentError: bad-artifact, unreadable-image, missing-engine, engine or out-of-memory.
    """
    environment_before = environment()
    manifest = read_manifest(job.release)
    check_present(job.images)
    # Pixels are in memory before the first look at it, so that they are no part of the engine's.
    images = [read_image(path) for path in job.images]
    peak_was_reset = reset_peak()
    rss_before_load = rss_bytes()
    start_ns = time.perf_counter_ns()
    engine = load(manifest, job.threads)
    load_ns = time.perf_counter_ns() - start_ns
    rss_after_load = rss_bytes()

    first = measure(images[0], manifest, engine)
    warm_up = _warm_up(images, manifest, engine, job, events)
    environment_warm = environment()
    start_ns = time.perf_counter_ns()
    samples = _timed(images, manifest, engine, job, events)
    duration_ns = time.perf_counter_ns() - start_ns
    environment_after = environment()

    peak, peak_source = peak_rss_bytes(peak_was_reset)
    inference_ns = [sample.inference_ns for sample in samples]
    conditions = Conditions(
        job.threads, warm_up.steady, job.max_warmup_s, job.min_count, job.max_duration_s
    )
    return {
        "release": manifest.id,
        "engine": {"name": engine.name, "version": engine.version},
        "threads": job.threads,
        "preprocess_ns": [sample.preprocess_ns for sample in samples],
        "inference_ns": inference_ns,
        "postprocess_ns": [sample.postprocess_ns for sample in samples],
        "load_ns": load_ns,
        "first_inference_ns": first.inference_ns,
        "rss_before_load_bytes": rss_before_load,
        "rss_after_load_bytes": rss_after_load,
        "peak_rss_bytes": peak,
        "peak_rss_source": peak_source,
        "warmup_count": warm_up.passes,
        "duration_ns": duration_ns,
        "throughput_per_s": len(samples) * 1e9 / duration_ns,
        "other_cores": other_cores(environment_warm, environment_after),
        "environment_before": environment_before.fields(),
        "environment_warm": environment_warm.fields(),
        "environment_after": environment_after.fields(),
        "unstable": instability(inference_ns, environment_warm, environment_after, conditions),
    }


def measure(image: Bytes, manifest: Manifest, engine: Engine) -> Sample:
    """Time the three stages of one pass over one BGR image."""
    start_ns = time.perf_counter_ns()
    tensor, geometry = prepare(image, manifest.preprocess)
    tensor = fit_tensor(tensor, engine.input)
    prepared_ns = time.perf_counter_ns()
    outputs = engine.run(tensor)
    inferred_ns = time.perf_counter_ns()
    decode(manifest.task, outputs, geometry)
    decoded_ns = time.perf_counter_ns()
    return Sample(prepared_ns - start_ns, inferred_ns - prepared_ns, decoded_ns - inferred_ns)


def _warm_up(
    images: Sequence[Bytes], manifest: Manifest, engine: Engine, job: BenchJob, events: Events
) -> WarmUp:
    start_s = time.monotonic()
    inference_ns: list[int] = []
    while True:
        elapsed_s = time.monotonic() - start_s
        calm = steady(inference_ns)
        if (calm and elapsed_s >= job.warmup_s) or elapsed_s >= job.max_warmup_s:
            # The first inference, timed on its own, warmed up too.
            return WarmUp(len(inference_ns) + 1, calm)
        image = images[len(inference_ns) % len(images)]
        inference_ns.append(measure(image, manifest, engine).inference_ns)
        done_ms, total_ms = int(elapsed_s * 1e3), int(job.max_warmup_s * 1e3)
        events.progress("warm-up", min(done_ms, total_ms - 1), total_ms)


def _timed(
    images: Sequence[Bytes], manifest: Manifest, engine: Engine, job: BenchJob, events: Events
) -> list[Sample]:
    start_s = time.monotonic()
    samples: list[Sample] = []
    while True:
        samples.append(measure(images[len(samples) % len(images)], manifest, engine))
        elapsed_s = time.monotonic() - start_s
        if elapsed_s >= job.min_duration_s and len(samples) >= job.min_count:
            return samples
        if elapsed_s >= job.max_duration_s:
            return samples
        events.progress("bench", len(samples), max(job.min_count, len(samples) + 1))
