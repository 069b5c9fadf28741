"""Plugs pulled and programs killed: the old release or the new one, whole, and no help needed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from edgeq.artifact.folder import Artifact
from edgeq.errors import DeviceError

from .board.board import Board
from .boards_support import (
    MEGABYTE,
    Push,
    address,
    current,
    current_name,
    device,
    edgeq,
    eventually,
    host,
    install,
    made,
    part_bytes,
    root,
    target_file,
    user,
)

__all__ = ["host", "user"]

OLD, NEW = 1, 2
# One process of its own for each line on standard input: it deploys the artifacts one by one.
CLIENTS = """
import os, signal, sys
from pathlib import Path
import edgeq.device.ssh.link
from edgeq.artifact import archive
from edgeq.device.session.bundle import bundle
from edgeq.device.ssh.config import Way
from tests.device.boards_support import Device, SshTransport, install
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
destination, key, *folders = sys.argv[1:]
releases = [archive.read(Path(folder)) for folder in folders]
bundle()
for line in sys.stdin:
    pid = os.fork()
    if pid == 0:
        while True:
            for release in releases:
                with Device(SshTransport(destination, way=Way(Path(key))), "~/.edgeq") as device:
                    install(device, release)
                    os.write(2, b".")
    print(pid, flush=True)
"""


def check_next_deploy(board: Board, seed: int) -> None:
    """After a boot or a kill: a whole release is there, and another one can follow."""
    release = made(seed)
    with device(board) as again:
        install(again, release)
    assert current(board) == release.id


def crash_and_boot(board: Board) -> None:
    board.crash()
    board.start()


def test_plug_pulled_while_files_arrive(host: Board) -> None:
    with device(host) as board:
        install(board, made(OLD))
    release = made(NEW, 8 * MEGABYTE)
    arrived = 0
    for seed in range(3):
        with device(host, patience_s=2.0) as board:
            host.rate(80e6)
            board.lock("push")
            push = Push(board, release)
            push.wait_for(random.Random(seed).randrange(MEGABYTE, 2 * MEGABYTE))
            crash_and_boot(host)
            push.end()
            assert push.error is not None and push.error.kind == "link-lost"
        assert current(host) == made(OLD).id
        # Each time it has gone on from where it stopped.
        assert part_bytes(host) > arrived
        arrived = part_bytes(host)
    host.rate(None)
    with device(host) as board:
        install(board, release)
        assert board.files.sent.size_bytes < 8 * MEGABYTE - arrived + 10_000
    assert current(host) == release.id


def test_plug_pulled_while_a_command_runs(host: Board, tmp_path: Path) -> None:
    release = made(NEW, 8 * MEGABYTE)
    with device(host) as board:
        install(board, made(OLD))
    host.rate(40e6)
    where = address(host)
    command = edgeq("push", release.folder, "-t", target_file(tmp_path), "--activate")
    command += ["-H", str(where.host), "-i", str(where.identity)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as client:
        assert eventually(lambda: part_bytes(host) > MEGABYTE, 20.0)
        crash_and_boot(host)
        _, errors = client.communicate(timeout=30)
        assert client.returncode == 3
    # One line: where, what, what to do.
    assert errors.count("error: ") == 1 and "Traceback" not in errors
    assert f"edge@{host.address}: the connection broke" in errors
    assert "run the command again" in errors
    assert current(host) == made(OLD).id


def test_plug_pulled_before_activation(host: Board) -> None:
    with device(host) as board:
        install(board, made(OLD))
    with device(host, patience_s=2.0) as board:
        board.lock("deploy")
        board.send(made(NEW))
        crash_and_boot(host)
        with pytest.raises(DeviceError):
            board.activate(made(NEW).id)
    assert current(host) == made(OLD).id
    with device(host) as board:
        install(board, made(NEW))
        assert board.files.sent.blobs == 0
    assert current(host) == made(NEW).id


def test_plug_pulled_while_it_activates(host: Board) -> None:
    # Large enough that hashing it takes a while, as activation does that first.
    releases = [made(seed, 16 * MEGABYTE) for seed in (OLD, NEW)]
    with device(host) as board:
        install(board, releases[0])
    before = 0
    chance = random.Random(1)
    for delay_s in (0.0, *(chance.uniform(0.0, 0.1) for _ in range(8)), None):
        after = 1 - before
        with device(host, patience_s=2.0) as board:
            board.lock("deploy")
            board.send(releases[after])
            activating = threading.Thread(target=activate, args=(board, releases[after].id))
            activating.start()
            if delay_s is None:
                assert becomes(host, releases[after].id)
            else:
                time.sleep(delay_s)
            host.crash()
            board.close()
            activating.join(10.0)
        host.start()
        found = current(host)
        assert found in (releases[before].id, releases[after].id), delay_s
        if found == releases[after].id:
            # Both links of the state change together.
            assert str((root(host) / "previous").readlink()) == "state/previous"
            previous = root(host) / "state" / "previous"
            assert previous.readlink().name == releases[before].id
            before = after
        else:
            assert delay_s is not None
    check_next_deploy(host, 3)


def becomes(board: Board, release_id: str) -> bool:
    """Whether it is the current release soon."""
    return eventually(lambda: current_name(board) == release_id, 20.0)


def activate(board: object, release_id: str) -> None:
    with suppress(DeviceError):
        board.activate(release_id)  # type: ignore[attr-defined]


@contextmanager
def clients(board: Board, releases: list[Artifact]) -> Iterator[subprocess.Popen[str]]:
    """What starts a client for each line it is given, and says the number of its process."""
    command = [sys.executable, "-c", CLIENTS, str(address(board).host), str(board.key)]
    command += [str(release.folder) for release in releases]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        yield process


def test_client_killed_at_any_moment(host: Board) -> None:
    releases = [made(seed, 300_000) for seed in range(10, 14)]
    with device(host) as board:
        install(board, made(OLD))
    ids = {release.id for release in releases}
    with clients(host, releases) as starter:
        assert starter.stdin is not None and starter.stdout is not None
        for seed in range(20):
            print("go", file=starter.stdin, flush=True)
            pid = int(starter.stdout.readline())
            # The first one at once, the last one when it has got far.
            time.sleep(random.Random(seed).uniform(0.05, 0.8) if seed else 0.0)
            assert seed < 19 or eventually(lambda: current_name(host) in ids, 20.0)
            os.kill(pid, signal.SIGKILL)

            found = current(host)
            assert found is not None, f"seed {seed}"
            check_next_deploy(host, 20 + seed)
        starter.stdin.close()
        assert starter.wait(10.0) == 0
        assert starter.stderr is not None
        assert "Traceback" not in starter.stderr.read()
    with device(host) as board:
        board.lock("look")
        board.collect()
        # Nothing is left behind but what the two last releases need.
        assert len(board.status().releases) == 2
    assert not list((root(host) / "work").iterdir())
    assert len(list((root(host) / "states").iterdir())) == 1
    assert not [path for path in (root(host) / "releases").iterdir() if path.name[0] == "."]


def test_agent_killed_on_the_board(host: Board) -> None:
    with device(host) as board:
        install(board, made(OLD))
    with device(host) as board:
        board.lock("deploy")
        host.run(["pkill", "-KILL", "python3"])
        with pytest.raises(DeviceError) as found:
            board.send(made(NEW))
        assert "the agent was killed" in found.value.what
        assert found.value.exit_code == 3
    assert current(host) == made(OLD).id
    check_next_deploy(host, NEW)


def test_damaged_part_is_sent_again(host: Board) -> None:
    release = made(NEW)
    model = release.manifest.files["model.onnx"]
    with device(host) as board:
        install(board, made(OLD))
    # What a power cut leaves of a file that was not synced: a length, and nothing in it.
    part = root(host) / "incoming" / f"{model.sha256}.part"
    part.write_bytes(bytes(model.bytes // 2))
    os.chown(part, 1000, 1000)
    with device(host) as board:
        install(board, release)
    assert current(host) == release.id
