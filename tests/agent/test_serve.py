"""A session: frames, pipelining, nonsense, silence and hanging up."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import time
from pathlib import Path
from typing import Callable, List

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgeq.agent.serve import machine_name

from .serving import SIGNER, Host, command, eventually, sha256

Connect = Callable[..., Host]


def test_ready_frame_describes_the_device(connect: Connect, root: Path, agent_python: str) -> None:
    host = connect(agent_python)
    ready = host.ready
    assert (ready["edgeq"], ready["signers"]) == ("ready", None)
    assert (ready["executable"], ready["root"]) == (agent_python, str(root))
    assert ready["pid"] == host.process.pid
    assert (ready["read_only"], ready["noexec"], ready["environment"]) == (False, False, None)
    assert ready["free_bytes"] > 0 and abs(ready["clock_unix_s"] - time.time()) < 60
    digest = host.push("a")
    assert host.activate(digest) == {"current": digest, "previous": None}
    newer = host.push("b")
    assert host.activate(newer) == {"current": newer, "previous": digest}
    assert host.do("rollback", signers=[]) == {"current": digest, "previous": newer}
    host.lock()
    assert host.do("collect")["removed_blobs"] == 0


def test_looking_writes_nothing(host: Host, root: Path) -> None:
    status = host.do("status")
    assert (status["current"], status["releases"], status["lock"]) == (None, [], None)
    assert status["signed_only"] is False
    assert host.do("have", hashes=["0" * 64]) == {"missing": ["0" * 64], "partial": {}}
    assert host.do("job", verb="probe", job={"root": str(root)})["arch"]
    assert not root.exists()


def test_list_of_signers_shows_at_once_and_where_it_leads_nowhere(
    connect: Connect, root: Path
) -> None:
    host = connect()
    host.lock()
    host.do("signers", text=SIGNER)
    assert host.do("status")["signed_only"] is True
    assert connect().ready["signers"] == SIGNER
    (root / "allowed_signers").unlink()
    (root / "allowed_signers").symlink_to("nowhere")
    assert host.do("status")["signed_only"] is True
    assert connect().ready["signers"] == ""


def test_serve_imports_the_standard_library_only(agent_pyz: Path, tmp_path: Path) -> None:
    for name in ("numpy", "cv2"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('imported')")
    start = command(agent_pyz, tmp_path / "root")
    with Host([start[0], *start[2:]], PYTHONPATH=str(tmp_path)) as host:
        host.lock()
        digest = host.push("a")
        host.activate(digest)
        host.do("collect")
        host.do("status")


def test_answers_come_in_order_of_pipelined_requests(host: Host) -> None:
    blobs = [os.urandom(size) for size in (0, 1, 70_000, 3_000_000)]
    for raw in blobs:
        host.send("put", raw, hash=sha256(raw), size=len(raw), offset=0)
        host.send("have", hashes=[sha256(raw)])
    host.send("commit")
    host.send("have", hashes=[sha256(raw) for raw in blobs])
    for raw in blobs:
        assert host.answer() == {"ok": {"new": True}}
        assert host.answer()["ok"]["missing"] == [sha256(raw)]
    assert host.answer() == {"ok": {"blobs": 4}}
    assert host.answer()["ok"]["missing"] == []


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"garbage",
        b"\xff\xfe",
        b"[]",
        b'"op"',
        b"{}",
        b'{"op": 1}',
        b'{"op": "fly"}',
        b'{"op": "put", "bytes": -1}',
        b'{"op": "put", "bytes": "1"}',
        b'{"op": "put", "bytes": true}',
        b'{"op": "have"}',
        b'{"op": "have", "hashes": [1]}',
        b'{"op": "have", "hashes": ["../../etc/passwd"]}',
        b'{"op": "activate", "id": "../current"}',
        b'{"op": "lock"}',
        b'{"op": "set", "name": "../x", "hashes": []}',
        b'{"op": "job", "verb": "serve", "job": {}}',
        b'{"op": "environment", "key": "current", "wheels": {}, "requirements": []}',
        b'{"op": "patience", "seconds": NaN}',
        b"[" * 100_000,
        b'{"op": "' + b"x" * 100_000 + b'"}',
    ],
)
def test_nonsense_is_an_error_and_the_session_goes_on(host: Host, line: bytes) -> None:
    host.write(line + b"\n")
    error = host.answer()["error"]
    assert error["kind"] == "bad-request", error
    assert len(error["message"]) < 1000
    assert host.put(b"still there")


@settings(deadline=None, max_examples=50, suppress_health_check=list(HealthCheck))
@given(lines=st.lists(st.binary(max_size=60).filter(lambda raw: b"\n" not in raw), max_size=20))
def test_every_line_of_noise_gets_one_answer(host: Host, lines: List[bytes]) -> None:
    host.write(b"".join(line + b"\n" for line in lines))
    for _ in lines:
        assert host.answer()["error"]["kind"] == "bad-request"
    assert host.do("have", hashes=[])["missing"] == []


def test_line_without_end_is_refused_without_being_kept(host: Host) -> None:
    for _ in range(40):
        host.write(b"x" * (1 << 20))
    host.write(b"\n")
    assert host.answer()["error"]["kind"] == "bad-request"
    text = Path(f"/proc/{host.process.pid}/status").read_text()
    peak = next(line for line in text.splitlines() if line.startswith("VmHWM"))
    assert int(peak.split()[1]) < 120_000
    assert host.put(b"still there")


def test_refused_request_consumes_its_raw_bytes(host: Host) -> None:
    raw = b'{"op": "collect"}\n' * 1000
    assert host.refused("fly", raw)[0] == "bad-request"
    assert host.refused("put", raw, hash="0" * 64, size=1, offset=0)[0] == "bad-request"
    assert host.do("status", raw)["current"] is None


def test_disk_that_refuses_is_named_with_its_path(host: Host, root: Path) -> None:
    root.write_text("a file where the folder should be")
    kind, message = host.refused("commit")
    assert (kind, message.split(":")[0]) == ("not-a-folder", str(root))
    root.unlink()
    assert host.do("commit") == {"blobs": 0}


def test_what_nobody_foresaw_is_a_bug_with_its_place_and_the_session_goes_on(host: Host) -> None:
    host.do("commit")
    limits = resource.prlimit(host.process.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(host.process.pid, resource.RLIMIT_NOFILE, (3, limits[1]))
    kind, message = host.refused("set", name="x", hashes=["0" * 64])
    assert kind == "bug" and "Too many open files" in message
    resource.prlimit(host.process.pid, resource.RLIMIT_NOFILE, limits)
    host.do("set", name="x", hashes=["0" * 64])


def test_files_of_a_run_come_and_go(host: Host, root: Path) -> None:
    raw = os.urandom(2_500_000)
    host.do("commit")
    path = root / "work" / "job.json"
    path.write_bytes(raw)
    answer = host.ask("get", name="job.json")
    assert answer["ok"] == {"name": "job.json", "size_bytes": len(raw)}
    assert answer["raw"] == raw
    path.write_bytes(b"")
    assert host.ask("get", name="job.json")["raw"] == b""
    assert host.do("remove", name="job.json") == {"removed": True}
    assert host.do("remove", name="job.json") == {"removed": False}
    kind, message = host.refused("get", name="job.json")
    assert (kind, message.split(":")[0]) == ("no-file", str(path))
    (root / "work" / "out").symlink_to("/etc/passwd")
    assert host.refused("get", name="out")[0] == "no-file"
    host.lock()
    assert list((root / "work").iterdir()) == []


def test_server_says_that_it_lives_while_it_works_and_while_it_waits(host: Host) -> None:
    assert host.frame() == {"alive": 1}


def test_silent_host_is_given_up(host: Host) -> None:
    host.do("patience", seconds=0.5)
    start_s = time.monotonic()
    assert host.process.wait(timeout=10) == 0
    assert 0.4 < time.monotonic() - start_s < 5
    assert host.last_words() == "the host is silent\n"


def test_host_that_lives_is_not_given_up(host: Host) -> None:
    host.do("patience", seconds=0.5)
    for _ in range(10):
        time.sleep(0.15)
        host.send("alive")
    assert host.do("status")["current"] is None


def test_host_that_reads_no_more_is_given_up(host: Host, root: Path) -> None:
    host.do("patience", seconds=0.5)
    host.do("commit")
    (root / "work" / "big").write_bytes(bytes(4_000_000))
    host.send("get", name="big")
    assert host.process.wait(timeout=10) == 0
    assert "the host reads no more\n" in host.last_words()


def test_host_that_hung_up_in_the_middle_is_named_as_the_reason(host: Host) -> None:
    host.announce("put", 10, hash="0" * 64, size=10, offset=0)
    host.hang_up()
    assert host.process.wait(timeout=10) == 0
    assert host.last_words() == "the host hung up in the middle of a file\n"


@pytest.mark.parametrize("op", ["status", "alive"])
def test_broken_standard_output_ends_it_with_its_reason(host: Host, op: str) -> None:
    host.stdout.close()
    host.send(op)
    assert host.process.wait(timeout=10) == 0
    assert "the host hung up\n" in host.last_words()


def test_32_bit_python_on_a_64_bit_kernel_is_told_apart() -> None:
    assert machine_name("aarch64", 2**63 - 1) == "aarch64"
    assert machine_name("aarch64", 2**31 - 1) == "aarch64 (32-bit Python)"


def test_end_of_input_ends_it_at_once_and_quietly(host: Host) -> None:
    host.lock()
    host.hang_up()
    assert host.process.wait(timeout=2) == 0
    assert host.process.stderr is not None and host.process.stderr.read() == b""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_signal_ends_it_quietly(host: Host, number: signal.Signals) -> None:
    host.process.send_signal(number)
    assert host.process.wait(timeout=5) == -number
    assert host.process.stderr is not None and host.process.stderr.read() == b""


def test_one_socket_for_both_directions_will_do(agent_pyz: Path, root: Path) -> None:
    import socket

    ours, theirs = socket.socketpair()
    fd = theirs.fileno()
    with ours, subprocess.Popen(command(agent_pyz, root), stdin=fd, stdout=fd) as process:
        theirs.close()
        stream = ours.makefile("rwb")
        assert json.loads(stream.readline())["edgeq"] == "ready"
        raw = os.urandom(3_000_000)
        head = {"op": "put", "hash": sha256(raw), "size": len(raw), "offset": 0, "bytes": len(raw)}
        stream.write(json.dumps(head).encode() + b"\n" + raw)
        stream.flush()
        assert json.loads(stream.readline()) == {"ok": {"new": True}}
        ours.shutdown(socket.SHUT_WR)
        assert process.wait(timeout=5) == 0
        stream.close()


def test_holder_that_hung_up_leaves_no_process(host: Host) -> None:
    pid = host.ready["pid"]
    host.hang_up()
    host.process.wait(timeout=5)
    assert eventually(lambda: not os.path.exists(f"/proc/{pid}"))  # noqa: PTH110
