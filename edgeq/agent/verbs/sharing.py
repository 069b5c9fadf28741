"""The verbs `lend` and `adopt`: an engine goes from the board that built it to an identical one.

With it go its golden outputs: what it computed there for inputs that both boards make themselves.
An engine counts on the second board only when it computes the same there.
"""

from __future__ import annotations

import os
import shutil
import zipfile
from typing import TYPE_CHECKING, Any, Iterator

import numpy as np

from ..compile.fingerprint import fingerprint, timings_key
from ..errors import (
    BAD_ARTIFACT,
    BAD_BLOB,
    ENGINE,
    MISSING_ENGINE,
    NOT_SIGNED,
    AgentError,
    raise_problems,
)
from ..manifest import read_manifest
from ..runtimes.base import fit_tensor
from ..runtimes.tensorrt import load
from ..store import disk, engines
from ..store.blobs import check_hash, checked_blob, hash_of
from ..store.layout import Layout
from ..vision.letterbox import prepare
from .build import answer, examine, found
from .predict import OutputFile

if TYPE_CHECKING:
    from pathlib import Path

    from ..manifest import ReleaseInput
    from ..runtimes.tensorrt import TensorRtEngine
    from ..vision.arrays import Array, Bytes
    from ..wire.events import Events
    from ..wire.job import AdoptJob, LendJob

MIN_SNR_DB = 40.0
INPUTS = 3
_CHUNK_BYTES = 1 << 20
_BUILD = "build the engine on this board"


def lend(job: LendJob, events: Events) -> dict[str, Any]:
    """Write an engine and its golden outputs into files; the result holds their hashes.

    AgentError: missing-engine where there is none under this fingerprint, bad-artifact where it is
    another release's, engine or out-of-memory where it does not run.
    """
    layout = Layout(job.root)
    fields = engines.fields_of(layout.engines / job.fingerprint)
    stored = engines.find(layout, job.fingerprint, fields)
    if stored is None or fingerprint(fields) != job.fingerprint:
        raise AgentError(MISSING_ENGINE, job.fingerprint, "is no engine of this board", _BUILD)
    manifest = read_manifest(job.release)
    if fields.get("artifact") != manifest.id:
        what = f"was built of release {fields.get('artifact')}, and this is {manifest.id}"
        raise AgentError(BAD_ARTIFACT, job.fingerprint, what, "name the release of the engine")
    engine, golden = load(stored.path, 1), OutputFile(job.golden)
    for number, tensor in enumerate(inputs(manifest.preprocess)):
        golden.add(number, engine.run(fit_tensor(tensor, engine.input)))
        events.progress("lend", number + 1, INPUTS)
    golden.finish()
    shutil.copyfile(str(stored.path), str(job.plan))
    key = timings_key(fields)
    measured = engines.timings(layout, key)
    lends_timings = job.timings is not None and measured.is_file()
    if lends_timings:
        shutil.copyfile(str(measured), str(job.timings))
    return {
        "timings": key,
        "timings_hash": hash_of(measured) if lends_timings else None,
        "fields": fields,
        "plan": stored.sha256,
        "golden": hash_of(job.golden),
        "build_s": stored.build_s,
    }


def adopt(job: AdoptJob, events: Events) -> dict[str, Any]:
    """Take an engine and see that it computes here what it did there; the result is as `build`'s.

    Until then it lies where nothing looks for one. AgentError: engine with the fields that differ
    or the outputs that do, bad-blob, not-signed where this board demands signatures.
    """
    wanted = examine(job.wanted)
    _check_fields(wanted.fields, job.fields)
    layout = Layout(job.wanted.root)
    if layout.is_signed_only:
        # A release's signature says nothing of an engine that somebody else made of it.
        what = "this board demands signatures, and an engine carries none"
        raise AgentError(NOT_SIGNED, wanted.key, what, _BUILD)
    stored = engines.find(layout, wanted.key, wanted.fields)
    if stored is not None:
        return answer(stored, wanted, is_new=False)
    plan, golden = (checked_blob(layout, digest) for digest in (job.plan, job.golden))
    partial = engines.begin(layout, wanted.key)
    try:
        copy = partial / engines.PLAN_NAME
        _copy(plan, copy)
        check_hash(copy, job.plan)
        engine = load(copy, 1)
        different = _differences(engine, wanted.manifest.preprocess, golden, events)
        remedy = f"{_BUILD}, and look whether one of the two is damaged"
        raise_problems(ENGINE, "engine of an identical board", different, remedy)
        told = {
            "build_s": job.build_s,
            "version": engine.version,
            "flags": ["adopted"],
            "layers": engine.facts()["layers"],
        }
        engines.finish(layout, partial, wanted.fields, told)
    finally:
        if partial.is_dir():
            disk.remove_tree(partial)
    return answer(found(layout, wanted), wanted, is_new=False)


