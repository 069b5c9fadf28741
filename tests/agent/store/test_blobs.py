"""Blobs: received byte by byte, resumed anywhere, never kept when they are not what they say."""

from __future__ import annotations

import fcntl
import os
import threading
import time
from typing import TYPE_CHECKING, Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ..serving import Host, eventually, sha256

if TYPE_CHECKING:
    from pathlib import Path

Connect = Callable[..., Host]
CONTENT = bytes(range(256)) * 20


def blob(root: Path, raw: bytes) -> Path:
    return root / "blobs" / "sha256" / sha256(raw)


def part(root: Path, raw: bytes) -> Path:
    return root / "incoming" / f"{sha256(raw)}.part"


def test_committed_blob_is_what_was_sent(host: Host, root: Path) -> None:
    host.put(CONTENT)
    assert not blob(root, CONTENT).exists()
    assert host.do("commit") == {"blobs": 1}
    assert blob(root, CONTENT).read_bytes() == CONTENT
    assert list((root / "incoming").iterdir()) == []
    assert host.do("commit") == {"blobs": 0}


def test_blob_that_is_there_is_not_taken_again(host: Host) -> None:
    host.put(CONTENT)
    head = {"hash": sha256(CONTENT), "size": len(CONTENT), "offset": 0}
    assert host.do("put", CONTENT, **head) == {"new": False}
    host.do("commit")
    assert host.do("put", CONTENT, **head) == {"new": False}
    assert host.do("commit") == {"blobs": 0}


def test_cut_keeps_every_byte_that_arrived(host: Host, connect: Connect, root: Path) -> None:
    host.announce("put", len(CONTENT), hash=sha256(CONTENT), size=len(CONTENT), offset=0)
    host.write(CONTENT[:1234])
    assert eventually(lambda: part(root, CONTENT).exists())
    assert eventually(lambda: part(root, CONTENT).stat().st_size == 1234)
    host.process.kill()
    host.process.wait()
    after = connect()
    found = after.do("have", hashes=[sha256(CONTENT)])
    assert found == {"missing": [sha256(CONTENT)], "partial": {sha256(CONTENT): 1234}}
    after.put(CONTENT, offset=1234)
    after.do("commit")
    assert blob(root, CONTENT).read_bytes() == CONTENT


@settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
@given(there=st.integers(0, len(CONTENT)), salt=st.binary(min_size=4, max_size=8))
def test_transfer_resumes_at_every_offset(host: Host, root: Path, there: int, salt: bytes) -> None:
    raw = salt + CONTENT[len(salt) :]
    host.do("commit")
    if not blob(root, raw).exists():
        part(root, raw).write_bytes(raw[:there])
    host.put(raw, offset=0 if blob(root, raw).exists() else there)
    host.do("commit")
    assert blob(root, raw).read_bytes() == raw


def test_part_that_is_whole_needs_no_more_bytes(host: Host, root: Path) -> None:
    host.do("commit")
    part(root, CONTENT).write_bytes(CONTENT)
    host.put(CONTENT, offset=len(CONTENT))
    assert host.do("commit") == {"blobs": 1}


def test_offset_where_nothing_ends_is_refused(host: Host, root: Path) -> None:
    host.do("commit")
    part(root, CONTENT).write_bytes(CONTENT[:100])
    for offset in (99, 101):
        kind, message = host.refused(
            "put", CONTENT[offset:], hash=sha256(CONTENT), size=len(CONTENT), offset=offset
        )
        assert kind == "bad-request" and "ends at 100 bytes" in message
    assert part(root, CONTENT).stat().st_size == 100


def test_wrong_content_is_refused_and_gone(host: Host, root: Path) -> None:
    head = {"hash": sha256(CONTENT), "size": len(CONTENT), "offset": 0}
    kind, message = host.refused("put", bytes(len(CONTENT)), **head)
    assert kind == "bad-blob" and sha256(CONTENT) in message
    assert list((root / "incoming").iterdir()) == []
    host.put(CONTENT)


