from __future__ import annotations

import ast
import hashlib
import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from edgeq.device.session.bundle import bundle
from edgeq.device.session.loader import LOADER

AGENT = bundle()
DIGEST = hashlib.sha256(AGENT).hexdigest()


def load(
    root: str | Path,
    sent: bytes = b"",
    digest: str = DIGEST,
    mode: str | None = "keep",
    python: str = sys.executable,
    size: int = len(AGENT),
    **options: Any,
) -> tuple[int, list[Any]]:
    """The status and the lines of a loader that gets these bytes and then the end of input."""
    arguments = [str(root), digest, str(size), *([mode] if mode else [])]
    done = subprocess.run(
        [python, "-IS", "-c", LOADER, *arguments],
        input=sent,
        capture_output=True,
        timeout=30,
        **options,
    )
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def refused(root: str | Path, sent: bytes = b"", **options: Any) -> str:
    """The kind of a refusal, whose message has three parts."""
    status, lines = load(root, sent, **options)
    assert status == 1 and lines[-1]["edgeq"] == "refused"
    assert ": " in lines[-1]["message"] and "; " in lines[-1]["message"]
    return str(lines[-1]["kind"])


def test_old_pythons_understand_it() -> None:
    for version in ((3, 4), (3, 7), (3, 11)):
        ast.parse(LOADER, feature_version=version)
    assert 'f"' not in LOADER and "print(" not in LOADER


def test_old_python_is_told_apart(tmp_path: Path) -> None:
    olds = [*Path.home().glob(".pyenv/versions/3.[67].*/bin/python")]
    olds += [Path(found) for name in ("python3.6", "python3.7") if (found := shutil.which(name))]
    if not olds:
        pytest.skip("needs a Python older than 3.8, none was found")
    assert refused(tmp_path, python=str(olds[0])) == "python-too-old"


def test_python_2_is_told_apart(tmp_path: Path) -> None:
    olds = [*Path.home().glob(".pyenv/versions/2.7.*/bin/python")]
    if not olds:
        pytest.skip("needs Python 2.7, none was found")
    command = [str(olds[0]), "-S", "-c", LOADER, str(tmp_path), DIGEST, "1"]
    done = subprocess.run(command, capture_output=True, timeout=30)
    assert json.loads(done.stdout)["kind"] == "python-too-old"


def test_agent_is_sent_once(tmp_path: Path) -> None:
    root = tmp_path / "a root" / "deeper"
    status, lines = load(root, AGENT)
    assert status == 0 and [line["edgeq"] for line in lines] == ["send", "ready"]
    assert (root / "agent" / f"{DIGEST}.pyz").read_bytes() == AGENT
    status, lines = load(root)
    assert status == 0 and [line["edgeq"] for line in lines] == ["ready"]
    assert lines[0]["root"] == str(root)


@pytest.mark.parametrize(("mask", "mode"), [(0o000, 0o022), (0o077, 0o077)])
def test_nobody_else_may_write_whatever_the_umask(tmp_path: Path, mask: int, mode: int) -> None:
    root = tmp_path / "root"
    assert load(root, AGENT, umask=mask)[0] == 0
    paths = [root, *root.rglob("*")]
    assert len(paths) == 4
    assert not any(path.stat().st_mode & mode for path in paths)


def test_home_is_expanded(tmp_path: Path) -> None:
    status, lines = load("~/root", AGENT, env={**os.environ, "HOME": str(tmp_path)})
    assert status == 0 and lines[-1]["root"] == str(tmp_path / "root")


def test_not_one_byte_too_many_is_read(tmp_path: Path) -> None:
    status, lines = load(tmp_path, AGENT + b'{"op": "status"}\n')
    assert status == 0 and lines[-1]["ok"]["current"] is None


def test_agent_that_was_damaged_is_sent_again(tmp_path: Path) -> None:
    load(tmp_path, AGENT)
    (tmp_path / "agent" / f"{DIGEST}.pyz").write_bytes(AGENT[:-1])
    status, lines = load(tmp_path, AGENT)
    assert status == 0 and lines[0] == {"edgeq": "send"}
    assert (tmp_path / "agent" / f"{DIGEST}.pyz").read_bytes() == AGENT


