"""The artifact: files, the hash of each, and where they come from, under one content-derived id.

As a folder (`manifest.json` beside the files) or as one file (`.edgeq`, an uncompressed zip of
that folder). The id is the sha256 of the manifest, which holds the sha256 of everything else; it
knows no time and no path, so that the same inputs give the same id anywhere.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from edgeq import places
from edgeq.agent.errors import AgentError
from edgeq.agent.manifest import parse_manifest
from edgeq.cache import Cache
from edgeq.errors import EdgeqError, InputError, raise_all

CACHE = Cache("artifacts")
MANIFEST = "manifest.json"
SIGNATURE = "manifest.json.sig"
SUFFIX = ".edgeq"
_NAME = r"[A-Za-z0-9_][A-Za-z0-9._-]*"
"""Names of files; none can leave the folder."""
_EPOCH = (1980, 1, 1, 0, 0, 0)
_LARGEST_MANIFEST = 16 << 20
_LARGEST_SIGNATURE = 64 << 10
_BROKEN_ZIP = (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError)
"""What zipfile raises for files that are cut, damaged, encrypted or no zip at all."""


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class File(_Entry):
    """One file of an artifact."""

    sha256: str
    bytes: int


class Compile(_Entry):
    """How the device makes an engine of the model file; `typing` as in `Target.typing`."""

    precision: Literal["int8", "fp16"]
    typing: Literal["weak", "strong"]


class Engine(_Entry):
    """Which runtime loads which file, and how that is compiled there if it has to be."""

    name: str
    model: str
    compile: Compile | None = None
    delegate: Literal["xnnpack", "none"] = "xnnpack"
    """of LiteRT"""


class Task(_Entry):
    """How the agent decodes; the recipe's `task` without what only the host needs."""

    decoder: str
    classes: tuple[str, ...]
    score_threshold: float
    iou_threshold: float
    max_detections: int
    multi_label: bool
    mask_threshold: float


class Input(_Entry):
    """How the agent makes the input tensor."""

    size: tuple[int, int]
    letterbox: bool
    pad_value: int
    color: str
    scale: float
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    layout: str = "nchw"
    dtype: str = "float32"


class Manifest(_Entry):
    """Everything about an artifact but its files' content."""

    format: Literal[1] = 1
    runtime: Engine
    task: Task
    preprocess: Input
    files: dict[str, File]
    provenance: dict[str, Any]

    def encoded(self) -> bytes:
        """Canonical JSON; its sha256 is the artifact's id."""
        document = self.model_dump(mode="json")
        if self.runtime.compile is None:
            del document["runtime"]["compile"]
        if self.runtime.delegate == "xnnpack":
            del document["runtime"]["delegate"]
        return json.dumps(document, indent=1, sort_keys=True).encode() + b"\n"

    @property
    def id(self) -> str:
        """The artifact's id, 64 hexadecimal digits."""
        return hashlib.sha256(self.encoded()).hexdigest()


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


def describe(files: Mapping[str, bytes]) -> dict[str, File]:
    """The manifest's entries for files."""
    return {
        name: File(sha256=hashlib.sha256(content).hexdigest(), bytes=len(content))
        for name, content in sorted(files.items())
    }


def keep(manifest: Manifest, files: Mapping[str, bytes]) -> Artifact:
    """Put an artifact into the cache under its id, whole or not at all.

    Raises EdgeqError for a manifest that the agent would refuse: a fault of ours, and better found
    here than on a device.
    """
    try:
        parse_manifest(manifest.encoded(), CACHE.folder(manifest.id))
    except AgentError as exc:
        raise EdgeqError(exc.where, exc.what, exc.remedy) from exc
    content = {MANIFEST: manifest.encoded(), **files}
    return kept(manifest.id) or _place(content, manifest, CACHE.folder(manifest.id))


def kept(artifact_id: str) -> Artifact | None:
    """The artifact of that id, if it lies intact in the cache."""
    return _intact(CACHE.folder(artifact_id), artifact_id)


def _intact(folder: Path, artifact_id: str) -> Artifact | None:
    try:
        found = read(folder)
    except InputError:
        return None
    return found if found.id == artifact_id else None


def read(path: Path) -> Artifact:
    """An artifact from a folder or a single file, every hash checked.

    A single file is unpacked into the cache. Raises InputError(s): not an artifact, a file that is
    missing, changed or too many.
    """
    if path.is_file():
        return _unpack(path)
    try:
        manifest = _manifest(_small(path / MANIFEST, _LARGEST_MANIFEST), path)
        found = {file.name: _described(file, manifest) for file in path.iterdir()}
        signed = SIGNATURE in found
        signature = _small(path / SIGNATURE, _LARGEST_SIGNATURE) if signed else None
    except OSError as exc:
        raise InputError(str(path), f"is no artifact: no {MANIFEST}", "run 'edgeq build'") from exc
    _check(manifest, found, path)
    return Artifact(path, manifest, signature)


def _small(path: Path, limit: int) -> bytes:
    with path.open("rb") as stream:
        content = stream.read(limit + 1)
    if len(content) > limit:
        raise InputError(str(path), f"is larger than {limit >> 10} KiB", "build or copy it again")
    return content


