from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgeq.device.local.transport import LocalTransport
from edgeq.device.sending import Sent, send_blobs
from edgeq.device.session.session import Session
from edgeq.errors import DeviceError, InputError


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def by_hash(*contents: bytes) -> dict[str, bytes]:
    return {sha256(content): content for content in contents}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "device"


@pytest.fixture
def session(root: Path) -> Iterator[Session]:
    session = Session(LocalTransport(), str(root))
    yield session
    session.close()


def blob(root: Path, content: bytes) -> Path:
    return root / "blobs" / "sha256" / sha256(content)


def part(root: Path, content: bytes) -> Path:
    folder = root / "incoming"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{sha256(content)}.part"


def test_blobs_arrive_whole(session: Session, root: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"from a file" * 1000)
    contents = {sha256(b"bytes"): b"bytes", sha256(b""): b""}
    file = {sha256(b"from a file" * 1000): tmp_path / "file"}
    assert send_blobs(session, {**contents, **file}) == Sent(3, 5 + 11000)
    for content in (b"bytes", b"", b"from a file" * 1000):
        assert blob(root, content).read_bytes() == content
    assert list((root / "incoming").iterdir()) == []


def test_what_is_there_is_not_sent(session: Session) -> None:
    send_blobs(session, by_hash(b"a", b"b"))
    before = session.sent_bytes
    assert send_blobs(session, by_hash(b"a", b"b")) == Sent()
    assert session.sent_bytes - before < 300
    assert send_blobs(session, by_hash(b"a", b"b", b"c")) == Sent(1, 1)


def test_many_small_blobs(session: Session, root: Path) -> None:
    contents = by_hash(*(f"blob {number}".encode() * 500 for number in range(700)))
    assert send_blobs(session, contents).blobs == 700
    assert len(list((root / "blobs" / "sha256").iterdir())) == 700


@pytest.mark.parametrize("there", [1, 65536, 999_999, 1_000_000])
def test_a_push_goes_on_where_it_stopped(session: Session, root: Path, there: int) -> None:
    content = bytes(range(256)) * 3906 + bytes(64)
    part(root, content).write_bytes(content[:there])
    assert send_blobs(session, by_hash(content)) == Sent(1, len(content) - there)
    assert blob(root, content).read_bytes() == content


@pytest.mark.parametrize("left", [b"x" * 500, b"x" * 1000, b"x" * 2000])
def test_damaged_part_is_sent_anew(session: Session, root: Path, left: bytes) -> None:
    content = b"right" * 200
    part(root, content).write_bytes(left)
    send_blobs(session, by_hash(content))
    assert blob(root, content).read_bytes() == content


def test_progress_counts_bytes_to_the_end(session: Session) -> None:
    seen: list[tuple[str, int, int]] = []
    contents = by_hash(bytes(5 << 20), b"small")
    send_blobs(session, contents, progress=lambda *event: seen.append(event))
    total = (5 << 20) + 5
    assert {(stage, whole) for stage, _, whole in seen} == {("push", total)}
    assert [done for _, done, _ in seen] == sorted(done for _, done, _ in seen)
    assert seen[-1][1] == total
    assert len(seen) >= 5


def test_too_much_for_the_limit_is_refused_before_anything_is_sent(
    session: Session, root: Path
) -> None:
    before = session.sent_bytes
    with pytest.raises(DeviceError, match=r"8\.0 MiB are to come.*the limit is 4\.0 MiB") as caught:
        send_blobs(session, by_hash(bytes(8 << 20)), limit_bytes=4 << 20)
    assert caught.value.kind == "no-room"
    assert session.sent_bytes - before < 1000
    assert list((root / "incoming").iterdir()) == []


def test_file_that_changed_is_named(session: Session, tmp_path: Path) -> None:
    file = tmp_path / "image.jpg"
    file.write_bytes(b"later")
    with pytest.raises(InputError, match=r"image\.jpg: changed while it was being sent"):
        send_blobs(session, {sha256(b"earlier"): file})
    assert session.ask("status")["current"] is None


def test_file_that_shrinks_while_it_is_sent_does_not_confuse(
    session: Session, tmp_path: Path
) -> None:
    content = b"full" * (1 << 20)
    file = tmp_path / "image.jpg"
    file.write_bytes(content)

    def shrink(stage: str, done: int, total: int) -> None:
        file.write_bytes(b"")

    with pytest.raises(InputError, match="changed while"):
        send_blobs(session, {sha256(content): file}, progress=shrink)
    assert session.ask("status")["current"] is None