def test_agent_that_arrives_damaged_is_not_kept(tmp_path: Path) -> None:
    assert refused(tmp_path, bytes(len(AGENT))) == "garbled"
    assert list((tmp_path / "agent").iterdir()) == []


def test_host_that_hangs_up_leaves_nothing_half(tmp_path: Path) -> None:
    status, lines = load(tmp_path, AGENT[:1000])
    assert status == 1 and lines == [{"edgeq": "send"}]
    assert list((tmp_path / "agent").iterdir()) == []


def test_from_memory_nothing_is_written(tmp_path: Path) -> None:
    root = tmp_path / "root"
    requests = b'{"op": "status"}\n{"op": "job", "verb": "probe", "job": {}}\n'
    arguments = [str(root), DIGEST, str(len(AGENT)), "memory"]
    with subprocess.Popen(
        [sys.executable, "-IS", "-c", LOADER, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "HOME": str(tmp_path), "TMPDIR": str(tmp_path)},
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(AGENT + requests)
        process.stdin.flush()
        lines = [json.loads(process.stdout.readline()) for _ in range(4)]
        process.stdin.close()
        assert process.wait(timeout=10) == 0
    assert [line.get("edgeq") for line in lines[:2]] == ["send", "ready"]
    assert lines[2]["ok"]["releases"] == [] and lines[3]["ok"]["arch"]
    assert list(tmp_path.iterdir()) == []


def test_from_memory_an_agent_that_is_there_is_used(tmp_path: Path) -> None:
    load(tmp_path, AGENT)
    status, lines = load(tmp_path, mode="memory")
    assert status == 0 and [line["edgeq"] for line in lines] == ["ready"]


def test_file_where_a_folder_should_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert refused(tmp_path / "file") == "not-a-folder"
    assert refused(tmp_path / "file" / "deeper") == "not-a-folder"


def test_folder_of_another_user_is_denied(tmp_path: Path) -> None:
    if os.getuid() != 0:
        tmp_path.chmod(0o500)
        assert refused(tmp_path / "root") == "denied"
        return
    nobody = pwd.getpwnam("nobody")
    place = Path("/var/tmp") / f"edgeq-{os.getpid()}"
    place.mkdir(mode=0o755)
    try:
        assert refused(place / "root", python="/usr/bin/python3", user=nobody.pw_uid) == "denied"
    finally:
        place.rmdir()


def test_root_that_one_may_not_even_look_into_is_described(tmp_path: Path) -> None:
    who: dict[str, Any] = {}
    place, python = tmp_path / "closed", sys.executable
    if os.getuid() == 0:
        place, python = Path("/var/tmp") / f"edgeq-{os.getpid()}", "/usr/bin/python3"
        who = {"user": pwd.getpwnam("nobody").pw_uid}
    root = place / "root"
    command = [python, "-IS", "-c", LOADER, str(root), DIGEST, str(len(AGENT)), "memory"]
    requests = b'{"op": "status"}\n{"op": "job", "verb": "probe", "job": {"root": "%s"}}\n'
    place.mkdir(mode=0o000)
    try:
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd="/", **who
        ) as process:
            assert process.stdin is not None and process.stdout is not None
            process.stdin.write(AGENT + requests % str(root).encode())
            process.stdin.flush()
            lines = [json.loads(process.stdout.readline()) for _ in range(4)]
            process.stdin.close()
    finally:
        place.rmdir()
    assert process.returncode == 0 and lines[0] == {"edgeq": "send"}
    assert (lines[1]["writable"], lines[1]["signers"]) == (False, None)
    assert lines[1]["environment"] is None
    assert lines[2]["error"]["kind"] == "denied"
    assert lines[3]["ok"]["disk"]["free_bytes"] > 0


