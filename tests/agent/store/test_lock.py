"""The lock: one deploy at a time, freed whatever becomes of its holder."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, Callable, Iterator

import pytest

from edgeq.agent.store.lock import Lock
from edgeq.agent.wire.frames import Wire

from ..serving import SIGNER, Host, eventually

if TYPE_CHECKING:
    from pathlib import Path

Connect = Callable[..., Host]


@pytest.fixture
def wire() -> Iterator[Wire]:
    """A host that says nothing."""
    ends = [*os.pipe(), *os.pipe()]
    yield Wire(ends[0], ends[3])
    for fd in ends:
        os.close(fd)


def asked(host: Host, shared: bool = False, wait_s: float = 0.0) -> str:
    """'ok', or the message of the refusal."""
    answer = host.ask("lock", who="second", what="status", shared=shared, wait_s=wait_s)
    if "ok" in answer:
        return "ok"
    assert answer["error"]["kind"] == "locked"
    return str(answer["error"]["message"])


def test_second_session_learns_who_holds_it(connect: Connect) -> None:
    first, second = connect(), connect()
    first.do("lock", who="anna@desk", what="deploy of pigs", shared=False, wait_s=0)
    message = asked(second)
    assert "anna@desk is using this device (deploy of pigs) since 20" in message
    holder = second.do("status")["lock"]
    assert (holder["who"], holder["pid"]) == ("anna@desk", first.process.pid)
    assert first.do("status")["lock"]["who"] == "anna@desk"
    assert asked(second, shared=True) != "ok"


@pytest.mark.parametrize("way", ["hang up", "kill"])
def test_holder_that_ends_frees_it(connect: Connect, way: str) -> None:
    first, second = connect(), connect()
    first.lock()
    first.process.kill() if way == "kill" else first.hang_up()
    assert asked(second, wait_s=5) == "ok"
    assert second.do("status")["lock"]["who"] == "second"


def test_free_lock_has_no_holder(connect: Connect) -> None:
    first = connect()
    first.lock()
    first.hang_up()
    first.process.wait(timeout=5)
    assert connect().do("status")["lock"] is None


def test_shared_sessions_meet_and_keep_an_exclusive_one_out(connect: Connect) -> None:
    first, second, third = connect(), connect(), connect()
    first.do("lock", who="anna", what="measuring", shared=True, wait_s=0)
    assert asked(second, shared=True) == "ok"
    assert "since" in asked(third)
    assert third.do("status")["lock"]["shared"] is True
    first.hang_up()
    second.hang_up()
    assert asked(third, wait_s=5) == "ok"


def test_shared_becomes_exclusive_for_the_last_one(connect: Connect) -> None:
    first, second = connect(), connect()
    first.lock(shared=True)
    assert asked(second, shared=True) == "ok"
    assert asked(second) != "ok"
    first.hang_up()
    assert asked(second, wait_s=5) == "ok"


def test_session_without_lock_gets_a_shared_one_by_what_it_does(connect: Connect) -> None:
    first, second = connect(), connect()
    first.put(b"content")
    assert "another session is using this device" in asked(second)
    second.hang_up()
    third = connect()
    first.hang_up()
    assert asked(third, wait_s=5) == "ok"
    assert connect().refused("commit")[0] == "locked"


def test_waiting_ends_in_time_when_the_holder_is_alive(connect: Connect) -> None:
    first, second = connect(), connect()
    first.lock()
    start_s = time.monotonic()
    assert asked(second, wait_s=1.0) != "ok"
    assert 0.9 < time.monotonic() - start_s < 12


def test_silent_holder_is_waited_for_until_it_is_given_up(connect: Connect, root: Path) -> None:
    first, second = connect(), connect()
    first.lock()
    first.process.send_signal(signal.SIGSTOP)
    os.utime(str(root / "lock"), (time.time() - 20, time.time() - 20))
    threading.Timer(1.5, first.process.kill).start()
    assert asked(second, wait_s=0.0) == "ok"


def test_clock_that_was_set_back_makes_nobody_silent(connect: Connect, root: Path) -> None:
    first, second = connect(), connect()
    first.lock()
    os.utime(str(root / "lock"), (time.time() + 1e6, time.time() + 1e6))
    start_s = time.monotonic()
    assert asked(second, wait_s=0.5) != "ok"
    assert time.monotonic() - start_s < 12


def test_heard_host_shows_in_the_age_of_the_lock(connect: Connect, root: Path) -> None:
    first = connect()
    first.lock()
    os.utime(str(root / "lock"), (1, 1))
    first.send("alive")
    assert eventually(lambda: (root / "lock").stat().st_mtime > 1, 6)


def test_change_that_waits_holds_nothing_and_makes_nobody_look_alive(
    tmp_path: Path, wire: Wire
) -> None:
    path = tmp_path / "lock"
    mine, other = Lock(path), Lock(path)
    for lock in (mine, other):
        lock.acquire(wire, "", "", shared=True, wait_s=0)
    fields = {"shared": False, "wait_s": 5}
    waiting = threading.Thread(target=mine.acquire, args=(wire, "", ""), kwargs=fields)
    waiting.start()
    assert eventually(lambda: mine.mode is None)
    os.utime(str(path), (time.time() - 5, 1e9))
    mine.touch()
    assert path.stat().st_mtime == 1e9
    other.release()
    waiting.join()
    assert mine.mode == "exclusive"
    mine.release()


def test_lock_can_be_given_up_while_it_is_touched(tmp_path: Path, wire: Wire) -> None:
    lock = Lock(tmp_path / "lock")
    is_over = threading.Event()

    def come_and_go() -> None:
        while not is_over.is_set():
            lock.acquire(wire, "", "", shared=True, wait_s=0)
            lock.release()

    other = threading.Thread(target=come_and_go)
    interval_s = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    other.start()
    try:
        for _ in range(30_000):
            lock.touch()
    finally:
        is_over.set()
        other.join()
        sys.setswitchinterval(interval_s)


def test_record_that_is_no_record_harms_nobody(connect: Connect, root: Path) -> None:
    first, second = connect(), connect()
    first.lock()
    for nonsense in (b"", b"{", b"[1]", b'{"pid": "x", "who": 3}', b"\xff" * 10):
        (root / "lock").write_bytes(nonsense)
        assert "another session is using this device" in asked(second)
        assert second.do("status")["lock"] is not None


def test_what_needs_the_lock_says_so(connect: Connect) -> None:
    host = connect()
    assert host.refused("collect")[0] == "not-locked"
    assert host.refused("signers", text=SIGNER)[0] == "not-locked"
    host.lock(shared=True)
    assert host.refused("collect")[0] == "not-locked"
