"""The verb `verify`: whether a release is what its manifest says, and its model runs here."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from ..errors import BAD_ARTIFACT, raise_problems
from ..manifest import (
    MANIFEST_NAME,
    REMEDY,
    SIGNATURE_NAME,
    FileEntry,
    ReleaseManifest,
    read_manifest,
)

if TYPE_CHECKING:
    from pathlib import Path

    from ..wire.events import Events
    from ..wire.job import VerifyJob

_CHUNK_BYTES = 1 << 20


def verify(job: VerifyJob, events: Events) -> dict[str, Any]:
    """Check id, sizes and hashes, then run the model once on zeros; the result says what ran.

    AgentError: bad-artifact with all problems at once; missing-engine, engine or out-of-memory.
    """
    manifest = read_manifest(job.release)
    problems = []
    if job.id is not None and job.id != manifest.id:
        problems.append(f"{MANIFEST_NAME} has the id {manifest.id}, expected {job.id}")
    for done, entry in enumerate(manifest.files, 1):
        problems += check_file(job.release, entry)
        events.progress("verify", done, len(manifest.files))
    problems += [f"{name} is not in the manifest" for name in extra_files(manifest)]
    raise_problems(BAD_ARTIFACT, str(job.release), problems, REMEDY)
    result: dict[str, Any] = {
        "release": manifest.id,
        "files": len(manifest.files),
        "bytes": sum(entry.size_bytes for entry in manifest.files),
    }
    return {**result, **_run_once(manifest, job)} if job.load else result


def check_file(folder: Path, entry: FileEntry) -> list[str]:
    """What is wrong with one file: missing, of another size, or of another content."""
    path = folder / entry.path
    try:
        size_bytes = path.stat().st_size
        if not path.is_file():
            return [f"{entry.path} is not a file"]
        if size_bytes != entry.size_bytes:
            return [f"{entry.path} has {size_bytes} bytes, expected {entry.size_bytes}"]
        digest = sha256_of(path)
    except OSError as exc:
        return [f"{entry.path} cannot be read ({exc.strerror})"]
    if digest != entry.sha256:
        return [f"{entry.path} has sha256 {digest}, expected {entry.sha256}"]
    return []


def sha256_of(path: Path) -> str:
    """The sha256 of a file as hexadecimal digits, read in pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        for chunk in iter(lambda: stream.read(_CHUNK_BYTES), b""):
            digest.update(chunk)
    return digest.hexdigest()


def extra_files(manifest: ReleaseManifest) -> list[str]:
    """Files in the folder that neither the manifest lists nor its signature is."""
    known = {entry.path for entry in manifest.files} | {MANIFEST_NAME, SIGNATURE_NAME}
    present = (path for path in manifest.folder.rglob("*") if not path.is_dir())
    names = {path.relative_to(manifest.folder).as_posix() for path in present}
    return sorted(names - known)


def _run_once(manifest: ReleaseManifest, job: VerifyJob) -> dict[str, Any]:
    # Not at the top: hashes are checked without what takes long to import.
    import numpy as np

    from ..runtimes.base import fit_tensor, load
    from ..vision.decode import decoder_for
    from .predict import output_fields

    decoder_for(manifest.task)  # one that this agent lacks
    engine = load(manifest, job.threads, job.graph_optimization, job.engine)
    preprocess = manifest.preprocess
    height, width = preprocess.size
    shape = (1, 3, height, width) if preprocess.layout == "nchw" else (1, height, width, 3)
    outputs = engine.run(fit_tensor(np.zeros(shape, preprocess.dtype), engine.input))
    return {
        "engine": {"name": engine.name, "version": engine.version},
        "input": {
            "name": engine.input.name,
            "shape": list(engine.input.shape),
            "dtype": engine.input.dtype,
        },
        "outputs": output_fields(outputs),
    }
