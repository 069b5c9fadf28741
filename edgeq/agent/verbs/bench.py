"""The verb `bench`: raw samples of every stage, under conditions that are recorded with them."""

from __future__ import annotations

import contextlib
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, NamedTuple, Sequence

from ..manifest import ReleaseManifest, read_manifest
from ..measure.gauges import Gauges, lowest_available_bytes, median_gpu_hz
from ..measure.power import TOO_FEW, find_meter
from ..measure.soak import MINUTE_S, SLOWED, MinuteRun, soak
from ..measure.stability import (
    Conditions,
    disturbances,
    instability,
    mode_reasons,
    other_cores,
    steady,
)
from ..measure.stretches import Extent, timed
from ..measure.throughput import FRAMES_S, Frames, pipelined, side_by_side
from ..runtimes.base import LoadedModel, fit_tensor, load
from ..system.environment import environment
from ..system.jetson import power_mode, power_modes
from ..system.memory import available_bytes, peak_rss_bytes, reset_peak, rss_bytes
from ..system.reading import Reader
from ..vision.decode import decode
from ..vision.image import check_present, read_image
from ..vision.letterbox import prepare

if TYPE_CHECKING:
    from ..vision.arrays import Array, Bytes
    from ..vision.letterbox import Geometry
    from ..wire.events import Events
    from ..wire.job import BenchJob


class Sample(NamedTuple):
    """One pass over one image: from decoded pixels to a tensor, to raw outputs, to RLE masks.

    `gpu_ns` is what a GPU took of the inference by its own clock, without the copies.
    """

    preprocess_ns: int
    inference_ns: int
    postprocess_ns: int
    gpu_ns: int | None


class WarmUp(NamedTuple):
    """How many passes were made before the timed ones, and whether they became steady."""

    passes: int
    steady: bool


def bench(job: BenchJob, events: Events, root: Path = Path("/")) -> dict[str, Any]:
    """Load, warm up, then time every stage; the result carries raw samples and conditions.

    The device's own files lie below `root`.
    AgentError: bad-artifact, unreadable-image, missing-engine, engine or out-of-memory.
    """
    reader = Reader(root)
    manifest = read_manifest(job.release)
    check_present(job.images)
    with contextlib.closing(Gauges(reader, find_meter(reader))) as gauges:
        return _bench(job, manifest, events, reader, gauges)


def _bench(
    job: BenchJob, manifest: ReleaseManifest, events: Events, reader: Reader, gauges: Gauges
) -> dict[str, Any]:
    environment_before = environment(reader.root)
    mode_before = power_mode(reader)
    # Pixels are in memory before the first look at it, so that they are no part of the engine's.
    images = [read_image(path) for path in job.images]
    idle = gauges.watch_idle()
    available_before_load = available_bytes(reader)
    peak_was_reset = reset_peak()
    rss_before_load = rss_bytes()
    start_ns = time.perf_counter_ns()
    engine = load(manifest, job.threads, engine_path=job.engine)
    load_ns = time.perf_counter_ns() - start_ns
    rss_after_load = rss_bytes()
    available_after_load = available_bytes(reader)

    first = measure(images[0], manifest, engine)
    if job.cuda_graph:
        engine.use_graph(_tensor(images[0], manifest, engine))
    warm_up = _warm_up(images, manifest, engine, job, events)
    minutes = _soaked(images, manifest, engine, job, events, reader) if job.soak_s else []
    environment_warm = environment(reader.root)
    aim = max(job.min_count, job.aim_count)
    extent = Extent(job.threads, job.min_duration_s, job.max_duration_s, job.min_count, aim)
    if minutes:
        extent = extent._replace(accepted=SLOWED)
    with gauges.watch() as sampler:
        found = timed(
            lambda n: measure(images[n % len(images)], manifest, engine),
            lambda sample: sample.inference_ns,
            lambda: environment(reader.root),
            extent,
            lambda count: events.progress("bench", count, max(aim, count + 1)),
        )
    samples, duration_ns = found.samples, found.duration_ns
    environment_after = environment(reader.root)
    mode_after = power_mode(reader)

    peak, peak_source = peak_rss_bytes(peak_was_reset)
    facts = _engine_facts(engine, images[0], manifest)
    # Behind the peak of memory: each stream has an engine of its own.
    streams = _streams(images, manifest, engine, job, events, reader) if job.streams else []
    inference_ns = [sample.inference_ns for sample in samples]
    looks = [(at_ns, look) for at_ns, look in sampler.looks if found.covers(at_ns)]
    used = gauges.power(idle, looks, duration_ns, len(samples))
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
        "gpu_ns": [sample.gpu_ns for sample in samples if sample.gpu_ns is not None],
        "load_ns": load_ns,
        "first_inference_ns": first.inference_ns,
        "rss_before_load_bytes": rss_before_load,
        "rss_after_load_bytes": rss_after_load,
        "peak_rss_bytes": peak,
        "peak_rss_source": peak_source,
        "warmup_count": warm_up.passes,
        "duration_ns": duration_ns,
        "throughput_per_s": len(samples) * 1e9 / duration_ns,
        "left_out": found.fields(),
        "streams": streams,
        "soak": [minute._asdict() for minute in minutes],
        "other_cores": other_cores(environment_warm, environment_after),
        "environment_before": environment_before.fields(),
        "environment_warm": environment_warm.fields(),
        "environment_after": environment_after.fields(),
        "engine_facts": facts,
        "power_mode": mode_before.text if mode_before else None,
        "power": used,
        "power_missing": "" if used else reader.not_readable.get("power", TOO_FEW),
        "gpu_hz": median_gpu_hz(sampler.looks),
        "memory_available_before_load_bytes": available_before_load,
        "memory_available_after_load_bytes": available_after_load,
        "memory_available_lowest_bytes": lowest_available_bytes(sampler.looks),
        "unstable": [
            *found.unstable,
            *(
                reason
                for reason in instability(inference_ns, conditions)
                if reason.split(":")[0] not in {said.split(":")[0] for said in found.unstable}
            ),
            *mode_reasons(job.power_mode, mode_before, mode_after, power_modes(reader)),
        ],
    }


