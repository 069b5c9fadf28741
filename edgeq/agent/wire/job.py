"""The jobs: what the host asks for, a record a verb."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple


class ProbeJob(NamedTuple):
    """Look at the device; free disk space is that of `root`.

    `modules` are looked for and tried; without any, all that edgeq may use. With `remembers` those
    that could be imported need not be tried again.
    """

    root: Path
    modules: tuple[str, ...] = ()
    remembers: bool = False


class VerifyJob(NamedTuple):
    """Check a release folder; with `load` also run one inference on zeros."""

    release: Path
    id: str | None
    load: bool
    threads: int
    engine: Path | None = None
    graph_optimization: str = "all"


class BenchJob(NamedTuple):
    """Time a release on images, in the order of the steps; in `power_mode`, where one is named.

    `aim_count` samples are taken where `max_duration_s` allows it; fewer than `min_count` are too
    few for any figure.
    """

    release: Path
    images: tuple[Path, ...]
    threads: int
    warmup_s: float
    max_warmup_s: float
    min_duration_s: float
    min_count: int
    max_duration_s: float
    engine: Path | None = None
    power_mode: str | None = None
    cuda_graph: bool = False
    soak_s: float = 0.0
    streams: tuple[int, ...] = ()
    aim_count: int = 0


class ImageRequest(NamedTuple):
    """An image to look at, and the number under which to report it.

    `stored`: as it lies in the file, whatever EXIF says of turning it.
    """

    id: int
    path: Path
    stored: bool = False


class PredictJob(NamedTuple):
    """Find instances in images; raw outputs of the first `keep_count` go to `keep_outputs`.

    Outputs that `only_kept` names are none that a decoder reads.
    """

    release: Path
    images: tuple[ImageRequest, ...]
    threads: int
    graph_optimization: str
    keep_outputs: Path | None
    keep_count: int
    engine: Path | None = None
    only_kept: tuple[str, ...] = ()


class BuildJob(NamedTuple):
    """Make the TensorRT engine of a release's ONNX file, in the store at `root`.

    `model` is a file of the release, None for the manifest's. The builder is ended after
    `timeout_s`, and when less than `reserve_bytes` of memory are left to the rest of the system.
    With `only_find` none is built. A number `anew` other than 0 asks for one more beside the
    release's own, for which nothing that was measured before counts; collections remove it.
    `timings` is the hash of a blob, an identical board's timing cache, for one that has none.
    """

    release: Path
    root: Path
    precision: str
    typing: str
    model: str | None
    module: str
    workspace_bytes: int
    timeout_s: float
    reserve_bytes: int
    only_find: bool = False
    anew: int = 0
    timings: str | None = None


class LendJob(NamedTuple):
    """Write the engine of a fingerprint to `plan`, and what it computes to `golden`.

    Where one is named, the board's timing cache goes to `timings`.
    """

    release: Path
    root: Path
    fingerprint: str
    plan: Path
    golden: Path
    timings: Path | None = None


class AdoptJob(NamedTuple):
    """Take the engine that another board built for `wanted`, instead of building it.

    `fields` are what it was built from and for; `plan` and `golden` the hashes of the blobs that
    hold it and what it computed there.
    """

    wanted: BuildJob
    fields: dict[str, Any]
    plan: str
    golden: str
    build_s: float


class ComparedRelease(NamedTuple):
    """One of two releases that take turns, with the engine that was built of it."""

    release: Path
    engine: Path | None


class CompareJob(NamedTuple):
    """Have two releases take turns on images for `duration_s`, after `warmup_s` of the same.

    `seed` draws who is first in each pair.
    """

    sides: tuple[ComparedRelease, ...]
    images: tuple[Path, ...]
    threads: int
    warmup_s: float
    duration_s: float
    seed: int
    power_mode: str | None = None


class SideJob(NamedTuple):
    """One of them, in a process of its own."""

    release: Path
    images: tuple[Path, ...]
    threads: int
    engine: Path | None


class EngineJob(NamedTuple):
    """What the builder's own process does: parse `model`, write `plan` and the timing cache."""

    model: Path
    plan: Path
    timing_cache: Path
    precision: str
    typing: str
    module: str
    workspace_bytes: int
