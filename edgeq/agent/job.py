"""The job file: what the host asks for, read once into a record a verb."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import NamedTuple, TypeVar

from .errors import BAD_JOB, AgentError, raise_problems
from .fields import Fields

REMEDY = "correct the job file"

_Job = TypeVar("_Job")


class ProbeJob(NamedTuple):
    """Look at the device; free disk space is that of `root`."""

    root: Path


class VerifyJob(NamedTuple):
    """Check a release folder; with `load` also run one inference on zeros."""

    release: Path
    id: str | None
    load: bool
    threads: int


class BenchJob(NamedTuple):
    """Time a release on images, in the order of the steps."""

    release: Path
    images: tuple[Path, ...]
    threads: int
    warmup_s: float
    max_warmup_s: float
    min_duration_s: float
    min_count: int
    max_duration_s: float


class ImageRequest(NamedTuple):
    """An image to look at, and the number under which to report it."""

    id: int
    path: Path


class PredictJob(NamedTuple):
    """Find instances in images; raw outputs of the first `keep_count` go to `keep_outputs`."""

    release: Path
    images: tuple[ImageRequest, ...]
    threads: int
    graph_optimization: str
    keep_outputs: Path | None
    keep_count: int


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
    job = ProbeJob(Path(fields.text("root", "/")))
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
        ),
    )


def predict_job(fields: Fields) -> PredictJob:
    """The job of `predict`."""
    requests = [
        ImageRequest(item.integer("id", 0), Path(item.text("path")))
        for item in fields.sections("images")
    ]
    job = PredictJob(
        release=Path(fields.text("release")),
        images=tuple(requests),
        threads=fields.integer("threads", 1),
        graph_optimization=fields.choice("graph_optimization", ("all", "disabled"), "all"),
        keep_outputs=Path(fields.text("keep_outputs")) if "keep_outputs" in fields else None,
        keep_count=fields.integer("keep_count", 1, 1),
    )
    if job.keep_outputs is not None and not job.keep_outputs.parent.is_dir():
        fields.note("keep_outputs", f"is in {job.keep_outputs.parent}, which is not a folder")
    return _checked(fields, job)


def _checked(fields: Fields, job: _Job) -> _Job:
    raise_problems(BAD_JOB, "job", fields.problems, REMEDY)
    return job
