"""The job file: what the host asks for, read once into a record a verb."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from ..errors import BAD_JOB, AgentError, raise_problems
from ..names import TENSORRT_MODULES, is_hash
from .fields import Fields

REMEDY = "correct the job file"

_Job = TypeVar("_Job")


class ProbeJob(NamedTuple):
    """Look at the device; free disk space is that of `root`.

    `modules` are looked for and tried; without any, all that edgeq may use.
    """

    root: Path
    modules: tuple[str, ...] = ()


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
    """Find instances in images; raw outputs of the first `keep_count` go to `keep_outputs`."""

    release: Path
    images: tuple[ImageRequest, ...]
    threads: int
    graph_optimization: str
    keep_outputs: Path | None
    keep_count: int
    engine: Path | None = None


class BuildJob(NamedTuple):
    """Make the TensorRT engine of a release's ONNX file, in the store at `root`.

    `model` is a file of the release, None for the manifest's. The builder is ended after
    `timeout_s`, and when less than `reserve_bytes` of memory are left to the rest of the system.
    With `only_find` none is built.
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


class LendJob(NamedTuple):
    """Write the engine of a fingerprint to `plan`, and what it computes to `golden`."""

    release: Path
    root: Path
    fingerprint: str
    plan: Path
    golden: Path


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


def read_document(argument: str | None) -> Fields:
    """The JSON in the job file; '-' reads standard input, no argument is an empty job."""
    if argument is None:
        return Fields({}, [])
    try:
        text = sys.stdin.read() if argument == "-" else Path(argument).read_text("utf-8")
        return Fields(json.loads(text), [])
    except (OSError, ValueError) as exc:
        raise AgentError(BAD_JOB, argument, f"cannot be read ({exc})", REMEDY) from exc


def probe_job(fields: Fields) -> ProbeJob:
    """The job of `probe`; AgentError (bad-job) lists every problem, here and below."""
    modules = fields.texts("modules") if "modules" in fields else ()
    job = ProbeJob(Path(fields.text("root", "/")), modules)
    return _checked(fields, job)


def verify_job(fields: Fields) -> VerifyJob:
    """The job of `verify`."""
    return _checked(
        fields,
        VerifyJob(
            release=Path(fields.text("release")),
            id=fields.text("id") if "id" in fields else None,
            load=fields.flag("load", True),
            threads=fields.integer("threads", 1, 1),
            engine=_engine(fields),
            graph_optimization=_graph_optimization(fields),
        ),
    )


def bench_job(fields: Fields) -> BenchJob:
    """The job of `bench`."""
    return _checked(
        fields,
        BenchJob(
            release=Path(fields.text("release")),
            images=tuple(Path(path) for path in fields.texts("images")),
            threads=fields.integer("threads", 1),
            warmup_s=fields.number("warmup_s", 0.0, 3600.0, 1.0),
            max_warmup_s=fields.number("max_warmup_s", 0.0, 3600.0, 15.0),
            min_duration_s=fields.number("min_duration_s", 0.0, 86400.0, 5.0),
            min_count=fields.integer("min_count", 1, 50),
            max_duration_s=fields.number("max_duration_s", 0.0, 86400.0, 120.0),
            power_mode=fields.text("power_mode") if "power_mode" in fields else None,
            cuda_graph=fields.flag("cuda_graph", False),
            soak_s=fields.number("soak_s", 0.0, 86400.0, 0.0),
            streams=fields.integers("streams", 1, []),
            aim_count=fields.integer("aim_count", 0, 0),
            engine=_engine(fields),
        ),
    )


def predict_job(fields: Fields) -> PredictJob:
    """The job of `predict`."""
    requests = [
        ImageRequest(item.integer("id", 0), Path(item.text("path")), item.flag("stored", False))
        for item in fields.sections("images")
    ]
    job = PredictJob(
        release=Path(fields.text("release")),
        images=tuple(requests),
        threads=fields.integer("threads", 1),
        graph_optimization=_graph_optimization(fields),
        keep_outputs=Path(fields.text("keep_outputs")) if "keep_outputs" in fields else None,
        keep_count=fields.integer("keep_count", 1, 1),
        engine=_engine(fields),
    )
    if job.keep_outputs is not None and not job.keep_outputs.parent.is_dir():
        fields.note("keep_outputs", f"is in {job.keep_outputs.parent}, which is not a folder")
    return _checked(fields, job)


