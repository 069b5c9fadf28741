"""Disks that are full, fill up, cannot be written to, or run no programs."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

import pytest

from edgeq.records.examination import Examination, Finding
from edgeq.verbs import boards
from edgeq.verbs.releases import rollback, status

from .board.board import Board
from .boards_support import (
    MEGABYTE,
    Push,
    address,
    current,
    device,
    host,
    install,
    listing,
    made,
    part_bytes,
    refusal,
    root,
    run_edgeq,
    target,
    target_file,
    user,
)

__all__ = ["host", "user"]

ROOT = "/home/edge/.edgeq"


def found(kind: str, examination: Examination) -> Finding:
    [finding] = [finding for finding in examination.findings if finding.name == kind]
    return finding


def test_full_disk_is_refused_before_anything_is_sent(host: Board) -> None:
    host.mount(ROOT, 40 * MEGABYTE)
    with device(host) as board:
        install(board, made(1))
        before = board.session.sent_bytes
        error = refusal(lambda: board.send(made(2, 30 * MEGABYTE)), "no-room")
        assert board.session.sent_bytes - before < 2000
        # What is to come, used, free, and what stays free.
        assert re.search(
            r"28\.6 MiB are to come, 0\.\d MiB are used, no limit, 3\d\.\d MiB are free", error.what
        )
        assert ROOT in error.what and host.address in error.where
    assert part_bytes(host) == 0
    assert current(host) == made(1).id
    with device(host) as board:
        install(board, made(3, 10 * MEGABYTE))


def test_disk_that_fills_up_during_a_push(host: Board) -> None:
    host.mount(ROOT, 50 * MEGABYTE)
    release = made(2, 20 * MEGABYTE)
    ballast = root(host) / "ballast"
    with device(host) as board:
        install(board, made(1))
        host.rate(60e6)
        push = Push(board, release)
        push.wait_for(5 * MEGABYTE)
        ballast.write_bytes(bytes(38 * MEGABYTE))
        push.end()
        assert push.error is not None and push.error.kind == "disk-full"
        assert "free some space" in push.error.what
        # The session goes on, and what is there still works.
        assert board.status().current == made(1).id
    assert current(host) == made(1).id
    arrived = part_bytes(host)
    assert arrived > 4 * MEGABYTE

    host.rate(None)
    ballast.unlink()
    with device(host) as board:
        install(board, release)
        assert board.files.sent.size_bytes < 20 * MEGABYTE - arrived + 10_000
    assert current(host) == release.id


def test_disk_that_is_full_to_the_last_byte(host: Board) -> None:
    host.mount(ROOT, 40 * MEGABYTE)
    with device(host) as board:
        install(board, made(1))
        install(board, made(2))
    with (root(host) / "ballast").open("wb", buffering=0) as ballast, suppress(OSError):
        while ballast.write(bytes(4096)):
            pass
    with device(host) as board:
        error = refusal(lambda: board.send(made(3)), "no-room")
        assert ROOT in error.what
        board.rollback()
        assert board.status().current == made(1).id
    assert current(host) == made(1).id


def test_disk_without_room_for_the_agent(host: Board) -> None:
    host.mount("/home/edge/other", 10 * MEGABYTE)
    (host.disk / "home/edge/other/ballast").write_bytes(bytes(10 * MEGABYTE - 4096))
    error = refusal(lambda: device(host, root="~/other/edgeq").hello, "disk-full")
    assert "other/edgeq" in error.what


@pytest.mark.parametrize("word", ["ro", "noexec"])
def test_disk_of_no_use_is_named(word: str, host: Board, tmp_path: Path) -> None:
    kind, where = target_file(tmp_path, "python: /usr/bin/python3"), address(host)
    host.mount(ROOT, 800 * MEGABYTE, options=word)
    before = listing(host.disk / "home")

    examination = boards.check(str(kind), where)

    assert not examination.ready
    finding = found("root", examination)
    name = {"ro": "read-only", "noexec": "noexec"}[word]
    assert finding.state == "wrong"
    assert finding.found == f"{ROOT} is on a file system that is mounted {name}"
    assert "another folder" in finding.remedy
    done = run_edgeq(
        *("targets", "setup", kind, "-H", str(where.host), "-i", str(where.identity)),
    )
    assert done.returncode == 3
    assert name in done.stderr and "Traceback" not in done.stderr
    if word == "ro":
        assert listing(host.disk / "home") == before


def test_folder_of_another_user_is_named(host: Board, tmp_path: Path) -> None:
    (host.disk / "home/edge/.edgeq").mkdir(mode=0o755)
    kind = target(tmp_path)
    finding = found("root", boards.check(kind, address(host)))
    assert (finding.state, finding.found) == ("wrong", f"{ROOT} is not yours to write")
    error = refusal(lambda: device(host).hello, "denied")
    assert ROOT in error.what
    refusal(lambda: boards.setup(kind, address(host)), "denied")


def test_disk_that_became_read_only(host: Board, tmp_path: Path) -> None:
    with device(host) as board:
        install(board, made(1))
        install(board, made(2))
    host.mount(ROOT, options="ro")
    kind = target(tmp_path)
    # It can still be looked at.
    assert status(kind, address(host)).current == made(2).id
    with device(host) as board:
        error = refusal(lambda: board.send(made(3)), "read-only")
        assert ROOT in error.what and "remount" in error.what
        refusal(lambda: board.activate(made(1).id), "read-only")
    refusal(lambda: rollback(kind, address(host)), "read-only")
    assert current(host) == made(2).id

    host.unmount(ROOT)
    assert rollback(kind, address(host)).current == made(1).id


def test_disk_too_small_for_the_engine_is_named(host: Board, tmp_path: Path) -> None:
    host.mount("/home/edge", 40 * MEGABYTE)
    kind = target(tmp_path)
    finding = found("free disk", boards.check(kind, address(host)))
    assert finding.state == "wrong"
    assert re.fullmatch(r"3\d MiB", finding.found) and "700 MiB" in finding.remedy
    error = refusal(lambda: boards.setup(kind, address(host)), "no-room")
    assert "free disk" in error.what
