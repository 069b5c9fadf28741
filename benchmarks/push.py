"""Pushing over SSH to a server on this machine, beside OpenSSH's own programs; in turns."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median

from benchmarks.figure import Figure, at_least, at_most, missing
from benchmarks.server import Server, counting, served
from edgeq.device.device import Device
from edgeq.device.sending import send_blobs

PART = "push"
ROUNDS = 5
LARGE = 200_000_000
SMALL, SMALL_COUNT = 20_000, 500
LARGE_RATE = at_least(0.85)
SMALL_RATE = at_least(0.7)
REPEAT_TIME = at_most(1.5)
REPEAT_KB = at_most(20)
SFTP = ("-B", "261120", "-R", "256")


def measure() -> Iterator[Figure]:
    """Rates as shares of OpenSSH's, from the first packet of the login to the last byte synced."""
    reason = Server.lacking()
    if reason:
        for name, unit, limit in (
            ("200 MB: edgeq / sftp", "x", LARGE_RATE),
            ("500 blobs of 20 KB: edgeq / tar | ssh tar", "x", SMALL_RATE),
            ("unchanged artifact: push / ssh true", "x", REPEAT_TIME),
            ("unchanged artifact: moved", "kB", REPEAT_KB),
        ):
            yield missing(PART, name, unit, reason, limit)
        return
    with tempfile.TemporaryDirectory() as name, served(Path(name)) as server:
        folder = Path(name)
        yield from _large(server, folder)
        yield from _small(server, folder)
        yield from _repeated(server, folder)


def _large(server: Server, folder: Path) -> Iterator[Figure]:
    file = folder / "large"
    file.write_bytes(os.urandom(LARGE))
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    batch = folder / "batch"
    batch.write_text(f"put {file} {folder}/large.sftp\n")
    ours, theirs = [], []
    for _ in range(ROUNDS):
        theirs.append(_seconds(lambda: server.openssh("sftp", *SFTP, "-b", str(batch))))
        (folder / "large.sftp").unlink()
        with _root(folder) as root:
            ours.append(_seconds(partial(_send, server, root, {digest: file})))
    rate, other = (LARGE / median(times) / 1e6 for times in (ours, theirs))
    note = f"{rate:.0f} MB/s, hashed and synced; sftp {other:.0f} MB/s, neither"
    yield Figure(PART, "200 MB: edgeq / sftp", rate / other, "x", LARGE_RATE, note)


def _small(server: Server, folder: Path) -> Iterator[Figure]:
    files = folder / "small"
    files.mkdir()
    contents = {}
    for number in range(SMALL_COUNT):
        content = os.urandom(SMALL)
        (files / str(number)).write_bytes(content)
        contents[hashlib.sha256(content).hexdigest()] = files / str(number)
    ours, theirs = [], []
    for _ in range(ROUNDS):
        with _root(folder) as root:
            theirs.append(_seconds(partial(server.tar, files, root)))
        with _root(folder) as root:
            ours.append(_seconds(partial(_send, server, root, contents)))
    note = f"{median(ours):.2f} s, hashed and synced; tar {median(theirs):.2f} s, neither"
    name = "500 blobs of 20 KB: edgeq / tar | ssh tar"
    yield Figure(PART, name, median(theirs) / median(ours), "x", SMALL_RATE, note)


def _repeated(server: Server, folder: Path) -> Iterator[Figure]:
    from tests.device.artifacts import made

    artifact = made({"model.onnx": os.urandom(4_000_000), "plan.json": b"{}"})
    root = folder / "device"

    def push(through: Server = server) -> None:
        with Device(through.transport(), str(root)) as device:
            device.lock("benchmark")
            device.send(artifact)

    push()
    ours, theirs = [], []
    for _ in range(3 * ROUNDS):
        theirs.append(_seconds(lambda: server.openssh("ssh", "true")))
        ours.append(_seconds(push))
    note = f"{median(ours) * 1e3:.0f} ms; ssh {median(theirs) * 1e3:.0f} ms"
    name = "unchanged artifact: push / ssh true"
    yield Figure(PART, name, median(ours) / median(theirs), "x", REPEAT_TIME, note)
    with counting(server) as (through, moved):
        push(through)
    note = "both ways, with the whole SSH handshake"
    yield Figure(PART, "unchanged artifact: moved", moved() / 1e3, "kB", REPEAT_KB, note)


def _send(server: Server, root: Path, contents: dict[str, Path]) -> None:
    with Device(server.transport(), str(root)) as device:
        sent = send_blobs(device.session, contents)
        assert sent.blobs == len(contents)


@contextmanager
def _root(folder: Path) -> Iterator[Path]:
    root = folder / "root"
    root.mkdir()
    try:
        yield root
    finally:
        shutil.rmtree(root)
        subprocess.run(["sync"], check=True)  # nobody pays for the other's writes


def _seconds(action: Callable[[], object]) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started
