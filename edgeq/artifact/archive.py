"""The artifact as one file (`.edgeq`, an uncompressed zip of its folder), and either form."""

from __future__ import annotations

import io
import os
import struct
import zipfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from edgeq import places, reading
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
from edgeq.errors import InputError, raise_all

SUFFIX = ".edgeq"
_EPOCH = (1980, 1, 1, 0, 0, 0)
_BROKEN_ZIP = (zipfile.BadZipFile, struct.error, EOFError, OSError, RuntimeError, ValueError)
"""What zipfile raises for files that are cut, damaged or no zip at all."""
_ENCRYPTED = 1
_PIECE = 2**20
_AGAIN = "build or copy it again"


def read(path: Path) -> Artifact:
    """An artifact from a folder or a single file, every hash checked.

    A single file is unpacked into the cache. Raises InputError(s): not an artifact, a file that is
    missing, changed or too many.
    """
    return read_folder(path) if reading.why_no_file(path) else _unpack(path)


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
        with _Sparing(io.FileIO(path)) as file, zipfile.ZipFile(file) as archive:
            sizes = {info.filename: info.file_size for info in archive.infolist()}
            if sizes.get(MANIFEST, LARGEST_MANIFEST + 1) > LARGEST_MANIFEST:
                raise InputError(str(path), f"is no artifact: no {MANIFEST}", "run 'edgeq build'")
            _check_members(archive.infolist(), path)
            manifest = parsed(_member(archive, MANIFEST), path)
            # Only what has the size that the manifest says is unpacked.
            right = {n for n, file in manifest.files.items() if sizes.get(n) == file.bytes}
            if sizes.get(SIGNATURE, LARGEST_SIGNATURE + 1) <= LARGEST_SIGNATURE:
                right.add(SIGNATURE)
            content = {name: _member(archive, name) for name in right}
    except _BROKEN_ZIP as exc:
        raise InputError(str(path), f"is no artifact ({exc})", "run 'edgeq build'") from exc
    found = {name: FileHash(sha256="", bytes=size) for name, size in sizes.items()}
    check(manifest, {**found, **describe(content)}, path)
    files = {name: content[name] for name in manifest.files}
    return replace(keep(manifest, files), signature=content.get(SIGNATURE))


def _check_members(members: Sequence[zipfile.ZipInfo], path: Path) -> None:
    """InputError(s) for what `pack` does not write, before anything is unpacked.

    Stored as they are and each once, they cannot be more than the file itself.
    """
    problems = []
    for member, count in Counter(member.filename for member in members).items():
        if count > 1:
            problems.append(InputError(f"{path}/{member}", "is in it more than once", _AGAIN))
    for info in members:
        if info.flag_bits & _ENCRYPTED:
            problems.append(InputError(f"{path}/{info.filename}", "is encrypted", _AGAIN))
        elif info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size:
            what = "is compressed, where an artifact holds its files as they are"
            problems.append(InputError(f"{path}/{info.filename}", what, _AGAIN))
    claimed, size = sum(info.file_size for info in members), path.stat().st_size
    if not problems and claimed > size:
        what = f"claims to hold {claimed} bytes, and has {size} itself"
        problems.append(InputError(str(path), what, _AGAIN))
    raise_all(problems)


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    with archive.open(name) as member:
        return b"".join(iter(lambda: member.read(_PIECE), b""))


class _Sparing(io.BufferedReader):
    """A file that is not read at once, whatever size its directory claims to have."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or size < 0:
            size = os.fstat(self.fileno()).st_size - self.tell()
        if size > _PIECE:
            raise zipfile.BadZipFile("its list of files is too long")
        return super().read(size)
