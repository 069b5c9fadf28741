from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from edgeq import reading
from edgeq.device.ssh.known_hosts import known_hosts
from tests.device.sshd import generate, need, public

NAMES = ("barn7", "barn8.example.org", "[barn7]:2222", "[10.0.0.7]:22", "10.0.0.7", "gate")
LINES = (
    "barn7",
    "BARN7,other",
    "*.example.org",
    "*,!gate,!barn*",
    "[barn7]:2222",
    "[barn?]:*",
    "10.0.0.*",
    "barn8.example.org,10.0.0.7",
    "gate",
    "!gate",
)


@pytest.fixture(autouse=True)
def ticks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system whose clock shows every change, so that nothing has to be waited for."""
    monkeypatch.setattr(reading, "TICK_NS", 0)


@pytest.mark.parametrize("hashed", [False, True])
def test_lines_about_a_name_are_those_that_ssh_keygen_finds(tmp_path: Path, hashed: bool) -> None:
    key, file = public(generate(tmp_path / "key")), tmp_path / "known_hosts"
    file.write_text("# mine\n\n" + "".join(f"{hosts} {key}\n" for hosts in LINES))
    if hashed:  # what is a pattern stays one
        subprocess.run(
            [need("ssh-keygen"), "-q", "-H", "-f", file], check=True, capture_output=True
        )
        assert "|1|" in file.read_text()
    for name in NAMES:
        command = [need("ssh-keygen"), "-F", name, "-f", str(file)]
        said = subprocess.run(command, capture_output=True, text=True, check=False).stdout
        wanted = [f"{file}:{line.split()[-1]}" for line in said.splitlines() if line[:1] == "#"]
        assert [one.place for one in known_hosts(file).about(name)] == wanted, name


def test_file_is_read_once_until_it_changes(tmp_path: Path) -> None:
    file, key = tmp_path / "known_hosts", public(generate(tmp_path / "key"))
    assert known_hosts(file).about("barn7") == []  # and one that is not there may come
    file.write_text(f"barn7 {key}\n")
    before = known_hosts(file)
    assert [one.hosts for one in before.about("barn7")] == ["barn7"]
    time.sleep(0.01)
    assert known_hosts(file) is (again := known_hosts(file))
    assert again.about("barn7")
    file.write_text(f"barn8 {key}\n")
    os.utime(file)
    assert not known_hosts(file).about("barn7") and known_hosts(file).about("barn8")


def test_file_that_was_written_just_now_is_not_believed_to_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "TICK_NS", 10**12)
    file, key = tmp_path / "known_hosts", public(generate(tmp_path / "key"))
    file.write_text(f"barn7 {key}\n")
    assert known_hosts(file) is not known_hosts(file)
