"""Releases on a host over real SSH: who may change them at a time, and the way back."""

from __future__ import annotations

import getpass
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edgeq.records.device import Holder
from edgeq.verbs.releases import rollback, status

from .board.board import Board
from .boards_support import (
    Push,
    address,
    agents,
    current,
    device,
    host,
    install,
    made,
    part_bytes,
    refusal,
    target,
    user,
)

__all__ = ["host", "user"]

# holds the lock until it is ended
HOLDER = """
import sys, time
from edgeq.device.ssh.config import Way
from tests.device.boards_support import Device, Path, SshTransport
transport = SshTransport(sys.argv[1], way=Way(Path(sys.argv[2])))
device = Device(transport, "~/.edgeq", patience_s=float(sys.argv[3]))
device.lock("deploy of a holder")
print("locked", flush=True)
time.sleep(1000)
"""


def test_second_deploy_is_told_who_is_at_work(host: Board) -> None:
    with device(host) as first, device(host) as second:
        first.lock("deploy demo.yaml")
        error = refusal(lambda: second.lock("deploy other.yaml", wait_s=0.5), "locked")
        assert host.address in error.where
        assert getpass.getuser() in error.what and f"process {os.getpid()}" in error.what
        assert "deploy demo.yaml" in error.what and "since 20" in error.what

        lock = second.status().lock
        assert lock is not None
        seen = Holder.model_validate({name: lock[name] for name in Holder.model_fields})
        assert seen.what == "deploy demo.yaml"
        first.close()
        second.lock("deploy other.yaml")


def test_second_deploy_waits_for_a_short_one(host: Board) -> None:
    with device(host) as first, device(host) as second:
        install(first, made(1))
        second.hello  # noqa: B018  connected before the first one ends
        waiting = threading.Thread(target=install, args=(second, made(2)))
        waiting.start()
        time.sleep(0.5)
        assert waiting.is_alive() and current(host) == made(1).id
        first.close()
        waiting.join(20.0)
    assert current(host) == made(2).id


@contextmanager
def holder(board: Board, patience_s: float) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock of a board."""
    command = [sys.executable, "-c", HOLDER, f"{board.user}@{board.address}", str(board.key)]
    command.append(str(patience_s))
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "locked\n"
        yield process
        process.kill()


def test_lock_of_a_killed_client_frees_itself(host: Board) -> None:
    with holder(host, 30.0) as client, device(host) as other:
        refusal(lambda: other.lock("deploy", wait_s=0.0), "locked")
        client.kill()
        other.lock("deploy", wait_s=10.0)
        assert len(agents(host)) == 1


def test_lock_of_a_client_that_fell_asleep_frees_itself(host: Board) -> None:
    with holder(host, 4.0) as client, device(host) as other:
        client.send_signal(signal.SIGSTOP)
        refusal(lambda: other.lock("deploy", wait_s=0.0), "locked")
        other.lock("deploy", wait_s=25.0)
        client.send_signal(signal.SIGCONT)


def test_same_release_is_sent_twice_at_once(host: Board) -> None:
    release = made(1, 4_000_000)
    with device(host) as first, device(host) as second:
        host.rate(80e6)
        pushes = [Push(board, release) for board in (first, second)]
        for push in pushes:
            push.end()
        assert [push.error for push in pushes] == [None, None]
        first.activate(release.id)
    assert current(host) == release.id
    assert part_bytes(host) == 0


@pytest.mark.parametrize("name", ['it\'s $HOME `id` "a" ; *', "größe\n2"])
def test_root_of_any_name(name: str, host: Board) -> None:
    with device(host, root=f"~/{name}") as board:
        install(board, made(1))
        assert board.root == f"{host.home}/{name}"
    assert (host.disk / "home/edge" / name / "current/manifest.json").is_file()
    assert [path.name for path in (host.disk / "home/edge").iterdir() if path.is_dir()] == [name]


def test_plain_shell_is_enough(host: Board) -> None:
    passwd = host.disk / "etc/passwd"
    passwd.write_text(passwd.read_text().replace("/bin/bash", "/bin/sh"))
    with device(host) as board:
        install(board, made(1))
    assert current(host) == made(1).id


def test_status_names_what_is_there_and_changes_nothing(host: Board, tmp_path: Path) -> None:
    kind = target(tmp_path)
    empty = status(kind, address(host))
    assert (empty.current, empty.previous, empty.releases, empty.lock) == (None, None, (), None)
    assert not (host.disk / "home" / host.user / ".edgeq").exists()
    with device(host) as board:
        install(board, made(1))
        install(board, made(2))
        found = status(kind, address(host))
    assert (found.current, found.previous) == (made(2).id, made(1).id)
    assert {release.id for release in found.releases} == {made(1).id, made(2).id}
    assert found.lock is not None and found.lock.what == f"install {made(2).id[:12]}"
    assert found.used_bytes > 200_000
    assert found.root == f"{host.home}/.edgeq"


def test_rollback_and_forth(host: Board, tmp_path: Path) -> None:
    kind = target(tmp_path)
    with device(host) as board:
        install(board, made(1))
        error = refusal(lambda: rollback(kind, address(host)), "locked")
        assert "install" in error.what
    error = refusal(lambda: rollback(kind, address(host)), "no-release")
    assert "no previous release" in error.what
    assert current(host) == made(1).id
    with device(host) as board:
        install(board, made(2))

    back = rollback(kind, address(host))
    assert (back.current, back.previous) == (made(1).id, made(2).id)
    assert current(host) == made(1).id

    error = refusal(lambda: rollback(kind, address(host)), "no-release")
    assert f"rolled back already, from {made(2).id[:12]}" in error.what
    assert current(host) == made(1).id
    forth = rollback(kind, address(host), forth=True)
    assert (forth.current, forth.previous) == (made(2).id, made(1).id)
    assert current(host) == made(2).id


def test_open_files_of_a_release_outlive_two_deploys(host: Board) -> None:
    with device(host) as board:
        install(board, made(1))
        with (host.disk / "home/edge/.edgeq/current/model.onnx").open("rb") as service:
            install(board, made(2))
            install(board, made(3))
            assert board.status().previous == made(2).id
            assert made(1).path("model.onnx").read_bytes() == service.read()


def test_old_releases_are_removed_and_what_they_share_stays(host: Board) -> None:
    with device(host) as board:
        install(board, made(1))
    for seed in (2, 3):
        with device(host) as board:
            install(board, made(seed))
            # `plan.json` is the same in all.
            assert board.files.sent.blobs == 3
    releases = {path.name for path in (host.disk / "home/edge/.edgeq/releases").iterdir()}
    assert releases == {made(2).id, made(3).id}
    blobs = {path.name for path in (host.disk / "home/edge/.edgeq/blobs/sha256").iterdir()}
    wanted = {file.sha256 for seed in (2, 3) for file in made(seed).manifest.files.values()}
    assert blobs == wanted | releases


def test_limit_of_the_target_is_kept(host: Board) -> None:
    # The agent, as it was sent and compiled, and one release of some 100 kB.
    with device(host) as board:
        limit_bytes = board.status().used_bytes + 110_000
    with device(host, limit_bytes=limit_bytes) as board:
        install(board, made(1))
        error = refusal(lambda: board.send(made(2)), "no-room")
        assert f"the limit is {limit_bytes / 2**20:.1f} MiB" in error.what
        assert board.files.sent.blobs == 4
    assert current(host) == made(1).id
