"""The job file: what the host writes of a job, checked and read once."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, TypeVar

from ..errors import BAD_JOB, AgentError, raise_problems
from ..names import TENSORRT_MODULES, is_hash
from .fields import Fields
from .job import (
    AdoptJob,
    BenchJob,
    BuildJob,
    ComparedRelease,
    CompareJob,
    EngineJob,
    ImageRequest,
    LendJob,
    PredictJob,
    ProbeJob,
    SideJob,
    VerifyJob,
)

REMEDY = "correct the job file"

_Job = TypeVar("_Job")


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
    root = Path(fields.text("root", "/"))
    return _checked(fields, ProbeJob(root, modules, fields.flag("remembers", False)))


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
        only_kept=fields.texts("only_kept") if "only_kept" in fields else (),
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
            timings=Path(fields.text("timings")) if "timings" in fields else None,
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
        anew=fields.integer("anew", 0, 0),
        timings=_hash(fields, "timings") if "timings" in fields else None,
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
