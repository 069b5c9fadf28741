"""Releases: folders of links to blobs, whole and checked before they are visible."""

from __future__ import annotations

import binascii
import hashlib
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import BAD_ARTIFACT, NO_RELEASE, AgentError, raise_problems
from ..manifest import MANIFEST_NAME, SIGNATURE_NAME, FileEntry
from ..names import unique
from . import disk
from .blobs import commit, hash_of, is_file
from .contents import MAX_MANIFEST_BYTES, read_files
from .layout import points_to

if TYPE_CHECKING:
    from ..wire.arguments import Arguments
    from .session import AgentSession

PUSH_AGAIN = "push the release again"


def release(session: AgentSession, arguments: Arguments) -> dict[str, Any]:
    """Make a release of blobs that are there, or mend one; AgentError (bad-artifact) lists why not.

    A release that is there stays as it is, but for a signature: one that is given replaces its own.
    AgentError (not-signed) where the device's own signers made that and not the one given.
    """
    digest = arguments.hash("id")
    encoded = arguments.optional_text("signature")
    signature = _decoded(arguments, encoded)
    arguments.check()
    session.enter()
    session.releases.add(digest)
    commit(session)
    # A blob that was found may have got its name from a session that was killed right after.
    disk.sync(session.layout.blobs)
    files = _check_blobs(session, digest)
    folder = session.layout.releases / digest
    links = {entry.path: entry.sha256 for entry in files}
    links[MANIFEST_NAME] = digest
    targets = {name: f"../../blobs/sha256/{blob}" for name, blob in links.items()}
    if not _is_folder(folder):
        _make(session, folder, targets, signature)
        return {"path": str(folder), "new": True}
    signature_path = folder / SIGNATURE_NAME
    if signature is not None:
        from .signature import check_replacement

        manifest = session.layout.blob(digest)
        check_replacement(session.layout, signature_path, manifest, signature)
    is_changed = _mend(session, folder, targets)
    if signature is not None:
        if signature_path.is_dir():
            disk.remove_tree(signature_path)
        disk.write_whole(signature_path, signature, session.layout.temporary())
    disk.sync(folder)
    disk.sync(session.layout.releases)
    return {"path": str(folder), "new": is_changed}


def check(session: AgentSession, digest: str) -> Path:
    """The folder of a release, every byte of which was checked against its id.

    AgentError: no-release, or bad-artifact with everything that is wrong.
    """
    folder = session.layout.releases / digest
    if not _is_folder(folder):
        raise AgentError(NO_RELEASE, str(folder), "is not there", "push the release first")
    manifest = folder / MANIFEST_NAME
    if not is_file(session.layout.blob(digest)) or not manifest.is_file():
        raise AgentError(BAD_ARTIFACT, str(manifest), "is not a file", PUSH_AGAIN)
    if manifest.stat().st_size > MAX_MANIFEST_BYTES:
        raise AgentError(BAD_ARTIFACT, str(manifest), "is too large", PUSH_AGAIN)
    raw = manifest.read_bytes()
    found = hashlib.sha256(raw).hexdigest()
    if found != digest:
        session.damaged.add(digest)
        what = f"has sha256 {found}, and the release is {digest}"
        raise AgentError(BAD_ARTIFACT, str(manifest), what, PUSH_AGAIN)
    files = read_files(raw, manifest)
    problems = []
    for entry in files:
        problems += _check_file(session, folder, entry)
    known = {entry.path for entry in files} | {MANIFEST_NAME, SIGNATURE_NAME}
    extra = sorted(path.name for path in folder.iterdir() if path.name not in known)
    problems += [f"{name} is not in the manifest" for name in extra]
    raise_problems(BAD_ARTIFACT, str(folder), problems, PUSH_AGAIN)
    return folder


def describe(session: AgentSession) -> list[dict[str, Any]]:
    """All releases: id, bytes, and whether a signature is there."""
    if not session.layout.releases.is_dir():
        return []
    return [
        {
            "id": folder.name,
            "bytes": sum(_size_bytes(path) for path in folder.iterdir()),
            "signed": is_file(folder / SIGNATURE_NAME),
        }
        for folder in sorted(session.layout.releases.iterdir())
        if not folder.name.startswith(".") and _is_folder(folder)
    ]


