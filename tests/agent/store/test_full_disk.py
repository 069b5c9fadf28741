"""A disk without a free byte: the lock, the way back and a collection are there all the same."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import shutil
import subprocess
import zipfile
from typing import TYPE_CHECKING, Callable, Dict, Iterator

import pytest

from ..serving import Host, command, current_of, eventually
from . import test_installation

if TYPE_CHECKING:
    from pathlib import Path

pip, build, wheel = test_installation.pip, test_installation.build, test_installation.wheel

Start = Callable[[], Host]


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A root on a disk of two megabytes; needs root."""
    with mounted(tmp_path, "2m") as root:
        yield root


@contextlib.contextmanager
def mounted(tmp_path: Path, size: str) -> Iterator[Path]:
    """A root on a disk of its own."""
    if os.getuid() != 0:
        pytest.skip("needs root, to mount a filesystem")
    folder = tmp_path / "mount"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode != 0:
        pytest.skip(f"needs the right to mount: {done.stdout.decode().strip()}")
    try:
        yield folder / "root"
    finally:
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


def test_environment_that_does_not_fit_is_a_full_disk(
    tmp_path: Path, agent_pyz: Path, pip: Dict[str, bytes]
) -> None:
    packed = io.BytesIO(wheel("gadget", "1.0"))
    with zipfile.ZipFile(packed, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("gadget.bin", bytes(20_000_000))
    wheels = {**pip, "gadget-1.0-py3-none-any.whl": packed.getvalue()}
    with mounted(tmp_path, "12m") as root, Host(command(agent_pyz, root)) as host:
        host.lock()
        error = build(host, "x", wheels, "gadget")["error"]
        assert error["kind"] == "disk-full", error
        assert "there is no room for it" in error["message"] and "28" in error["message"]
        assert not (root / "env" / "x").exists()
