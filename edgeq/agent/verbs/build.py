"""The verb `build`: the TensorRT engine of a release, unless the very same one is there.

This process only watches; the builder is another one, which may abort or take all memory.
"""

from __future__ import annotations

import json
import signal
import sys
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from ..compile import trtexec
from ..compile.board import Board, look
from ..compile.fingerprint import board_fields, engine_fields, fingerprint, timings_key
from ..errors import BAD_JOB, DISK_FAILED, MISSING_ENGINE, OUT_OF_MEMORY, AgentError, Reported
from ..manifest import ReleaseManifest, read_manifest
from ..processes.command import agent_command
from ..processes.supervision import ProcessLimits, supervise
from ..runtimes.parts.inspector import parse_layers
from ..runtimes.parts.tensorrt_module import INSTALL, converted
from ..store import disk, engines
from ..store.blobs import checked_blob, hash_of
from ..store.layout import Layout
from ..system.packages import package_version
from ..system.reading import Reader
from ..wire.job import EngineJob

if TYPE_CHECKING:
    from pathlib import Path

    from ..processes.child import Ended
    from ..wire.events import Events
    from ..wire.job import BuildJob

_TIMINGS = "timings.new"
_INSPECTED = "inspected.json"


class WantedEngine(NamedTuple):
    """The engine that a job means on this board, as it is now."""

    manifest: ReleaseManifest
    model: Path
    program: trtexec.Trtexec | None
    fields: dict[str, Any]
    key: str


def build(job: BuildJob, events: Events) -> dict[str, Any]:
    """Find the engine or build it; the result says where it is, what it is for, and its layers.

    Its `path` is None where it would have to be built and is not to be. AgentError: bad-artifact,
    missing-engine, engine, out-of-memory or build-timeout.
    """
    wanted = examine(job)
    key, fields = wanted.key, wanted.fields
    layout = Layout(job.root)
    stored = engines.find(layout, key, fields)
    if stored is not None:
        return answer(stored, wanted, is_new=False)
    if job.only_find:
        cache = engines.timings(layout, timings_key(fields))
        told = {"timings": timings_key(fields), "has_timings": cache.is_file()}
        return {"path": None, "fingerprint": key, "fields": fields, "built": False, **told}
    partial = engines.begin(layout, key)
    try:
        # A builder that remembers what it measured builds the same again.
        timings = None if job.anew else engines.timings(layout, timings_key(fields))
        told = _make(job, wanted.model, partial, timings, wanted.program, events)
        engines.finish(layout, partial, fields, told)
    finally:
        if partial.is_dir():
            disk.remove_tree(partial)
    return answer(found(layout, wanted), wanted, is_new=True)


def examine(job: BuildJob) -> WantedEngine:
    """The engine that a job means; AgentError: bad-artifact, bad-job or missing-engine."""
    manifest = read_manifest(job.release)
    model = _model(manifest, job)
    reader = Reader()
    board = look(reader, package_version(job.module, reader))
    program = _program(board, reader) if board.module is None else None
    made_for = board_fields(board, _version(board, program))
    fields = {**engine_fields(manifest.id, hash_of(model), job), **made_for}
    return WantedEngine(manifest, model, program, fields, fingerprint(fields))


def found(layout: Layout, wanted: WantedEngine) -> engines.Stored:
    """An engine that was written a moment ago; AgentError (disk-failed) where it is not there."""
    stored = engines.find(layout, wanted.key, wanted.fields)
    if stored is None:
        where, what = str(layout.engines / wanted.key), "is not what was written a moment ago"
        raise AgentError(DISK_FAILED, where, what, "check the board's disk")
    return stored


def answer(stored: engines.Stored, wanted: WantedEngine, is_new: bool) -> dict[str, Any]:
    """What a job tells of an engine that is there now."""
    return {
        "path": str(stored.path),
        "fingerprint": wanted.key,
        "fields": wanted.fields,
        "built": is_new,
        "build_s": stored.build_s,
        "engine_bytes": stored.size_bytes,
        "layers": stored.layers,
    }


