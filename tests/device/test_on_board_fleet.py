"""Many hosts at a time, from one process."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from .board.board import Board
from .boards_support import Starter, User, current, device, install, made, user

__all__ = ["user"]

COUNT = 50


def open_files() -> set[str]:
    found = set()
    for path in Path("/proc/self/fd").iterdir():
        try:
            found.add(str(path.readlink()))
        except FileNotFoundError:
            continue
    return {name for name in found if name.startswith("socket:")}


def test_fifty_hosts_at_once(user: User, native_hosts: Starter) -> None:
    hosts = native_hosts(COUNT)
    user.meet(*hosts)
    threads, sockets = set(threading.enumerate()), open_files()
    # All of them are connected before the first one says goodbye.
    together = threading.Barrier(COUNT)

    def visit(host: Board) -> str | None:
        release = made(host.number, 20_000)
        with device(host, connect_timeout_s=60.0) as board:
            assert board.hello.root
            assert board.status().current is None
            together.wait(100.0)
            install(board, release)
            assert board.status().current == release.id
        return release.id

    with ThreadPoolExecutor(COUNT) as pool:
        ids = list(pool.map(visit, hosts))
    assert [current(host) for host in hosts] == ids
    left = [thread for thread in threading.enumerate() if thread not in threads]
    for thread in left:
        thread.join(5.0)
    assert not [thread.name for thread in left if thread.is_alive()]
    assert open_files() <= sockets