def test_part_that_a_power_cut_spoiled_begins_anew(host: Host, root: Path) -> None:
    host.do("commit")
    part(root, CONTENT).write_bytes(bytes(3000))
    digest = sha256(CONTENT)
    assert host.do("have", hashes=[digest])["partial"] == {digest: 3000}
    head = {"hash": digest, "size": len(CONTENT), "offset": 3000}
    assert host.refused("put", CONTENT[3000:], **head)[0] == "bad-blob"
    assert host.do("have", hashes=[digest])["partial"] == {}
    host.put(CONTENT)
    assert host.do("commit") == {"blobs": 1}


def test_link_in_place_of_a_part_or_blob_is_not_followed(host: Host, root: Path) -> None:
    victim = root.parent / "victim"
    victim.write_text("untouched")
    host.do("commit")
    part(root, CONTENT).symlink_to(victim)
    blob(root, CONTENT).symlink_to(victim)
    assert host.do("have", hashes=[sha256(CONTENT)])["missing"] == [sha256(CONTENT)]
    host.put(CONTENT)
    host.do("commit")
    assert victim.read_text() == "untouched"
    assert not blob(root, CONTENT).is_symlink() and blob(root, CONTENT).read_bytes() == CONTENT


def test_damaged_blob_is_found_and_mended(host: Host, root: Path) -> None:
    host.put(CONTENT)
    host.do("commit")
    blob(root, CONTENT).write_bytes(bytes(len(CONTENT)))
    digest = sha256(CONTENT)
    assert host.do("have", hashes=[digest])["missing"] == []
    assert host.do("recheck", hashes=[digest, "0" * 64]) == {"damaged": [digest]}
    assert host.do("have", hashes=[digest])["missing"] == [digest]
    host.put(CONTENT)
    host.do("commit")
    assert blob(root, CONTENT).read_bytes() == CONTENT
    assert host.do("have", hashes=[digest])["missing"] == []


def test_two_sessions_send_the_same_blob_at_once(connect: Connect, root: Path) -> None:
    first, second = connect(), connect()
    head = {"hash": sha256(CONTENT), "size": len(CONTENT)}
    first.announce("put", len(CONTENT), **head, offset=0)
    first.write(CONTENT[:1000])
    assert eventually(lambda: part(root, CONTENT).exists())
    assert eventually(lambda: part(root, CONTENT).stat().st_size == 1000)
    # What is being received by another is nothing to go on from.
    assert second.do("have", hashes=[sha256(CONTENT)])["partial"] == {}
    assert second.refused("put", CONTENT[1000:], **head, offset=1000)[0] == "locked"
    second.put(CONTENT)
    first.write(CONTENT[1000:])
    assert first.answer() == {"ok": {"new": True}}
    assert second.do("commit") == {"blobs": 1}
    assert first.do("commit") == {"blobs": 1}
    assert blob(root, CONTENT).read_bytes() == CONTENT
    assert list((root / "incoming").iterdir()) == []


@pytest.mark.parametrize("more", [b"", CONTENT[100:]])
def test_part_that_another_session_holds_for_an_instant_is_gone_on_with(
    host: Host, root: Path, more: bytes
) -> None:
    host.do("commit")
    part(root, CONTENT).write_bytes(CONTENT[:100])
    with part(root, CONTENT).open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)

        def give_up() -> None:
            # One that only looked, or one that received the rest.
            other.write(more)
            other.flush()
            fcntl.flock(other, fcntl.LOCK_UN)

        timer = threading.Timer(0.3, give_up)
        timer.start()
        host.put(CONTENT, offset=100)
        timer.join()
    assert host.do("commit") == {"blobs": 1}
    assert blob(root, CONTENT).read_bytes() == CONTENT


def test_part_that_another_session_took_over_is_not_committed(connect: Connect, root: Path) -> None:
    first = connect()
    first.put(CONTENT)
    part(root, CONTENT).write_bytes(bytes(len(CONTENT)))
    kind, message = first.refused("commit")
    assert kind == "bad-blob" and "changed by another session" in message
    assert not blob(root, CONTENT).exists()


def test_many_small_blobs_are_one_sync(host: Host) -> None:
    blobs = [os.urandom(20_000) for _ in range(500)]
    start_s = time.monotonic()
    for raw in blobs:
        host.send("put", raw, hash=sha256(raw), size=len(raw), offset=0)
    host.send("commit")
    answers = [host.answer() for _ in range(501)]
    assert answers[-1] == {"ok": {"blobs": 500}}
    assert time.monotonic() - start_s < 5