@contextmanager
def waiting(root: Path, loader: str = LOADER) -> Iterator[subprocess.Popen[bytes]]:
    """A loader that has got half of the agent."""
    arguments = [str(root), DIGEST, str(len(AGENT)), "keep"]
    with subprocess.Popen(
        [sys.executable, "-IS", "-c", loader, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        assert json.loads(process.stdout.readline()) == {"edgeq": "send"}
        process.stdin.write(AGENT[:1000])
        process.stdin.flush()
        yield process


def test_folder_that_goes_meanwhile_is_no_bug(tmp_path: Path) -> None:
    with waiting(tmp_path) as process:
        (tmp_path / "agent").rmdir()
        line = json.loads(process.communicate(AGENT[1000:], timeout=10)[0])
    assert (line["kind"], line["message"].split("; ")[-1]) == ("busy", "try again")
    assert f"{DIGEST}.pyz" in line["message"]


def test_host_that_falls_silent_leaves_no_loader(tmp_path: Path) -> None:
    assert LOADER.count("alarm(120)") == 1
    with waiting(tmp_path, LOADER.replace("alarm(120)", "alarm(1)")) as process:
        assert process.wait(timeout=10) == -signal.SIGALRM
    assert list((tmp_path / "agent").iterdir()) == []


def test_time_of_the_transfer_is_not_that_of_the_session(tmp_path: Path) -> None:
    with waiting(tmp_path, LOADER.replace("alarm(120)", "alarm(1)")) as process:
        assert process.stdin is not None
        process.stdin.write(AGENT[1000:])
        process.stdin.flush()
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=1.5)
        process.stdin.close()
        assert process.wait(timeout=10) == 0


@pytest.fixture
def mounted(tmp_path: Path) -> Any:
    """Mount a tmpfs with these options; needs root."""
    if os.getuid() != 0:
        pytest.skip("needs root, to mount a filesystem")
    folders: list[Path] = []

    def mount(options: str) -> Path:
        folder = tmp_path / f"mount{len(folders)}"
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            pytest.skip(f"needs the right to mount: {done.stderr.strip()}")
        folders.append(folder)
        return folder

    yield mount
    for folder in folders:
        subprocess.run(["umount", str(folder)], check=True)


def test_full_disk_is_refused(mounted: Any) -> None:
    root = mounted("size=16k") / "root"
    assert refused(root, AGENT) == "disk-full"
    assert list((root / "agent").iterdir()) == []


def test_read_only_disk_is_refused(mounted: Any) -> None:
    folder = mounted("size=10m")
    subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
    assert refused(folder / "root") == "read-only"
    status, lines = load(folder / "root", AGENT, mode="memory")
    assert status == 0 and lines[-1]["read_only"] is True


def test_disk_without_execution_is_said(mounted: Any) -> None:
    status, lines = load(mounted("size=10m,noexec") / "root", AGENT)
    assert status == 0 and lines[-1]["noexec"] is True


def test_full_disk_during_a_transfer_keeps_what_arrived(mounted: Any) -> None:
    root = mounted("size=1m") / "root"
    content = os.urandom(3_000_000)
    digest = hashlib.sha256(content).hexdigest()
    put = {"op": "put", "hash": digest, "size": len(content), "offset": 0, "bytes": len(content)}
    have = {"op": "have", "hashes": [digest]}
    requests = json.dumps(put).encode() + b"\n" + content + json.dumps(have).encode() + b"\n"
    _, lines = load(root, AGENT + requests)
    assert lines[2]["error"]["kind"] == "disk-full"
    assert f"{digest}.part: no space left on device" in lines[2]["error"]["message"]
    assert 100_000 < lines[3]["ok"]["partial"][digest] < 1_000_000


def test_disk_that_became_read_only_can_be_looked_at(mounted: Any) -> None:
    folder = mounted("size=10m")
    have = json.dumps({"op": "have", "hashes": [hashlib.sha256(b"x").hexdigest()]}).encode()
    lock = {"op": "lock", "who": "a test", "what": "testing", "wait_s": 0, "shared": True}
    put = {"op": "put", "hash": hashlib.sha256(b"x").hexdigest(), "size": 1, "bytes": 1}
    commit = b'{"op": "commit"}\n'
    assert load(folder, AGENT + commit)[1][2] == {"ok": {"blobs": 0}}
    subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
    requests = [have, json.dumps(lock).encode(), json.dumps(put).encode() + b"\nx" + have]
    _, lines = load(folder, b"\n".join(requests) + b'\n{"op": "status"}\n')
    assert lines[0]["read_only"] is True
    assert lines[2] == {"ok": {}} and "ok" in lines[4] and "ok" in lines[5]
    assert lines[3]["error"]["kind"] == "read-only"
    assert f"{put['hash']}.part: read-only file system" in lines[3]["error"]["message"]
