"""What a board, or whoever pretends to be one, can be wrong at: each by its name, and code 3."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgeq.agent.errors import GARBLED
from edgeq.device.connection import Address
from edgeq.errors import DeviceError, InputError
from edgeq.records.examination import Examination
from edgeq.verbs import boards
from edgeq.verbs.releases import status

from .board.board import Board
from .boards_support import (
    User,
    address,
    current,
    device,
    host,
    install,
    listing,
    made,
    refusal,
    run_edgeq,
    target,
    target_file,
    user,
)

__all__ = ["host", "user"]

# says of itself that it is older than it is
OLD_PYTHON = """\
#!/bin/sh
code=$3
shift 3
exec python3 -IS -c "import sys
sys.version, sys.version_info = '3.7.3 (default)', (3, 7, 3)
exec(sys.argv.pop(1))" "$code" "$@"
"""
NOISE = r"""
echo "Welcome to barn 7"
echo '{"temperature": 31.5}'
echo "careful, it is warm" >&2
printf '\033[1mno newline at the end'
"""


def status_by_command(board: Board, kind: Path) -> tuple[int, str]:
    where = address(board)
    done = run_edgeq("status", "-t", kind, "-H", str(where.host), "-i", str(where.identity))
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr


def test_board_whose_key_changed(host: Board, tmp_path: Path) -> None:
    with device(host) as board:
        install(board, made(1))
    before = listing(host.folder / "upper/home")
    host.change_host_key()

    error = refusal(lambda: device(host).hello, "host-key-changed")
    assert "known_hosts:1" in error.what and "SHA256:" in error.what
    assert "someone may be in between" in error.remedy
    code, words = status_by_command(host, target_file(tmp_path))
    assert code == 3
    assert "another one than before" in words
    assert listing(host.folder / "upper/home") == before


def test_board_that_nobody_knows(user: User, native_host: Board, tmp_path: Path) -> None:
    error = refusal(lambda: device(native_host).hello, "host-key-unknown")
    assert "ssh-keygen -lf" in error.remedy
    code, words = status_by_command(native_host, target_file(tmp_path))
    assert (code, "its host key is not known" in words) == (3, True)
    # Nothing was learned by trying.
    assert not (tmp_path / "home/.ssh/known_hosts").exists()


def test_board_that_does_not_know_us(host: Board) -> None:
    (host.disk / "etc/ssh/authorized_keys").write_text("")
    error = refusal(lambda: device(host).hello, "auth-failed")
    assert host.address in error.where


def test_board_without_python(host: Board, tmp_path: Path) -> None:
    kind = target_file(tmp_path, "python: /nowhere/python3")
    error = refusal(lambda: boards.check(str(kind), address(host)), "no-python")
    assert "/nowhere/python3" in error.what
    assert "install python3 (3.8 or later)" in error.remedy
    assert status_by_command(host, kind)[0] == 3


def test_board_with_an_old_python(host: Board, tmp_path: Path) -> None:
    stub = host.disk / "home/edge/python3.7"
    stub.write_text(OLD_PYTHON)
    stub.chmod(0o755)
    kind = target_file(tmp_path, f"python: {host.home}/python3.7")
    error = refusal(lambda: boards.setup(str(kind), address(host)), "python-too-old")
    assert "is Python 3.7.3" in error.what and "3.8 or later" in error.what
    assert not (host.disk / "home/edge/.edgeq").exists()


def test_board_of_another_architecture(host: Board) -> None:
    found = boards.check("arm-cpu-ort", address(host))
    [finding] = [finding for finding in found.findings if finding.name == "architecture"]
    assert (finding.state, finding.found) == ("wrong", "is x86_64, the target is for aarch64")
    error = refusal(lambda: boards.setup("arm-cpu-ort", address(host)), "architecture")
    assert "architecture: is x86_64, the target is for aarch64" in error.what


def test_board_whose_clock_is_off(host: Board, tmp_path: Path) -> None:
    # No clock of a board here can be set; so close as this none ever is.
    kind = target(tmp_path, "limits: {clock_skew_s: 0.000000001}")
    [finding] = [f for f in boards.check(kind, address(host)).findings if f.name == "clock"]
    assert finding.state == "wrong"
    assert "0 seconds" in finding.found and "timedatectl" in finding.remedy
    error = refusal(lambda: boards.setup(kind, address(host)), "clock")
    assert "clock: is 0 seconds" in error.what


def test_login_script_that_talks(host: Board) -> None:
    (host.disk / "home/edge/.bashrc").write_text(NOISE)
    for _ in range(2):  # the agent is not there, then it is
        with device(host, patience_s=5.0) as board:
            install(board, made(1))
    assert current(host) == made(1).id


def test_login_script_that_talks_without_end(host: Board) -> None:
    (host.disk / "home/edge/.bashrc").write_text("yes careful, it is warm\n")
    with device(host) as board:
        error = refusal(lambda: board.hello, GARBLED)
        assert "unintelligible" in error.what and "careful, it is warm" in error.what


def test_account_that_may_not_run_anything(host: Board) -> None:
    passwd = host.disk / "etc/passwd"
    passwd.write_text(passwd.read_text().replace("/bin/bash", "/usr/sbin/nologin"))
    with device(host) as board, pytest.raises(DeviceError) as found:
        board.status()
    assert found.value.exit_code == 3
    assert "not available" in found.value.what


def test_board_without_an_engine_is_not_ready(host: Board, tmp_path: Path) -> None:
    where, kind = address(host), target_file(tmp_path)
    arguments = ("-H", str(where.host), "-i", str(where.identity))
    done = run_edgeq("targets", "check", kind, *arguments, "--json")
    assert done.returncode == 3
    examination = Examination.model_validate_json(done.stdout)
    missing = {f.name: f.remedy for f in examination.findings if f.state == "missing"}
    assert missing["onnxruntime"] == "run: edgeq targets setup"
    assert not (host.disk / "home/edge/.edgeq").exists()


def test_target_over_ssh_wants_an_address(tmp_path: Path) -> None:
    done = run_edgeq("status", "-t", target_file(tmp_path))
    assert done.returncode == 2
    assert "--host" in done.stderr
    with pytest.raises(InputError):
        status("local", Address("edge@barn7"))