def _decoded(arguments: Arguments, encoded: str | None) -> bytes | None:
    try:
        return None if encoded is None else binascii.a2b_base64(encoded)
    except ValueError:
        arguments.note("signature", "is not base64")
        return None


def _check_blobs(session: AgentSession, digest: str) -> tuple[FileEntry, ...]:
    """The files of the release whose manifest is the blob `digest`, all there as it says."""
    path = session.layout.blob(digest)
    if not is_file(path):
        raise AgentError(BAD_ARTIFACT, str(path), "is not there or no file", PUSH_AGAIN)
    size_bytes = path.stat().st_size
    if size_bytes > MAX_MANIFEST_BYTES:
        session.damaged.add(digest)
        what = f"has {size_bytes} bytes; a manifest has at most {MAX_MANIFEST_BYTES}"
        raise AgentError(BAD_ARTIFACT, str(path), what, "build the release again")
    raw = path.read_bytes()
    if hashlib.sha256(raw).hexdigest() != digest:
        session.damaged.add(digest)
        raise AgentError(BAD_ARTIFACT, str(path), "is not what its name says", PUSH_AGAIN)
    files = read_files(raw, path)
    problems = []
    for entry in files:
        blob = session.layout.blob(entry.sha256)
        if not is_file(blob):
            problems.append(f"{entry.path} (blob {entry.sha256}) is not there or no file")
        elif blob.stat().st_size != entry.size_bytes:
            count = blob.stat().st_size
            problems.append(f"{entry.path} has {count} bytes, expected {entry.size_bytes}")
            # Not read to see which is wrong, as it may be of any size; to send it again tells.
            session.damaged.add(entry.sha256)
    raise_problems(BAD_ARTIFACT, str(path), problems, PUSH_AGAIN)
    return files


def _make(
    session: AgentSession, folder: Path, targets: dict[str, str], signature: bytes | None
) -> None:
    partial = folder.with_name(f".{folder.name}.{unique()}.partial")
    disk.mkdir(partial)
    for name, target in targets.items():
        disk.symlink(target, partial / name)
    if signature is not None:
        disk.write_whole(partial / SIGNATURE_NAME, signature, session.layout.temporary())
    disk.sync(partial)
    if os.path.lexists(str(folder)) and not _is_folder(folder):
        disk.remove_tree(folder)
    try:
        disk.rename(partial, folder)
    except OSError:
        disk.remove_tree(partial)
        # Another session may have been faster with the very same.
        if not _is_folder(folder):
            raise
    disk.sync(session.layout.releases)


def _mend(session: AgentSession, folder: Path, targets: dict[str, str]) -> bool:
    """Make a release's links what they must be, one at a time; whether any was not.

    Never the whole folder at once: it may be the one in use, and must not be away for an instant.
    """
    is_changed = False
    for path in list(folder.iterdir()):
        if path.name not in targets and path.name != SIGNATURE_NAME:
            disk.remove_tree(path)
            is_changed = True
    for name, target in targets.items():
        path = folder / name
        if not points_to(path, target):
            if path.is_dir() and not path.is_symlink():
                disk.remove_tree(path)
            disk.link_whole(target, path, session.layout.temporary())
            is_changed = True
    return is_changed


def _check_file(session: AgentSession, folder: Path, entry: FileEntry) -> list[str]:
    blob = session.layout.blob(entry.sha256)
    if not points_to(folder / entry.path, f"../../blobs/sha256/{entry.sha256}"):
        return [f"{entry.path} is no link to its blob"]
    if not is_file(blob):
        return [f"{entry.path} is not there or no file"]
    size_bytes = blob.stat().st_size
    digest = hash_of(blob) if size_bytes == entry.size_bytes else None
    if digest == entry.sha256:
        return []
    session.damaged.add(entry.sha256)
    if digest is None:
        return [f"{entry.path} has {size_bytes} bytes, expected {entry.size_bytes}"]
    return [f"{entry.path} has sha256 {digest}, expected {entry.sha256}"]


def _is_folder(path: Path) -> bool:
    try:
        return stat.S_ISDIR(path.lstat().st_mode)
    except OSError:
        return False


def _size_bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
