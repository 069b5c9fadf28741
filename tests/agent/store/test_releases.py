"""Releases: whole or not there, whatever the manifest says and whoever touched the store."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, Callable, Dict, List

import pytest

from edgeq.agent.store.layout import points_to

from ..serving import Host, current_of, files_of, manifest_of, sha256

if TYPE_CHECKING:
    from pathlib import Path

Connect = Callable[..., Host]


def refusal(host: Host, raw: bytes) -> str:
    """The message with which a manifest is refused, as bad-artifact."""
    digest = host.put(raw)
    kind, message = host.refused("release", id=digest)
    assert kind == "bad-artifact"
    return message


def with_entry(name: str, **changed: Any) -> bytes:
    """A manifest of two good files and a third of this name."""
    document = json.loads(manifest_of(files_of("x")).decode())
    entry = document["files"]["plan.json"]
    document["files"][name] = {**entry, **changed}
    return json.dumps(document).encode()


@pytest.fixture
def stocked(host: Host) -> Host:
    """A session whose root has the blobs of `files_of("x")`."""
    for content in files_of("x").values():
        host.put(content)
    host.do("commit")
    return host


def visible(root: Path) -> List[str]:
    return sorted(path.name for path in (root / "releases").iterdir())


def test_release_is_links_to_blobs_that_survive_a_move(host: Host, root: Path) -> None:
    digest = host.push("a")
    host.activate(digest)
    assert current_of(root) == digest
    moved = root.with_name("moved")
    root.rename(moved)
    assert current_of(moved) == digest
    links = sorted(path.name for path in (moved / "releases" / digest).iterdir())
    assert links == ["manifest.json", "model.onnx", "plan.json"]


def test_same_release_again_changes_nothing(host: Host, root: Path) -> None:
    digest = host.push("a")
    inode = (root / "releases" / digest).stat().st_ino
    assert host.do("release", id=digest, signature=None)["new"] is False
    assert (root / "releases" / digest).stat().st_ino == inode


@pytest.mark.parametrize(
    "name",
    [
        "/etc/cron.d/x",
        "../x",
        "a/../../x",
        "folder/x",
        "..",
        ".",
        "",
        ".hidden",
        "a\\b",
        "a\nb",
        "a\x00b",
        "-rf",
        "ü",
        "manifest.json",
        "manifest.json.sig",
        "x" * 300,
    ],
)
def test_name_that_is_not_plain_is_refused(stocked: Host, root: Path, name: str) -> None:
    assert refusal(stocked, with_entry(name))
    assert visible(root) == []
    outside = {path.name for path in root.parent.iterdir()} - {root.name}
    assert not {"x", "b"} & outside


@pytest.mark.parametrize(
    "changed, said",
    [
        ({"bytes": 10_000_000_000}, "expected 10000000000"),
        ({"bytes": 0}, "expected 0"),
        ({"bytes": -1}, "must be at least 0"),
        ({"bytes": 1.5}, "must be a whole number"),
        ({"sha256": "0" * 64}, "is not there"),
        ({"sha256": "../../../etc/passwd"}, "64 hexadecimal"),
        ({"sha256": "A" * 64}, "64 hexadecimal"),
        ({"sha256": None}, "must be a string"),
    ],
)
def test_entry_that_does_not_fit_is_named(
    stocked: Host, root: Path, changed: Dict[str, Any], said: str
) -> None:
    message = refusal(stocked, with_entry("third.bin", **changed))
    assert "third.bin" in message and said in message
    assert visible(root) == []


def test_all_that_is_missing_is_listed(stocked: Host) -> None:
    document = json.loads(with_entry("a.bin", sha256="1" * 64).decode())
    document["files"]["b.bin"] = {"sha256": "2" * 64, "bytes": 3}
    message = refusal(stocked, json.dumps(document).encode())
    assert "a.bin" in message and "b.bin" in message and "2 problems" in message


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\xff\xfe\x00",
        b"null",
        b"[]",
        b"{}",
        b"[" * 200_000,
        b'{"files":' * 100_000,
        b'{"format": ' + b"9" * 1_000_000 + b"}",
        b'{"format": 2}',
        b'{"format": NaN}',
        b"{" + b" " * (17 << 20) + b"}",
    ],
)
def test_manifest_that_is_none_is_refused_quickly(stocked: Host, raw: bytes) -> None:
    assert len(refusal(stocked, raw)) < 3000


def test_key_that_is_there_twice_is_refused(stocked: Host) -> None:
    raw = manifest_of(files_of("x"))
    twice = raw.replace(b'"files": {', b'"files": {}, "files": {', 1)
    assert "'files' is there twice" in refusal(stocked, twice)


def test_manifest_that_was_never_sent_is_refused(host: Host) -> None:
    assert host.refused("release", id="0" * 64)[0] == "bad-artifact"


@pytest.mark.parametrize("what", ["link", "fifo", "folder", "nothing"])
def test_blob_that_is_no_file_is_not_linked_to(stocked: Host, root: Path, what: str) -> None:
    raw = files_of("x")["model.onnx"]
    digest = stocked.put(manifest_of(files_of("x")))
    blob = root / "blobs" / "sha256" / sha256(raw)
    blob.unlink()
    if what == "link":
        (root / "elsewhere").write_bytes(raw)
        blob.symlink_to(root / "elsewhere")
    elif what == "fifo":
        os.mkfifo(str(blob))
    elif what == "folder":
        blob.mkdir()
    kind, message = stocked.refused("release", id=digest)
    assert kind == "bad-artifact" and "model.onnx" in message
    # Sending it again is all it takes.
    stocked.push("x")
    stocked.activate(digest)
    assert current_of(root) == digest


def test_release_that_is_not_there_is_not_activated(host: Host, root: Path) -> None:
    first = host.push("a")
    host.activate(first)
    assert host.refused("activate", id="0" * 64, signers=[])[0] == "no-release"
    assert current_of(root) == first


def spoil_file(folder: Path) -> None:
    path = (folder / "model.onnx").resolve()
    path.write_bytes(bytes(path.stat().st_size))


def shorten_file(folder: Path) -> None:
    (folder / "model.onnx").resolve().write_bytes(b"short")


def spoil_manifest(folder: Path) -> None:
    path = (folder / "manifest.json").resolve()
    path.write_bytes(path.read_bytes() + b" ")


def redirect(folder: Path) -> None:
    content = (folder / "model.onnx").read_bytes()
    (folder / "model.onnx").unlink()
    (folder / "model.onnx").write_bytes(content)


def add_file(folder: Path) -> None:
    (folder / "extra.so").write_bytes(b"harmful")


@pytest.mark.parametrize("spoil", [spoil_file, shorten_file, spoil_manifest, redirect, add_file])
def test_spoiled_release_is_not_activated_and_a_push_mends_it(
    host: Host, connect: Connect, root: Path, spoil: Callable[[Path], None]
) -> None:
    first, second = host.push("a"), host.push("b")
    host.activate(first)
    spoil(root / "releases" / second)
    kind, message = host.refused("activate", id=second, signers=[])
    assert kind == "bad-artifact"
    expected = {"spoil_manifest": "manifest.json", "add_file": "extra.so"}
    assert expected.get(spoil.__name__, "model.onnx") in message
    assert current_of(root) == first
    assert host.push("b") == second
    host.activate(second)
    assert current_of(root) == second


def test_release_in_use_is_mended_in_its_place(host: Host, root: Path) -> None:
    digest = host.push("a")
    host.activate(digest)
    folder = root / "releases" / digest
    inode = folder.stat().st_ino
    (folder / "model.onnx").unlink()
    assert host.do("release", id=digest)["new"] is True
    assert folder.stat().st_ino == inode and current_of(root) == digest


def test_previous_is_what_was_current_before(host: Host, root: Path) -> None:
    first, second, third = (host.push(note) for note in "123")
    seen = [host.activate(digest) for digest in (first, first, second, third)]
    assert seen == [
        {"current": first, "previous": None},
        {"current": first, "previous": None},
        {"current": second, "previous": first},
        {"current": third, "previous": second},
    ]
    assert (root / "previous").resolve().name == second


def test_second_rollback_does_not_bring_back_what_the_first_one_left(
    host: Host, root: Path
) -> None:
    assert host.refused("rollback", signers=[])[0] == "no-release"
    first, second = host.push("1"), host.push("2")
    host.activate(first)
    assert host.refused("rollback", signers=[])[0] == "no-release"
    host.activate(second)
    assert host.refused("rollback", signers=[], forth=True)[0] == "no-release"
    assert host.do("rollback", signers=[]) == {"current": first, "previous": second}
    kind, message = host.refused("rollback", signers=[])
    assert kind == "no-release" and f"rolled back already, from {second[:12]}" in message
    # Nor does activating what is current make it a release to go back to.
    host.activate(first)
    assert host.refused("rollback", signers=[])[0] == "no-release"
    assert current_of(root) == first and host.do("status")["rolled_back"] is True
    assert host.do("rollback", signers=[], forth=True) == {"current": second, "previous": first}
    assert current_of(root) == second and host.do("status")["rolled_back"] is False
    assert host.do("rollback", signers=[]) == {"current": first, "previous": second}


def test_release_after_a_rollback_is_gone_back_from_to_the_good_one(host: Host, root: Path) -> None:
    good, bad, newer = (host.push(note) for note in "123")
    for digest in (good, bad):
        host.activate(digest)
    host.do("rollback", signers=[])
    assert host.activate(newer) == {"current": newer, "previous": good}
    assert host.do("rollback", signers=[]) == {"current": good, "previous": newer}


def test_rollback_checks_what_it_goes_back_to(host: Host, root: Path) -> None:
    first, second = host.push("1"), host.push("2")
    host.activate(first)
    host.activate(second)
    spoil_file(root / "releases" / first)
    assert host.refused("rollback", signers=[])[0] == "bad-artifact"
    assert current_of(root) == second


def test_restoring_a_named_release_twice_is_restoring_it_once(host: Host, root: Path) -> None:
    good, bad, other = (host.push(note) for note in "123")
    host.activate(good)
    host.activate(bad)
    for _ in range(2):
        back = host.do("restore", id=good, signers=[], generation=None)
        assert back == {"current": good, "previous": bad}
    # What was gone back from is nothing to go back to, and neither is a release that is not there.
    assert host.refused("rollback", signers=[])[0] == "no-release"
    assert host.refused("restore", id="0" * 64, signers=[], generation=None)[0] == "no-release"
    spoil_file(root / "releases" / other)
    assert host.refused("restore", id=other, signers=[], generation=None)[0] == "bad-artifact"
    assert current_of(root) == good


@pytest.mark.parametrize("op", ["activate", "restore"])
def test_older_controller_changes_nothing_once_a_newer_one_has_claimed(
    host: Host, root: Path, op: str
) -> None:
    first, second = host.push("1"), host.push("2")
    host.activate(first)
    assert host.refused("claim", generation=7)[0] == "not-locked"
    host.lock()
    host.do("claim", generation=7)
    host.do("claim", generation=7)
    for asked in ({"op": "claim"}, {"op": op, "id": second, "signers": []}):
        kind, message = host.refused(**asked, generation=6)
        assert kind == "superseded" and "(7)" in message and str(root / "generation") in message
    assert current_of(root) == first
    assert host.do(op, id=second, signers=[], generation=7)["current"] == second
    # Who is no controller of roll-outs is not asked for one.
    assert host.do("activate", id=first, signers=[])["current"] == first
    host.do("claim", generation=8)
    assert (root / "generation").read_text() == "8\n"


def test_generation_that_is_damaged_is_none(host: Host, root: Path) -> None:
    host.lock()
    for content in (b"", b"soon\n", b"9" * 400, b"\xff\n"):
        (root / "generation").write_bytes(content)
        host.do("claim", generation=1)
        assert (root / "generation").read_text() == "1\n"


def test_root_of_an_older_edgeq_is_taken_over(host: Host, root: Path) -> None:
    first, second, third = (host.push(note) for note in "123")
    (root / "current").symlink_to(f"releases/{second}")
    (root / "previous").symlink_to(f"releases/{first}")
    status = host.do("status")
    assert (status["current"], status["previous"]) == (second, first)
    assert host.activate(third) == {"current": third, "previous": second}
    assert current_of(root) == third
    assert points_to(root / "current", "state/current")


def test_activating_what_is_current_takes_an_older_root_over_too(host: Host, root: Path) -> None:
    first, second = (host.push(note) for note in "12")
    (root / "current").symlink_to(f"releases/{second}")
    (root / "previous").symlink_to(f"releases/{first}")
    assert host.activate(second) == {"current": second, "previous": first}
    assert points_to(root / "previous", "state/previous")
    assert host.do("rollback", signers=[]) == {"current": first, "previous": second}
    assert current_of(root) == first


def test_folder_in_the_place_of_current_is_reported(host: Host, root: Path) -> None:
    digest = host.push("1")
    (root / "current").mkdir()
    kind, message = host.refused("activate", id=digest, signers=[])
    assert kind == "not-a-folder" and str(root / "current") in message
    (root / "current").rmdir()
    host.activate(digest)
    assert current_of(root) == digest


def test_status_lists_releases(host: Host) -> None:
    first = host.push("1")
    second = host.push("2", signature="c2ln")
    host.activate(second)
    status = host.do("status")
    sizes = {one["id"]: (one["bytes"] > 4000, one["signed"]) for one in status["releases"]}
    assert sizes == {first: (True, False), second: (True, True)}
    assert (status["current"], status["previous"]) == (second, None)
    assert status["used_bytes"] > 8_000 and status["free_bytes"] > 0


def test_room_is_counted_against_limit_and_disk(host: Host) -> None:
    host.push("1")
    host.do("commit")
    figures = host.do("room", **{"limit_bytes": None}, raw=None, **{"bytes": 1000})
    used, free = figures["used_bytes"], figures["free_bytes"]
    host.do("room", raw=None, **{"bytes": 1000, "limit_bytes": used + 100_000_000})
    kind, message = host.refused("room", raw=None, **{"bytes": 5 << 20, "limit_bytes": used})
    assert kind == "no-room" and "5.0 MiB are to come" in message and "the limit is" in message
    kind, message = host.refused("room", raw=None, **{"bytes": free * 2, "limit_bytes": None})
    assert kind == "no-room" and "no limit" in message and "16.0 MiB stay free" in message


def test_room_is_made_by_a_collection(host: Host, connect: Connect) -> None:
    host.put(os.urandom(3 << 20))
    host.do("commit")
    host.hang_up()
    host.process.wait(timeout=5)
    after = connect()
    ask = {"bytes": 2 << 20, "limit_bytes": 4 << 20}
    assert after.refused("room", raw=None, **ask)[0] == "no-room"
    after.lock()
    assert after.do("room", raw=None, **ask)["used_bytes"] < 1 << 20