def _described(path: Path, manifest: Manifest) -> File | None:
    """Size and hash of one file; None for what is no file. What has another size is not read."""
    if not path.is_file():
        return None
    size = path.stat().st_size
    expected = manifest.files.get(path.name)
    if expected is None or size != expected.bytes:
        return File(sha256="", bytes=size)
    with path.open("rb") as stream:
        return File(sha256=hashlib.file_digest(stream, "sha256").hexdigest(), bytes=size)


def copy(artifact: Artifact, destination: Path) -> Path:
    """Write the artifact to a new folder, or as one file where the name ends in `.edgeq`.

    An artifact that lies there already is replaced. Raises InputError where anything else would be
    lost, or where nothing can be written.
    """
    try:
        if destination.exists() and not _is_replaceable(destination):
            what = "exists and holds something else"
            raise InputError(str(destination), what, "name another place, or move that away")
        if destination.suffix == SUFFIX:
            places.write_whole(destination, pack(artifact))
            return destination
        _place(_contents(artifact), artifact.manifest, destination)
    except OSError as exc:
        what = f"cannot be written: {exc.strerror or exc}"
        raise InputError(str(destination), what, "name another place") from exc
    return destination


def _is_replaceable(place: Path) -> bool:
    """Whether a folder is empty, or an artifact (as a folder or file) with nothing else in it."""
    try:
        return (place.is_dir() and not any(place.iterdir())) or read(place) is not None
    except InputError:
        return False


def _contents(artifact: Artifact) -> dict[str, bytes]:
    files = {name: artifact.path(name).read_bytes() for name in sorted(artifact.manifest.files)}
    signature = {SIGNATURE: artifact.signature} if artifact.signature else {}
    return {MANIFEST: artifact.manifest.encoded(), **signature, **files}


def pack(artifact: Artifact) -> bytes:
    """The single-file form; the same artifact gives the same bytes."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as archive:
        for name, data in _contents(artifact).items():
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), data)
    return content.getvalue()


def _unpack(path: Path) -> Artifact:
    try:
        with zipfile.ZipFile(path) as archive:
            sizes = {info.filename: info.file_size for info in archive.infolist()}
            if sizes.get(MANIFEST, _LARGEST_MANIFEST + 1) > _LARGEST_MANIFEST:
                raise InputError(str(path), f"is no artifact: no {MANIFEST}", "run 'edgeq build'")
            manifest = _manifest(archive.read(MANIFEST), path)
            # Only what has the size that the manifest says is unpacked.
            right = {n for n, file in manifest.files.items() if sizes.get(n) == file.bytes}
            if sizes.get(SIGNATURE, _LARGEST_SIGNATURE + 1) <= _LARGEST_SIGNATURE:
                right.add(SIGNATURE)
            content = {name: archive.read(name) for name in right}
    except _BROKEN_ZIP as exc:
        raise InputError(str(path), f"is no artifact ({exc})", "run 'edgeq build'") from exc
    found = {name: File(sha256="", bytes=size) for name, size in sizes.items()}
    _check(manifest, {**found, **describe(content)}, path)
    files = {name: content[name] for name in manifest.files}
    return replace(keep(manifest, files), signature=content.get(SIGNATURE))


def _check(manifest: Manifest, found: Mapping[str, File | None], path: Path) -> None:
    """Raise InputError(s) for every file that is missing, changed or too many."""
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


def _difference(expected: File, found: File | None) -> str:
    if found is None:
        return "no regular file"
    if found.bytes != expected.bytes:
        return f"{found.bytes} bytes instead of {expected.bytes}"
    return "sha256 differs"


def _manifest(content: bytes, path: Path) -> Manifest:
    try:
        manifest = Manifest.model_validate_json(content)
    except ValidationError as exc:
        first = exc.errors()[0]
        what = f"its manifest is broken: {'.'.join(map(str, first['loc']))}: {first['msg']}"
        raise InputError(str(path), what, "build or copy it again") from exc
    names = [n for n in manifest.files if not re.fullmatch(_NAME, n) or n in (MANIFEST, SIGNATURE)]
    if names:
        raise InputError(str(path), f"its manifest names '{names[0]}'", "build it again")
    if manifest.runtime.model not in manifest.files:
        what = f"its model '{manifest.runtime.model}' is not among its files"
        raise InputError(str(path), what, "build it again")
    return manifest


def _place(content: Mapping[str, bytes], manifest: Manifest, folder: Path) -> Artifact:
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name[:20]}."))
    try:
        temporary.chmod(0o755)
        for name, data in content.items():
            places.write_whole(temporary / name, data)
        try:
            temporary.rename(folder)  # over nothing, or an empty folder
        except OSError:
            # Another process may have been faster; what is another or damaged gives way.
            if _intact(folder, manifest.id) is None:
                aside = temporary.with_name(f"{temporary.name}.old")
                folder.rename(aside)
                temporary.rename(folder)
                shutil.rmtree(aside, ignore_errors=True)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return Artifact(folder, manifest)
