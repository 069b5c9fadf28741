"""A power cut after any operation leaves the old whole release or the new whole one."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional, Set, Tuple

import pytest

from edgeq.agent.store import disk
from edgeq.agent.wire.frames import Gone
from tests import sampling

from ..serving import SIGNER, Host, Inside, command, current_of, files_of, manifest_of, sha256
from ..unsynced import Disk, Log, Operation, record

RANDOM_STATES = 6 if sampling.WHOLE else 3
A, B, C, D = (sha256(manifest_of(files_of(note))) for note in "abcd")


@pytest.fixture
def memory() -> Iterator[Path]:
    """A folder in memory where there is one: what is synced there is of no matter."""
    place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="edgeq-", dir=place) as folder:
        yield Path(folder)


@contextlib.contextmanager
def killed_after_renaming(name: str) -> Iterator[None]:
    """What is renamed to this name is the last that a session does."""
    real = disk.rename

    def rename(before: Path, after: Path) -> None:
        real(before, after)
        if after.name == name:
            raise Gone("killed")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(disk, "rename", rename)
        yield


def story(root: Path, log: Log) -> None:
    """A, then B, then C in two sessions with a cut between, a collection and a rollback.

    Then A, and C by a session that is killed before it syncs, and a collection.
    """

    def answered(digest: str, before: Callable[[], Any]) -> None:
        log.append(Operation("asked", digest))
        before()
        log.append(Operation("answered", digest))

    with Inside(root) as host:
        host.lock()
        for note, digest in (("a", A), ("b", B)):
            assert host.push(note, signature="c2ln") == digest
            answered(digest, lambda digest=digest: host.activate(digest))  # type: ignore[misc]
    with Inside(root) as host:
        raw = files_of("c")["model.onnx"]
        host.announce("put", len(raw), hash=sha256(raw), size=len(raw), offset=0)
        host.write(raw[:1700])
    with Inside(root) as host:
        host.lock()
        raw = files_of("c")["model.onnx"]
        assert host.do("have", hashes=[sha256(raw)])["partial"] == {sha256(raw): 1700}
        host.put(raw, offset=1700)
        assert host.push("c") == C
        host.do("set", name="images", hashes=[host.put(b"image")])
        answered(C, lambda: host.activate(C))
    with Inside(root) as host:
        host.lock()
        assert host.do("collect")["removed_releases"] == 1
        answered(B, lambda: host.do("rollback", signers=[]))
    with Inside(root) as host:
        assert host.push("a") == A
        host.do("release", id=A, signature="b3RoZXI=")
        answered(A, lambda: host.activate(A))
    with killed_after_renaming("state"), Inside(root) as host:
        host.push("c")
        log.append(Operation("asked", C))
        host.send("activate", id=C, signers=[])
    with Inside(root) as host:
        host.lock()
        assert host.do("collect")["removed_releases"] == 1
    log.append(Operation("answered", C))


def old_root(root: Path) -> None:
    """A root as an older edgeq left it: current and previous lead to releases themselves."""
    with Inside(root) as host:
        host.push("a")
        host.push("b")
    for name, digest in (("current", B), ("previous", A)):
        (root / name).symlink_to(f"releases/{digest}")


def imported(root: Path) -> Disk:
    """A disk that has what lies in a folder, all of it for certain."""
    made = Disk()
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if path.is_symlink():
            made.apply(Operation("symlink", name, os.readlink(str(path))))  # noqa: PTH115
        elif path.is_dir():
            made.apply(Operation("mkdir", name))
        else:
            made.apply(Operation("create", name))
            made.apply(Operation("write", name, content=path.read_bytes()))
    made.apply(Operation("sync_all"))
    return made


def look(folder: Path) -> Tuple[Any, ...]:
    """Everything in a folder, to know states that were seen before."""
    found: List[Any] = []
    for path in sorted(folder.rglob("*")):
        what: Any = None
        if path.is_symlink():
            what = os.readlink(str(path))  # noqa: PTH115
        elif path.is_file():
            what = path.read_bytes()
        found.append((path.relative_to(folder).as_posix(), what))
    return tuple(found)


def check_every_cut(log: Log, made: Disk, first: Optional[str], memory: Path, pyz: Path) -> int:
    """Check what each prefix of the log may leave; how many different states there were."""
    fate = random.Random(7)
    seen: Set[Any] = set()
    last, coming = first, first
    for number, operation in enumerate([Operation("sync", ""), *log]):
        if operation.name == "asked":
            coming = operation.path
            continue
        if operation.name == "answered":
            last = coming = operation.path
        made.apply(operation)
        choices: List[Callable[[], bool]] = [lambda: False, lambda: True]
        choices += [lambda p=p: fate.random() < p for p in (0.2, 0.5, 0.8)] * (RANDOM_STATES // 3)
        for choose in choices:
            folder = memory / "cut"
            made.write_to(folder, choose, fate)
            found = current_of(folder)
            assert found in (last, coming), f"after {number}: {operation}"
            state = (look(folder), last, coming)
            if state not in seen:
                seen.add(state)
                recover(folder, pyz, with_process=len(seen) % 40 == 0)
            shutil.rmtree(str(folder))
    return len(seen)


def recover(folder: Path, pyz: Path, with_process: bool) -> None:
    """The next push works without help, and so do a collection and a rollback after it."""
    before = current_of(folder)
    host = Host(command(pyz, folder)) if with_process else Inside(folder)
    with host:
        host.lock()
        assert before == host.do("status")["current"] or before is None
        resumed(host, "d")
        assert host.activate(D)["current"] == D
        assert current_of(folder) == D
        host.do("collect")
        assert current_of(folder) == D
        if before is not None:
            assert host.do("rollback", signers=[]) == {"current": before, "previous": D}
            assert current_of(folder) == before


def resumed(host: Any, note: str) -> None:
    """Push as a host does: what is missing, from where it stopped, anew when that was spoiled."""
    contents = [*files_of(note).values(), manifest_of(files_of(note))]
    blobs: Dict[str, bytes] = {sha256(raw): raw for raw in contents}
    found = host.do("have", hashes=list(blobs))
    for digest in found["missing"]:
        raw, offset = blobs[digest], found["partial"].get(digest, 0)
        offset = offset if offset <= len(raw) else 0
        head = {"hash": digest, "size": len(raw), "offset": offset}
        if host.ask("put", raw[offset:], **head).get("error", {}).get("kind") == "bad-blob":
            host.put(raw)
    host.do("release", id=sha256(contents[-1]), signature=None)


def test_every_cut_of_a_deploy_leaves_a_whole_release(
    memory: Path, agent_pyz: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = memory / "root"
    root.mkdir()
    log: Log = []
    with monkeypatch.context() as patch:
        record(root, log, patch)
        story(root, log)
    assert current_of(root) == C
    assert len(log) > 150
    assert check_every_cut(log, Disk(), None, memory, agent_pyz) > 100


def test_every_cut_while_an_older_root_is_taken_over_leaves_a_whole_release(
    memory: Path, agent_pyz: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = memory / "root"
    root.mkdir()
    old_root(root)
    before = imported(root)
    log: Log = []
    with monkeypatch.context() as patch:
        record(root, log, patch)
        with Inside(root) as host:
            host.push("c")
            log.append(Operation("asked", C))
            host.activate(C)
            log.append(Operation("answered", C))
    check_every_cut(log, before, B, memory, agent_pyz)


def test_a_missing_sync_would_be_found(
    memory: Path, agent_pyz: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = memory / "root"
    root.mkdir()
    log: Log = []
    with monkeypatch.context() as patch:
        record(root, log, patch)
        story(root, log)
    for forgotten in ("sync", "sync_all"):
        hasty = [operation for operation in log if operation.name != forgotten]
        with pytest.raises((AssertionError, OSError, ValueError)):
            check_every_cut(hasty, Disk(), None, memory, agent_pyz)
        shutil.rmtree(str(memory / "cut"), ignore_errors=True)


@pytest.mark.parametrize("remove", ["collect", "environment"])
def test_no_cut_leaves_half_an_environment_that_counts(
    memory: Path, monkeypatch: pytest.MonkeyPatch, remove: str
) -> None:
    root = memory / "root"
    root.mkdir()
    with Inside(root) as host:
        host.push("a")
    old = root / "env" / "x"
    names = ["a.py", "bin/python", "complete", "z/b.py"]
    for name in names:
        (old / name).parent.mkdir(parents=True, exist_ok=True)
        (old / name).write_text("x")
    # In the way of another one when its Python has gone.
    (root / "env" / "current").symlink_to("nothing" if remove == "collect" else "x")
    if remove == "environment":
        (old / "bin" / "python").unlink()
        names.remove("bin/python")
    made = imported(root)
    log: Log = []
    with monkeypatch.context() as patch:
        record(root, log, patch)
        with Inside(root) as host:
            host.lock()
            if remove == "collect":
                host.do("collect")
            else:
                host.do("environment", key="x", wheels={}, requirements=[])
    gone = [n for n, done in enumerate(log) if done.name == "remove" and done.path == "env/x"]
    fate = random.Random(7)
    for operation in log[: gone[0] + 1]:
        made.apply(operation)
        for chance in (0, 0.2, 0.5, 0.8, 1):
            folder = memory / "cut"
            made.write_to(folder, lambda chance=chance: fate.random() < chance, fate)  # type: ignore[misc]
            left = folder / "env" / "x"
            if (left / "complete").exists():
                assert [name for name in names if not (left / name).exists()] == [], operation
            shutil.rmtree(str(folder))


# Hooks cannot be removed; this one sleeps unless a root is being watched.
_watched: List[Tuple[str, List[str]]] = []
_MUTATIONS = [
    *("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.symlink", "os.link", "os.truncate"),
    *("os.utime", "os.chmod", "os.chown", "os.setxattr"),
]


def _hook(event: str, arguments: Tuple[Any, ...]) -> None:
    if not _watched:
        return
    is_writing = event == "open" and len(arguments) > 2 and _writes(arguments[2])
    if not is_writing and event not in _MUTATIONS:
        return
    root, findings = _watched[0]
    path = arguments[0]
    if isinstance(path, int):
        path = os.readlink(f"/proc/self/fd/{path}")  # noqa: PTH115
    if not os.fsdecode(path).startswith(root):
        return
    frame = sys._getframe(1)  # noqa: SLF001
    while "/edgeq/agent/" not in frame.f_code.co_filename:
        if frame.f_back is None:
            return
        frame = frame.f_back
    place = frame.f_code.co_filename.rpartition("/")[2]
    is_lock = place == "lock.py" and os.fsdecode(path) == f"{root}/lock"
    findings.append(f"{'fine' if place == 'disk.py' or is_lock else 'WRONG'}: {event} {place}")


def _writes(flags: object) -> bool:
    return isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))


def test_nothing_but_disk_py_changes_the_disk(memory: Path) -> None:
    root = memory / "root"
    findings: List[str] = []
    sys.addaudithook(_hook)
    _watched.append((str(root), findings))
    try:
        root.mkdir()
        story(root, [])
        with Inside(root) as host:
            (root / "work" / "x").write_bytes(b"x")
            host.do("remove", name="x")
            host.lock()
            host.do("signers", text=SIGNER)
            host.do("environment", key="e", wheels={}, requirements=[])
    finally:
        _watched.clear()
    assert [finding for finding in findings if finding.startswith("WRONG")] == []
    assert len(findings) > 100
