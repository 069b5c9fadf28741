"""A disk without a free byte: the lock, the way back and a collection are there all the same."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import subprocess
from typing import TYPE_CHECKING, Callable, Iterator

import pytest

from .serving import Host, command, current_of, eventually

if TYPE_CHECKING:
    from pathlib import Path

Start = Callable[[], Host]


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A root on a disk of two megabytes; needs root."""
    if os.getuid() != 0:
        pytest.skip("needs root, to mount a filesystem")
    folder = tmp_path / "mount"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode != 0:
        pytest.skip(f"needs the right to mount: {done.stdout.decode().strip()}")
    yield folder / "root"
    subprocess.run(["umount", str(folder)], check=True)


def fill(root: Path) -> None:
    """Take every byte that is left."""
    with (root.parent / "filling").open("ab", buffering=0) as filling:
        for size in (4096, 1):
            with contextlib.suppress(OSError):
                while filling.write(bytes(size)):
                    pass
    with pytest.raises(OSError) as found:
        (root.parent / "more").write_bytes(b"x")
    assert found.value.errno == errno.ENOSPC
    (root.parent / "more").unlink()


def test_full_disk_has_a_lock_a_way_back_and_a_collection(small: Path, agent_pyz: Path) -> None:
    with Host(command(agent_pyz, small)) as host:
        before, after, spare = (host.push(note) for note in "abc")
        host.activate(before)
        host.activate(after)
    (small / "lock").unlink()
    (small / "lock").touch()
    fill(small)
    with Host(command(agent_pyz, small)) as host, Host(command(agent_pyz, small)) as other:
        host.lock()
        # It holds the lock, though there was no room to say whose it is.
        kind, message = other.refused("lock", who="x", what="y", shared=False, wait_s=0)
        assert kind == "locked" and "another session" in message
        assert host.do("rollback", signers=[]) == {"current": before, "previous": after}
        assert current_of(small) == before
        assert host.do("collect")["removed_releases"] == 1
        assert not (small / "releases" / spare).exists()
        assert current_of(small) == before
    assert eventually(lambda: (small / "lock").stat().st_size == 0)


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="ssh-keygen is absent")
def test_signature_is_checked_on_a_full_disk(small: Path, agent_pyz: Path) -> None:
    with Host(command(agent_pyz, small)) as host:
        digest = host.push("a", "bm8gc2lnbmF0dXJl")
    fill(small)
    with Host(command(agent_pyz, small)) as host:
        kind, message = host.refused("activate", id=digest, signers=["anna ssh-ed25519 AAAA"])
    assert kind == "not-signed" and "is by nobody of" in message
