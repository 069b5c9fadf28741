"""Cables that are pulled out while a push is under way."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path

import pytest

from .board.board import Board
from .boards_support import (
    MEGABYTE,
    Push,
    address,
    agents,
    current,
    device,
    edgeq,
    eventually,
    host,
    install,
    made,
    part_bytes,
    refusal,
    run_edgeq,
    target_file,
    user,
)

__all__ = ["host", "user"]

RATE_BITS_PER_S = 40e6


def test_short_cut_is_bridged(host: Board) -> None:
    release = made(1, 15 * MEGABYTE)
    with device(host) as board:
        host.rate(RATE_BITS_PER_S)
        board.lock("push")
        [agent] = agents(host)
        push = Push(board, release)
        push.wait_for(4 * MEGABYTE)
        host.cut()
        time.sleep(4.0)
        assert push.done < 14 * MEGABYTE
        host.restore()
        push.end()
        assert push.error is None
        # Every byte went over the connection that was there, and only once.
        assert board.session.sent_bytes < 15.5 * MEGABYTE
        assert agents(host) == [agent]
        board.activate(release.id)
    assert current(host) == release.id


def test_long_cut_ends_both_sides_and_nothing_is_sent_twice(host: Board) -> None:
    release = made(1, 15 * MEGABYTE)
    with device(host) as board:
        install(board, made(2))
    with device(host, patience_s=4.0) as board:
        host.rate(RATE_BITS_PER_S)
        board.lock("push")
        push = Push(board, release)
        push.wait_for(5 * MEGABYTE)
        host.cut()
        push.end()
        assert push.error is not None and push.error.kind == "link-lost"
        assert push.error.where == f"{host.user}@{host.address}"
        assert "nothing came for" in push.error.what
    # The board noticed too: what it ran is gone, and with it the lock.
    assert eventually(lambda: not agents(host), 10.0)
    arrived = part_bytes(host)
    assert 3 * MEGABYTE < arrived < 15 * MEGABYTE
    assert current(host) == made(2).id

    host.restore()
    host.rate(None)
    with device(host) as board:
        board.lock("push again", wait_s=0.0)
        board.send(release)
        own = {file.sha256: file.bytes for file in release.manifest.files.values()}
        own.pop(made(2).manifest.files["plan.json"].sha256)
        total = sum(own.values()) + len(release.manifest.encoded())
        assert board.files.sent.size_bytes + arrived == total
        board.activate(release.id)
    assert current(host) == release.id


def test_cut_while_nothing_is_asked_is_noticed(host: Board) -> None:
    with device(host, patience_s=2.0) as board:
        board.lock("deploy")
        host.cut()
        assert eventually(lambda: not agents(host), 8.0)
        refusal(board.status, "link-lost")


def test_board_that_hangs_is_given_up(host: Board) -> None:
    with device(host, patience_s=3.0) as board:
        board.lock("deploy")
        host.run(["pkill", "-STOP", "python3"])
        error = refusal(board.status, "link-lost")
        assert "nothing came for" in error.what
    host.run(["pkill", "-CONT", "python3"])
    assert eventually(lambda: not agents(host), 5.0)


@pytest.mark.usefixtures("interruptible")
def test_interrupt_while_the_cable_is_out(host: Board, tmp_path: Path) -> None:
    where = address(host)
    command = edgeq("push", made(1, 15 * MEGABYTE).folder, "-t", target_file(tmp_path))
    command += ["-H", str(where.host), "-i", str(where.identity)]
    host.rate(RATE_BITS_PER_S)
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as client:
        assert eventually(lambda: part_bytes(host) > 2 * MEGABYTE, 20.0)
        host.cut()
        time.sleep(1.0)
        client.send_signal(signal.SIGINT)
        _, errors = client.communicate(timeout=20)
        assert client.returncode == 130
        assert "interrupted" in errors and "Traceback" not in errors


def test_slow_and_far_link(host: Board) -> None:
    host.link(8e6, 0.1)
    with device(host) as board:
        install(board, made(1, 2 * MEGABYTE))
    assert current(host) == made(1, 2 * MEGABYTE).id


def test_host_that_is_away(host: Board, tmp_path: Path) -> None:
    host.cut()
    error = refusal(lambda: device(host, connect_timeout_s=1.0).hello, "unreachable")
    assert host.address in error.where

    (tmp_path / "home/.ssh/config").write_text("ConnectTimeout 1\n")
    where = address(host)
    kind = target_file(tmp_path)
    done = run_edgeq("status", "-t", kind, "-H", str(where.host), "-i", str(where.identity))
    assert done.returncode == 3
    assert host.address in done.stderr and "Traceback" not in done.stderr