def build_job(fields: Fields) -> BuildJob:
    """The job of `build`."""
    return _checked(fields, _build(fields))


def lend_job(fields: Fields) -> LendJob:
    """The job of `lend`."""
    return _checked(
        fields,
        LendJob(
            release=Path(fields.text("release")),
            root=Path(fields.text("root")),
            fingerprint=_hash(fields, "fingerprint"),
            plan=Path(fields.text("plan")),
            golden=Path(fields.text("golden")),
        ),
    )


def adopt_job(fields: Fields) -> AdoptJob:
    """The job of `adopt`."""
    return _checked(
        fields,
        AdoptJob(
            wanted=_build(fields),
            fields=fields.mapping("fields"),
            plan=_hash(fields, "plan"),
            golden=_hash(fields, "golden"),
            build_s=fields.number("build_s", 0.0, 86400.0),
        ),
    )


def compare_job(fields: Fields) -> CompareJob:
    """The job of `compare`."""
    sides = tuple(
        ComparedRelease(Path(side.text("release")), _engine(side))
        for side in fields.sections("sides")
    )
    if len(sides) != 2:
        fields.note("sides", f"are {len(sides)}; two are compared")
    return _checked(
        fields,
        CompareJob(
            sides=sides,
            images=tuple(Path(path) for path in fields.texts("images")),
            threads=fields.integer("threads", 1),
            warmup_s=fields.number("warmup_s", 0.0, 3600.0, 1.0),
            duration_s=fields.number("duration_s", 0.0, 86400.0, 12.0),
            seed=fields.integer("seed", 0, 0),
            power_mode=fields.text("power_mode") if "power_mode" in fields else None,
        ),
    )


def side_job(fields: Fields) -> SideJob:
    """The job of a side's own process."""
    return _checked(
        fields,
        SideJob(
            release=Path(fields.text("release")),
            images=tuple(Path(path) for path in fields.texts("images")),
            threads=fields.integer("threads", 1),
            engine=_engine(fields),
        ),
    )


def engine_job(fields: Fields) -> EngineJob:
    """The job of the builder's own process."""
    return _checked(
        fields,
        EngineJob(
            model=Path(fields.text("model")),
            plan=Path(fields.text("plan")),
            timing_cache=Path(fields.text("timing_cache")),
            **_settings(fields),
        ),
    )


def _build(fields: Fields) -> BuildJob:
    return BuildJob(
        release=Path(fields.text("release")),
        root=Path(fields.text("root")),
        model=fields.text("model") if "model" in fields else None,
        timeout_s=fields.number("timeout_s", 1.0, 86400.0, 3600.0),
        reserve_bytes=fields.integer("reserve_bytes", 0, 256 << 20),
        only_find=fields.flag("only_find", False),
        **_settings(fields),
    )


def _hash(fields: Fields, name: str) -> str:
    digest = fields.text(name)
    if digest and not is_hash(digest):
        fields.note(name, "is no sha256")
    return digest


def _settings(fields: Fields) -> dict[str, Any]:
    return {
        "precision": fields.choice("precision", ("int8", "fp16"), "int8"),
        "typing": fields.choice("typing", ("weak", "strong"), "weak"),
        "module": fields.choice("module", TENSORRT_MODULES, "tensorrt"),
        "workspace_bytes": fields.integer("workspace_bytes", 1 << 20, 1 << 30),
    }


def _graph_optimization(fields: Fields) -> str:
    return fields.choice("graph_optimization", ("all", "disabled"), "all")


def _engine(fields: Fields) -> Path | None:
    """A TensorRT engine that `build` made of the release, where the job names one."""
    return Path(fields.text("engine")) if "engine" in fields else None


def _checked(fields: Fields, job: _Job) -> _Job:
    raise_problems(BAD_JOB, "job", fields.problems, REMEDY)
    return job
