"""A push over a far link, and a hundred sessions at once."""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

from benchmarks.figure import Figure, at_least, at_most, missing
from benchmarks.server import Server, resident_bytes, served
from edgeq.device.device import Device
from edgeq.device.sending import send_blobs
from edgeq.device.ssh.transport import SshTransport
from tests.device.board import machine
from tests.device.board.board import Board
from tests.device.board.site import Site

PART = "link"
RATE_BITS_PER_S, DELAY_S, FAR_BYTES = 40e6, 0.040, 200_000_000
SESSIONS, AT_ONCE, ROUNDS = 100, 20, 3
SHARE = at_least(0.9)
GROWTH_MB = at_most(60)
LOGINS = at_most(1.3)
_FAR = "200 MB over 40 Mbit/s with 40 ms each way: share of the link"


def measure() -> Iterator[Figure]:
    """The share of a far link that a push uses; memory and time of a hundred sessions."""
    lacking = machine.prepare()
    if lacking:
        yield missing(PART, _FAR, "x", f"no emulated link: {', '.join(lacking)}", SHARE)
    else:
        yield _far()
    reason = Server.lacking()
    if reason:
        yield missing(PART, "100 sessions: growth", "MB", reason, GROWTH_MB)
        yield missing(PART, "100 sessions / 100 ssh logins", "x", reason, LOGINS)
        return
    with tempfile.TemporaryDirectory() as name, served(Path(name)) as server:
        yield from _sessions(server, Path(name))


def _far() -> Figure:
    site = Site.claim()
    try:
        [host] = site.start(1, emulated=False)
        host.link(RATE_BITS_PER_S, DELAY_S)
        content = os.urandom(FAR_BYTES)
        with _device(host) as device:
            # The agent is there, as it is for every push but the very first.
            device.status()
        started = time.perf_counter()
        with _device(host) as device:
            send_blobs(device.session, {hashlib.sha256(content).hexdigest(): content})
        seconds = time.perf_counter() - started
    finally:
        site.close()
    share = FAR_BYTES * 8 / seconds / RATE_BITS_PER_S
    note = f"{seconds:.1f} s from login to synced; frames' own headers count to the rate"
    return Figure(PART, _FAR, share, "x", SHARE, note)


def _device(host: Board) -> Device:
    config = host.folder / "ssh_config"
    lines = (f"IdentityFile {host.key}", f"UserKnownHostsFile {host.folder / 'known_hosts'}")
    config.write_text("\n".join(["Host *", *lines, "IdentitiesOnly yes", ""]))
    transport = SshTransport(f"{host.user}@{host.address}", config_files=[config])
    return Device(transport, f"{host.home}/.edgeq")


def _sessions(server: Server, folder: Path) -> Iterator[Figure]:
    def look(number: int) -> Device:
        device = Device(server.transport(), str(folder / f"device{number % 4}"))
        assert device.hello.machine
        return device

    def log_in(number: int) -> None:
        server.openssh("ssh", "true")

    for number in range(4):
        look(number).close()
    before = resident_bytes()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        devices = list(pool.map(look, range(SESSIONS)))
        growth = resident_bytes() - before
        list(pool.map(Device.close, devices))
    note = f"{SESSIONS} open at the same time, {AT_ONCE} opened at once"
    yield Figure(PART, "100 sessions: growth", growth / 1e6, "MB", GROWTH_MB, note)
    ours, theirs = [], []
    for _ in range(ROUNDS):
        theirs.append(_together(log_in))
        ours.append(_together(lambda number: look(number).close()))
    note = f"{median(ours):.2f} s; ssh {median(theirs):.2f} s, {AT_ONCE} at once"
    name = "100 sessions / 100 ssh logins"
    yield Figure(PART, name, median(ours) / median(theirs), "x", LOGINS, note)
    cores = f"{len(os.sched_getaffinity(0))} cores serve both sides"
    processor = (
        _cpu_s(lambda: _together(log_in)),
        _cpu_s(lambda: _together(lambda n: look(n).close())),
    )
    note = f"CPU of this side: ours {processor[1]:.2f} s, ssh {processor[0]:.2f} s; {cores}"
    yield Figure(
        PART, "100 sessions / 100 ssh logins, CPU", processor[1] / processor[0], "x", None, note
    )


def _together(action: Callable[[int], object]) -> float:
    started = time.perf_counter()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(action, range(SESSIONS)))
    return time.perf_counter() - started


def _cpu_s(action: Callable[[], object]) -> float:
    before = os.times()
    action()
    after = os.times()
    own = after.user + after.system - before.user - before.system
    return (
        own
        + after.children_user
        + after.children_system
        - before.children_user
        - before.children_system
    )