def _make(
    job: BuildJob,
    model: Path,
    partial: Path,
    timings: Path | None,
    program: trtexec.Trtexec | None,
    events: Events,
) -> dict[str, Any]:
    """Have the engine written into a hidden folder; what the builder told of it."""
    layout = Layout(job.root)
    request = EngineJob(
        model=model,
        plan=partial / engines.PLAN_NAME,
        timing_cache=partial / _TIMINGS,
        precision=job.precision,
        typing=job.typing,
        module=job.module,
        workspace_bytes=job.workspace_bytes,
    )
    # The builder writes to a copy: what was measured before must outlive a builder that dies.
    known = timings if timings is not None and timings.is_file() else None
    if known is None and job.timings is not None:
        # Of an identical board, whose builder measured the same layers.
        known = checked_blob(layout, job.timings)
    if known is not None:
        disk.write_whole(request.timing_cache, known.read_bytes(), layout.temporary())
    limits = ProcessLimits(job.timeout_s, job.reserve_bytes)
    if program is None:
        told = _by_module(request, limits, events)
    else:
        told = _by_program(program, request, limits)
    if timings is not None and request.timing_cache.is_file():
        disk.write_whole(timings, request.timing_cache.read_bytes(), layout.temporary())
    return told


def _version(board: Board, program: trtexec.Trtexec | None) -> str:
    return board.module or (program.version if program else None) or "unknown"


def _model(manifest: ReleaseManifest, job: BuildJob) -> Path:
    name = job.model or manifest.runtime.model
    if name not in {entry.path for entry in manifest.files}:
        what = f"is '{name}', which is no file of the release"
        raise AgentError(BAD_JOB, "model", what, "name one that its manifest lists")
    return manifest.folder / name


def _program(board: Board, reader: Reader) -> trtexec.Trtexec:
    if board.trtexec is None:
        # A module that is there and cannot be imported has left its own reason.
        broken = [text for name, text in reader.not_readable.items() if name.startswith("packages")]
        what = "no TensorRT on this board: neither its Python module nor trtexec"
        raise AgentError(MISSING_ENGINE, "tensorrt", "; ".join([what, *broken]), INSTALL)
    return trtexec.examine(board.trtexec)


def _by_module(request: EngineJob, limits: ProcessLimits, events: Events) -> dict[str, Any]:
    last: dict[str, Any] = {}

    def on_line(line: bytes) -> bool:
        try:
            event = json.loads(line.decode("utf-8"))
        except ValueError:
            return False
        if event["event"] == "progress":
            events.progress(event["stage"], event["done"], event["total"])
            return False
        last.update(event)
        return True

    content = json.dumps(request._asdict(), default=str).encode("ascii")
    arguments = [sys.executable, *agent_command(), "build-engine", "-"]
    ended = supervise(arguments, content, limits, on_line, _where(request))
    kind = last.pop("event", None)
    if kind == "error":
        raise Reported(str(last["kind"]), str(last["message"]))
    if kind != "result":
        raise _died(request, ended)
    return last


def _by_program(
    program: trtexec.Trtexec, request: EngineJob, limits: ProcessLimits
) -> dict[str, Any]:
    layers = request.plan.with_name(_INSPECTED)
    flags = trtexec.flags(program, request)
    start_s = time.monotonic()
    ended = supervise(
        trtexec.command(program, request, layers), b"", limits, lambda _: False, _where(request)
    )
    if ended.status != 0 or not request.plan.is_file():
        raise _died(request, ended)
    return {
        "version": program.version,
        "flags": flags,
        "build_s": time.monotonic() - start_s,
        "layers": parse_layers(layers.read_text("utf-8")) if layers.is_file() else [],
    }


def _where(request: EngineJob) -> str:
    return f"builder of {request.model.name}"


def _died(request: EngineJob, ended: Ended) -> AgentError:
    if ended.status == -signal.SIGKILL:
        what = f"was killed, as the system does when memory runs out ({ended.reason})"
        remedy = "stop other programs, add swap, or lower limits.workspace_bytes in the target"
        return AgentError(OUT_OF_MEMORY, _where(request), what, remedy)
    return converted(_where(request), "ended without an engine", ended.reason)
