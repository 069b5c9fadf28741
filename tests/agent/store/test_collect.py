"""Collection keeps exactly what something refers to, against a simple model of a root."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import Callable, Dict, List, Optional, Set, Tuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.sampling import examples

from ..serving import Host, Inside, command, current_of, files_of, manifest_of, sha256
from ..unsynced import Log, record

Connect = Callable[..., Host]
NOTES = "abcde"
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["push", "activate", "rollback", "set", "put", "part", "collect", "anew"]),
        st.integers(0, 9),
    ),
    max_size=14,
)


def image(number: int) -> bytes:
    return f"image {number}".encode()


def blobs_of(note: str) -> Set[str]:
    manifest = manifest_of(files_of(note))
    return {sha256(manifest), *(sha256(content) for content in files_of(note).values())}


class Model:
    """What a root must hold."""

    def __init__(self) -> None:
        self.blobs: Set[str] = set()
        self.releases: Dict[str, str] = {}
        self.sets: List[Tuple[str, Set[str]]] = []
        self.current: Optional[str] = None
        self.previous: Optional[str] = None
        self.rolled_back = False
        self.used: Set[str] = set()
        self.named: Set[str] = set()

    def collect(self) -> None:
        kept = {self.current, self.previous, *self.named}
        self.releases = {key: note for key, note in self.releases.items() if key in kept}
        self.sets = self.sets[-4:]
        wanted = set(self.used)
        wanted.update(*(blobs_of(note) for note in self.releases.values()))
        wanted.update(*(hashes for _, hashes in self.sets))
        self.blobs &= wanted


def play(host: Host, model: Model, step: str, number: int) -> None:
    note = NOTES[number % len(NOTES)]
    if step == "push":
        digest = host.push(note)
        model.blobs |= blobs_of(note)
        model.used |= blobs_of(note)
        model.releases[digest] = note
        model.named.add(digest)
    elif step == "activate":
        digest = sha256(manifest_of(files_of(note)))
        answer = host.ask("activate", id=digest, signers=[])
        assert ("ok" in answer) == (digest in model.releases)
        if digest in model.releases and digest != model.current:
            model.current, model.previous, model.rolled_back = digest, model.current, False
    elif step == "rollback":
        forth = number % 2 == 1
        able = model.previous is not None and model.rolled_back == forth
        assert ("ok" in host.ask("rollback", signers=[], forth=forth)) == able
        if able:
            model.current, model.previous = model.previous, model.current
            model.rolled_back = not forth
    elif step == "set":
        hashes = [host.put(image(n)) for n in (number, number + 1)]
        host.do("commit")
        host.do("set", name=f"set{number}", hashes=hashes)
        model.blobs |= set(hashes)
        model.used |= set(hashes)
        others = [(name, found) for name, found in model.sets if name != f"set{number}"]
        model.sets = [*others, (f"set{number}", set(hashes))]
    elif step == "put":
        digest = host.put(image(number))
        host.do("commit")
        model.blobs.add(digest)
        model.used.add(digest)
    elif step == "part":
        # Whole, but not committed: goes into no blob by a collection, and is not lost by it.
        host.put(image(100 + number))
        model.used.add(sha256(image(100 + number)))
    elif step == "collect":
        host.do("collect")
        model.collect()


@settings(examples(40), suppress_health_check=list(HealthCheck))
@given(steps=STEPS)
def test_collection_keeps_exactly_what_is_referred_to(
    agent_pyz: Path, steps: List[Tuple[str, int]]
) -> None:
    model = Model()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "root"
        host = Host(command(agent_pyz, root))
        host.lock()
        for step, number in [*steps, ("collect", 0), ("anew", 0), ("collect", 0)]:
            if step == "anew":
                host.__exit__()
                host = Host(command(agent_pyz, root))
                host.lock()
                model.used, model.named = set(), set()
                continue
            committed = step in ("push", "set", "put")
            play(host, model, step, number)
            if committed:
                there = {path.name for path in (root / "blobs" / "sha256").iterdir()}
                model.blobs |= there & {sha256(image(100 + n)) for n in range(10)}
            if step == "collect":
                check(host, root, model)
        host.__exit__()


def check(host: Host, root: Path, model: Model) -> None:
    assert {path.name for path in (root / "blobs" / "sha256").iterdir()} == model.blobs
    assert {path.name for path in (root / "releases").iterdir()} == set(model.releases)
    assert {path.name for path in (root / "sets").iterdir()} == {name for name, _ in model.sets}
    assert current_of(root) == model.current
    status = host.do("status")
    assert (status["current"], status["previous"]) == (model.current, model.previous)
    assert len(list((root / "states").iterdir())) == (model.current is not None)


def test_leftovers_of_all_kinds_go_and_what_may_go_on_stays(connect: Connect, root: Path) -> None:
    host = connect()
    digest = host.push("a")
    host.activate(digest)
    fresh = root / "incoming" / ("1" * 64 + ".part")
    ahead = root / "incoming" / ("2" * 64 + ".part")
    kept = [fresh, ahead, root / "agent" / "newest.pyz", root / "env" / "a", root / "env" / "b"]
    stale = root / "incoming" / ("3" * 64 + ".part")
    for path in (fresh, ahead, stale):
        path.write_bytes(b"half")
    os.utime(str(stale), (time.time() - 8 * 86400,) * 2)
    os.utime(str(ahead), (time.time() + 1e7,) * 2)
    for name in ("a", "b", "c"):
        (root / "env" / name).mkdir()
    (root / "env" / "current").symlink_to("a")
    (root / "env" / "previous").symlink_to("b")
    ages_s = {"newest.pyz": 0, "old.pyz": 1, "older.pyz": 2, "x.123.new": 90_000, "y.1.new": 80_000}
    for name, age_s in ages_s.items():
        (root / "agent" / name).write_bytes(b"")
        os.utime(str(root / "agent" / name), (time.time() - age_s,) * 2)
    # Another loader may be writing this one.
    kept.append(root / "agent" / "y.1.new")
    half = root / "releases" / f".{digest}.123.partial"
    half.mkdir()
    (half / "model.onnx").symlink_to("../../blobs/sha256/x")
    (root / "incoming" / ".x.new").write_bytes(b"")
    (root / "incoming" / ("4" * 64 + ".0123.part")).write_bytes(b"")
    (root / "states" / "forgotten").mkdir()
    (root / ".state.x").symlink_to("states/x")
    gone = [stale, half, root / "env" / "c", root / "states" / "forgotten", root / ".state.x"]
    gone += [root / "agent" / name for name in ("old.pyz", "older.pyz", "x.123.new")]
    gone += [root / "incoming" / ".x.new", root / "incoming" / ("4" * 64 + ".0123.part")]
    host.lock()
    host.do("collect")
    assert [path for path in kept if not path.exists()] == []
    assert [path for path in gone if path.exists() or path.is_symlink()] == []
    assert current_of(root) == digest


def test_what_another_session_needs_cannot_be_collected(connect: Connect, root: Path) -> None:
    first, second = connect(), connect()
    first.put(b"image")
    first.do("commit")
    assert second.ask("lock", who="x", what="y", shared=False, wait_s=0)["error"]["kind"]
    assert second.refused("collect")[0] == "not-locked"
    assert first.do("have", hashes=[sha256(b"image")])["missing"] == []


def test_what_is_seen_lasts_before_anything_goes(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root.mkdir()
    with Inside(root) as host:
        host.push("a")
    log: Log = []
    record(root, log, monkeypatch)
    with Inside(root) as host:
        host.lock()
        host.do("collect")
    first = next(n for n, done in enumerate(log) if done.name in ("rename", "remove"))
    synced = {done.path for done in log[:first] if done.name == "sync"}
    assert {".", "states", "env", "releases"} <= synced


def test_figures_of_a_collection(connect: Connect) -> None:
    first = connect()
    first.push("a")
    first.__exit__()
    second = connect()
    second.lock()
    size_bytes = sum(len(raw) for raw in (*files_of("a").values(), manifest_of(files_of("a"))))
    expected = {"removed_blobs": 3, "removed_releases": 1, "freed_bytes": size_bytes}
    assert second.do("collect") == expected
    assert second.do("collect") == {"removed_blobs": 0, "removed_releases": 0, "freed_bytes": 0}
