"""Clients that mean harm, and files that somebody planted: nothing outside the root changes."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterator
from typing import Any

import pytest

from edgeq.device.session.session import Session

from .board.board import Board
from .boards_support import (
    MEGABYTE,
    current,
    device,
    host,
    install,
    listing,
    made,
    refusal,
    root,
    user,
)

__all__ = ["host", "user"]

GIB = 1 << 30
NAMES = (
    "/home/edge/planted",
    "../planted",
    "../../../planted",
    "folder/../../planted",
    "folder/planted",
    "..",
    ".",
    "",
    ".bashrc",
    "manifest.json",
    "manifest.json.sig",
    "a\nb",
    "a\0b",
    "name" * 100,
)
WRONG_FIELDS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("lock", {"who": 1, "what": [], "wait_s": "long"}),
    ("have", {"hashes": "all"}),
    ("room", {"bytes": -1}),
    ("activate", {"id": "0" * 64, "signers": "everyone"}),
    ("job", {"verb": "shell", "job": {}}),
    ("patience", {"seconds": 1e9}),
    ("put", {"hash": "0" * 64, "size": -1, "offset": 0}),
    ("put", {"hash": "0" * 64, "size": 10, "offset": 20}),
    ("shell", {"command": "touch /home/edge/planted"}),
)


@pytest.fixture
def session(host: Board) -> Iterator[Session]:
    """A client made by hand; afterwards nothing outside the root has changed."""
    with device(host) as board:
        install(board, made(1))
    disk = host.folder / "upper"
    before = listing(disk, "home/edge/.edgeq")
    with device(host) as board:
        yield board.session
    assert listing(disk, "home/edge/.edgeq") == before
    assert current(host) == made(1).id
    with device(host) as board:
        install(board, made(99))


def put(session: Session, content: bytes) -> str:
    """Send a blob; its hash."""
    digest = hashlib.sha256(content).hexdigest()
    head = {"hash": digest, "size": len(content), "offset": 0}
    session.send("put", head, len(content), [content])
    session.answer()
    return digest


def ask(session: Session, op: str, kind: str, **fields: Any) -> str:
    """Ask for what must be refused; the words."""
    return refusal(lambda: session.ask(op, fields), kind).what


def manifest(**files: dict[str, Any]) -> dict[str, Any]:
    """That of a good release, with these files besides."""
    document: dict[str, Any] = json.loads(made(1).manifest.encoded())
    document["files"].update(files)
    return document


def release(session: Session, document: dict[str, Any]) -> str:
    """Have it made a release, and activated; what the refusal says."""
    release_id = put(session, json.dumps(document).encode())
    words = ask(session, "release", "bad-artifact", id=release_id, signature=None)
    ask(session, "activate", "no-release", id=release_id, signers=[])
    return words


def test_name_that_leads_elsewhere_is_refused(session: Session) -> None:
    digest = put(session, b"planted")
    for name in NAMES:
        words = release(session, manifest(**{name: {"sha256": digest, "bytes": 7}}))
        assert "plain" in words, name


def test_hash_that_is_a_path_is_refused(session: Session) -> None:
    for digest in ("../../../../../../etc/passwd", "0" * 63, "A" * 64, ""):
        release(session, manifest(planted={"sha256": digest, "bytes": 7}))
        for op, fields in (
            ("put", {"hash": digest, "size": 0, "offset": 0, "bytes": 0}),
            ("have", {"hashes": [digest]}),
            ("release", {"id": digest, "signature": None}),
            ("activate", {"id": digest, "signers": []}),
        ):
            ask(session, op, "bad-request", **fields)


def test_file_elsewhere_is_refused(session: Session) -> None:
    for name in ("../planted", "/home/edge/planted", "..", ".hidden", "a/b", ""):
        session.send("write", {"name": name}, 7, [b"planted"])
        refusal(session.answer, "bad-request")
        ask(session, "get", "bad-request", name=name)
        ask(session, "remove", "bad-request", name=name)
        ask(session, "set", "bad-request", name=name, hashes=[])


def test_environment_elsewhere_is_refused(session: Session) -> None:
    for key in ("../planted", "current", "", "/tmp/planted"):
        ask(session, "environment", "bad-request", key=key, wheels={}, requirements=[])
    options = ["--target=/home/edge/planted"]
    ask(session, "environment", "bad-request", key="planted", wheels={}, requirements=options)


def test_manifest_that_is_none_is_refused(session: Session, host: Board) -> None:
    for content in (b"", b"[]", b"null", b"{" * 100_000, b"\xff", b'{"files": 1}', b"9" * 100_000):
        ask(session, "release", "bad-artifact", id=put(session, content), signature=None)
    assert len(list((root(host) / "releases").iterdir())) == 1


def test_planted_link_is_not_followed(session: Session, host: Board) -> None:
    passwd = (host.disk / "etc/passwd").read_bytes()
    digest = hashlib.sha256(passwd).hexdigest()
    (root(host) / "blobs/sha256" / digest).symlink_to("/etc/passwd")
    words = release(session, manifest(planted={"sha256": digest, "bytes": len(passwd)}))
    assert "is not there or no file" in words
    # Where something is to be received, a link leads nowhere either.
    content = b"planted"
    digest = hashlib.sha256(content).hexdigest()
    target = host.disk / "home/edge/target"
    (root(host) / "incoming" / f"{digest}.part").symlink_to("/home/edge/target")
    (root(host) / "blobs/sha256" / digest).symlink_to("/home/edge/target")
    put(session, content)
    session.ask("commit")
    blob = root(host) / "blobs/sha256" / digest
    assert not blob.is_symlink() and blob.read_bytes() == content
    assert not target.exists()


def test_planted_device_is_not_opened(session: Session, host: Board) -> None:
    for kind in (stat.S_IFCHR, stat.S_IFIFO, stat.S_IFDIR):
        content = f"{kind}".encode()
        digest = hashlib.sha256(content).hexdigest()
        blob = root(host) / "blobs/sha256" / digest
        part = root(host) / "incoming" / f"{digest}.part"
        for path in (blob, part):
            if kind == stat.S_IFDIR:
                path.mkdir()
            else:
                os.mknod(path, kind | 0o666, os.makedev(1, 5))  # /dev/zero, which has no end
        entry = {"sha256": digest, "bytes": len(content)}
        assert "is not there or no file" in release(session, manifest(planted=entry))
        put(session, content)
        session.ask("commit")
        assert blob.read_bytes() == content


def read_bytes(board: Board) -> int:
    """How much the agents that run on a board have read until now."""
    total = 0
    for line in (board.disk / "proc").glob("[0-9]*/cmdline"):
        if b"python" in line.read_bytes():
            counts = dict(row.split(": ") for row in (line.parent / "io").read_text().splitlines())
            total += int(counts["rchar"])
    return total


def test_files_of_ten_gibibytes_do_not_stop_a_push(host: Board) -> None:
    """Sparse, so that the disk has room for them."""
    one, other = made(2).manifest.files["model.onnx"], made(2).manifest.files["extra.json"]
    with device(host) as board:
        install(board, made(1))
        blob = root(host) / "blobs/sha256" / one.sha256
        part = root(host) / "incoming" / f"{other.sha256}.part"
        for path in (blob, part):
            with path.open("wb") as file:
                file.truncate(10 * GIB)
            os.chown(path, 1000, 1000)
        board.send(made(2))
        board.activate(made(2).id)
        # Nobody reads ten gibibytes to see that they are not a hundred kilobytes.
        assert 0 < read_bytes(host) < 100 * MEGABYTE
    assert current(host) == made(2).id
    assert blob.stat().st_size == one.bytes


def test_manifest_of_ten_gibibytes_is_not_read(host: Board) -> None:
    with device(host) as board:
        install(board, made(1))
        blob = root(host) / "blobs/sha256" / made(2).id
        with blob.open("wb") as file:
            file.truncate(10 * GIB)
        board.send(made(2))
        board.activate(made(2).id)
        assert 0 < read_bytes(host) < 100 * MEGABYTE
    assert current(host) == made(2).id


def test_request_without_end_ends_nothing(host: Board) -> None:
    with device(host) as board:
        session = board.session
        for begun in (b'{"op": "' + b"x" * (20 << 20), b"\xff\x00 no json", b"[", b"7"):
            session.process.write(begun)  # the line ends with that of the next request
            ask(session, "status", "bad-request")
        assert board.status().current is None


def test_fields_of_other_kinds_are_refused(host: Board) -> None:
    with device(host) as board:
        for op, fields in WRONG_FIELDS:
            ask(board.session, op, "bad-request", **fields)