def _streams(
    images: Sequence[Bytes],
    manifest: ReleaseManifest,
    engine: LoadedModel,
    job: BenchJob,
    events: Events,
    reader: Reader,
) -> list[dict[str, Any]]:
    """Frames a second of a pipeline, then of so many streams side by side as the job says.

    Each stream has an engine of its own, and its share of the threads.
    """
    warm = environment(reader.root)

    def seen(count: int, threads: int, run: Callable[[], Frames]) -> dict[str, Any]:
        before = environment(reader.root)
        frames = run()
        after = environment(reader.root)
        reasons = disturbances(warm, before, after, threads * max(1, count))
        told = frames._asdict()
        return {"streams": count, "threads": threads, **told, "reasons": reasons}

    def prepared(number: int) -> tuple[Array, Geometry]:
        tensor, geometry = prepare(images[number % len(images)], manifest.preprocess)
        return fit_tensor(tensor, engine.input), geometry

    def rest(ready: tuple[Array, Geometry]) -> None:
        decode(manifest.task, engine.run(ready[0]), ready[1])

    def passes(own: LoadedModel) -> Callable[[int], Sample]:
        return lambda number: measure(images[number % len(images)], manifest, own)

    events.progress("streams", 0, len(job.streams) + 1)
    found = [seen(0, job.threads, lambda: pipelined(prepared, rest, FRAMES_S))]
    for done, count in enumerate(job.streams, 1):
        events.progress("streams", done, len(job.streams) + 1)
        share = max(1, job.threads // count)
        own = [passes(load(manifest, share, engine_path=job.engine)) for _ in range(count)]
        for one in own:
            one(0)
        found.append(seen(count, share, partial(side_by_side, own, FRAMES_S)))
    return found


def _soaked(
    images: Sequence[Bytes],
    manifest: ReleaseManifest,
    engine: LoadedModel,
    job: BenchJob,
    events: Events,
    reader: Reader,
) -> list[MinuteRun]:
    def take(number: int) -> tuple[int, int]:
        taken = measure(images[number % len(images)], manifest, engine)
        return taken.inference_ns, taken.preprocess_ns + taken.inference_ns + taken.postprocess_ns

    total_ms = int(job.soak_s * 1e3)
    return soak(
        take,
        lambda: environment(reader.root),
        job.threads,
        job.soak_s,
        lambda seconds: events.progress("soak", min(int(seconds * 1e3), total_ms - 1), total_ms),
        MINUTE_S,
    )


def _tensor(image: Bytes, manifest: ReleaseManifest, engine: LoadedModel) -> Array:
    tensor, _ = prepare(image, manifest.preprocess)
    return fit_tensor(tensor, engine.input)


def _engine_facts(
    engine: LoadedModel, image: Bytes, manifest: ReleaseManifest
) -> dict[str, Any] | None:
    """What an engine says of itself, with a profile if it has one, no part of what was timed."""
    facts = engine.facts()
    if facts is None:
        return None
    times = engine.layer_times(_tensor(image, manifest, engine))
    return facts if times is None else {**facts, "layer_times": times}


def measure(image: Bytes, manifest: ReleaseManifest, engine: LoadedModel) -> Sample:
    """Time the three stages of one pass over one BGR image."""
    start_ns = time.perf_counter_ns()
    tensor, geometry = prepare(image, manifest.preprocess)
    tensor = fit_tensor(tensor, engine.input)
    prepared_ns = time.perf_counter_ns()
    outputs = engine.run(tensor)
    inferred_ns = time.perf_counter_ns()
    decode(manifest.task, outputs, geometry)
    decoded_ns = time.perf_counter_ns()
    gpu_ms = engine.last_gpu_ms
    return Sample(
        prepared_ns - start_ns,
        inferred_ns - prepared_ns,
        decoded_ns - inferred_ns,
        None if gpu_ms is None else int(gpu_ms * 1e6),
    )


def _warm_up(
    images: Sequence[Bytes],
    manifest: ReleaseManifest,
    engine: LoadedModel,
    job: BenchJob,
    events: Events,
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
