"""The artifact as a folder: `manifest.json` beside the files, every hash checked."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edgeq import reading
from edgeq.agent.errors import AgentError
from edgeq.agent.manifest import parse_manifest
from edgeq.artifact.manifest import MANIFEST, SIGNATURE, FileHash, Manifest, parsed
from edgeq.errors import InputError, raise_all

LARGEST_MANIFEST = 16 << 20
LARGEST_SIGNATURE = 64 << 10


@dataclass(frozen=True)
class Artifact:
    """An artifact that lies whole in a folder, and the signature of its manifest if it has one."""

    folder: Path
    manifest: Manifest
    signature: bytes | None = None

    @property
    def id(self) -> str:
        """Hash of the manifest."""
        return self.manifest.id

    @property
    def size_bytes(self) -> int:
        """All files together, the manifest not counted."""
        return sum(file.bytes for file in self.manifest.files.values())

    def path(self, name: str) -> Path:
        """Where one of the files lies."""
        return self.folder / name


def read_folder(path: Path) -> Artifact:
    """An artifact from a folder, every hash checked. Raises InputError(s) as `read`."""
    if reason := reading.why_no_file(path / MANIFEST):
        raise InputError(str(path), f"is no artifact: {MANIFEST} {reason}", "run 'edgeq build'")
    manifest = parsed(reading.content(path / MANIFEST, LARGEST_MANIFEST), path)
    try:
        found = {file.name: _described(file, manifest) for file in path.iterdir()}
    except OSError as exc:
        raise InputError(str(path), f"cannot be read: {exc.strerror}", "check its rights") from exc
    signed = SIGNATURE in found
    signature = reading.content(path / SIGNATURE, LARGEST_SIGNATURE) if signed else None
    check(manifest, found, path)
    return Artifact(path, manifest, signature)


def _described(path: Path, manifest: Manifest) -> FileHash | None:
    """Size and hash of one file; None for what is no file. What has another size is not read."""
    if not path.is_file():
        return None
    size = path.stat().st_size
    expected = manifest.files.get(path.name)
    if expected is None or size != expected.bytes:
        return FileHash(sha256="", bytes=size)
    with path.open("rb") as stream:
        return FileHash(sha256=hashlib.file_digest(stream, "sha256").hexdigest(), bytes=size)


def contents(artifact: Artifact) -> dict[str, bytes]:
    """Every file of an artifact with its bytes, manifest and signature too."""
    files = {name: artifact.path(name).read_bytes() for name in sorted(artifact.manifest.files)}
    signature = {SIGNATURE: artifact.signature} if artifact.signature else {}
    return {MANIFEST: artifact.manifest.encoded(), **signature, **files}


def check(manifest: Manifest, found: Mapping[str, FileHash | None], path: Path) -> None:
    """Raise InputError(s) for every file that is missing, changed or too many.

    And for a manifest that the agent would refuse, which another version of edgeq may have written.
    """
    try:
        parse_manifest(manifest.encoded(), path)
    except AgentError as exc:
        raise InputError(str(path), exc.what, "build it again with this edgeq") from exc
    expected = manifest.files
    problems = dict.fromkeys(expected.keys() - found.keys(), "is missing")
    problems |= {
        name: f"is not what the manifest says ({_difference(expected[name], found[name])})"
        for name in expected.keys() & found.keys()
        if expected[name] != found[name]
    }
    extra = found.keys() - expected.keys() - {MANIFEST, SIGNATURE}
    problems |= dict.fromkeys(extra, "is not in the manifest")
    remedy = "build or copy it again"
    raise_all([InputError(f"{path}/{name}", problems[name], remedy) for name in sorted(problems)])


def _difference(expected: FileHash, found: FileHash | None) -> str:
    if found is None:
        return "no regular file"
    if found.bytes != expected.bytes:
        return f"{found.bytes} bytes instead of {expected.bytes}"
    return "sha256 differs"
