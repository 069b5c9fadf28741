"""The artifact as one file (`.edgeq`, an uncompressed zip of its folder), and either form."""

from __future__ import annotations

import io
import zipfile
import zlib
from dataclasses import replace
from pathlib import Path

from edgeq import places
from edgeq.artifact.folder import (
    LARGEST_MANIFEST,
    LARGEST_SIGNATURE,
    Artifact,
    check,
    contents,
    read_folder,
)
from edgeq.artifact.manifest import MANIFEST, SIGNATURE, FileHash, describe, parsed
from edgeq.artifact.shelf import keep, place_whole
from edgeq.errors import InputError

SUFFIX = ".edgeq"
_EPOCH = (1980, 1, 1, 0, 0, 0)
_BROKEN_ZIP = (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError)
"""What zipfile raises for files that are cut, damaged, encrypted or no zip at all."""


def read(path: Path) -> Artifact:
    """An artifact from a folder or a single file, every hash checked.

    A single file is unpacked into the cache. Raises InputError(s): not an artifact, a file that is
    missing, changed or too many.
    """
    return _unpack(path) if path.is_file() else read_folder(path)


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
        place_whole(contents(artifact), artifact.manifest, destination)
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


def pack(artifact: Artifact) -> bytes:
    """The single-file form; the same artifact gives the same bytes."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as archive:
        for name, data in contents(artifact).items():
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), data)
    return content.getvalue()


def _unpack(path: Path) -> Artifact:
    try:
        with zipfile.ZipFile(path) as archive:
            sizes = {info.filename: info.file_size for info in archive.infolist()}
            if sizes.get(MANIFEST, LARGEST_MANIFEST + 1) > LARGEST_MANIFEST:
                raise InputError(str(path), f"is no artifact: no {MANIFEST}", "run 'edgeq build'")
            manifest = parsed(archive.read(MANIFEST), path)
            # Only what has the size that the manifest says is unpacked.
            right = {n for n, file in manifest.files.items() if sizes.get(n) == file.bytes}
            if sizes.get(SIGNATURE, LARGEST_SIGNATURE + 1) <= LARGEST_SIGNATURE:
                right.add(SIGNATURE)
            content = {name: archive.read(name) for name in right}
    except _BROKEN_ZIP as exc:
        raise InputError(str(path), f"is no artifact ({exc})", "run 'edgeq build'") from exc
    found = {name: FileHash(sha256="", bytes=size) for name, size in sizes.items()}
    check(manifest, {**found, **describe(content)}, path)
    files = {name: content[name] for name in manifest.files}
    return replace(keep(manifest, files), signature=content.get(SIGNATURE))