def inputs(preprocess: ReleaseInput) -> Iterator[Array]:
    """The tensors of the golden outputs: noise of single pixels, of 16 x 16 patches, and grey."""
    height, width = preprocess.size
    # Not default_rng: numpy promises the stream of this one for good.
    chance = np.random.RandomState(0)
    noise: Bytes = chance.randint(0, 256, (height, width, 3)).astype(np.uint8)
    patches = np.repeat(np.repeat(noise[::16, ::16], 16, axis=0), 16, axis=1)[:height, :width]
    grey = np.full((height, width, 3), 114, np.uint8)
    for pixels in (noise, np.ascontiguousarray(patches), grey):
        yield prepare(pixels, preprocess)[0]


def snr_db(expected: Array, given: Array) -> float:
    """Signal to noise of what was computed here, in dB; infinite where both are equal."""
    if expected.tobytes() == given.tobytes():
        return float("inf")
    with np.errstate(all="ignore"):
        signal = expected.astype(np.float64)
        noise = given.astype(np.float64) - signal
        powers = float(np.sum(signal * signal)), float(np.sum(noise * noise))
    if 0.0 in powers:
        # Zeros of both signs are equal.
        return float("inf" if powers[1] == 0.0 else "-inf")
    return float(10 * np.log10(powers[0] / powers[1]))


def _check_fields(here: dict[str, Any], there: dict[str, Any]) -> None:
    names = [name for name in sorted({*here, *there}) if here.get(name) != there.get(name)]
    different = [f"{name} is {here.get(name)!r} here and was {there.get(name)!r}" for name in names]
    raise_problems(ENGINE, "engine of another board", different, _BUILD)


def _copy(source: Path, target: Path) -> None:
    copy = disk.open_file(target)
    try:
        with source.open("rb") as stream:
            for piece in iter(lambda: stream.read(_CHUNK_BYTES), b""):
                disk.write(copy, piece)
    finally:
        os.close(copy.fd)


def _differences(
    engine: TensorRtEngine, preprocess: ReleaseInput, golden: Path, events: Events
) -> list[str]:
    """Each output that is not what it was on the board that built the engine."""
    found, left = [], _read(golden)
    for number, tensor in enumerate(inputs(preprocess)):
        for name, array in engine.run(fit_tensor(tensor, engine.input)):
            expected = left.pop(f"{number}/{name}", None)
            where = f"output '{name}' of input {number}"
            if expected is None:
                found.append(f"{where} was not there")
            elif (expected.shape, expected.dtype) != (array.shape, array.dtype):
                was = f"{list(expected.shape)} {expected.dtype}"
                found.append(f"{where} is {list(array.shape)} {array.dtype} and was {was}")
            else:
                ratio = snr_db(expected, array)
                if not ratio >= MIN_SNR_DB:
                    what = f"differs: {ratio:.1f} dB, at least {MIN_SNR_DB:g} dB are demanded"
                    found.append(f"{where} {what}")
        events.progress("adopt", number + 1, INPUTS)
    return [*found, *(f"output {name} is missing" for name in left)]


def _read(golden: Path) -> dict[str, Array]:
    try:
        with np.load(str(golden), allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (ValueError, EOFError, KeyError, AttributeError, zipfile.BadZipFile) as exc:
        what = f"cannot be read ({type(exc).__name__}: {exc})"
        raise AgentError(BAD_BLOB, f"golden outputs {golden.name}", what, _BUILD) from exc
