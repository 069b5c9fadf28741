"""The conversation with the agent: with the real one, and with programs that misbehave."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from edgeq.device.local.process import LocalProcess
from edgeq.device.local.transport import LocalTransport
from edgeq.device.session.session import Session
from edgeq.errors import DeviceError, EdgeqError
from tests.device.hello import HELLO

READY = json.dumps(HELLO)


class Instead(LocalTransport):
    """Starts another program in the place of the agent."""

    def __init__(self, program: str) -> None:
        super().__init__()
        self.program = program

    def start(self, arguments: Sequence[str]) -> LocalProcess:
        del arguments
        return super().start([sys.executable, "-c", self.program])


def says(*lines: str, then: str = "sys.stdin.read()") -> Instead:
    """A program that prints lines, and then does something."""
    said = "".join(f"print({line!r}, flush=True)\n" for line in lines)
    return Instead(f"import os, sys, time\n{said}{then}")


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "zombie" not in Path(f"/proc/{pid}/status").read_text()


def wait_for_end(pid: int) -> None:
    for _ in range(100):
        if not is_alive(pid):
            return
        time.sleep(0.05)
    raise AssertionError(f"process {pid} still runs")


@pytest.fixture
def root(tmp_path: Path) -> str:
    return str(tmp_path / "device")


def test_agent_says_where_it_is(root: str) -> None:
    session = Session(LocalTransport(), root)
    try:
        assert session.hello.root == root
        assert session.hello.python.startswith("3.")
    finally:
        session.close()


def test_looking_leaves_nothing_behind(root: str) -> None:
    session = Session(LocalTransport(), root, keep=False)
    try:
        assert session.ask("status")["current"] is None
        assert session.ask("job", {"verb": "probe", "job": {"root": root}})["arch"]
    finally:
        session.close()
    assert not Path(root).exists()


def test_agent_is_sent_once(root: str) -> None:
    Session(LocalTransport(), root).close()
    there = sorted((Path(root) / "agent").iterdir())
    again = Session(LocalTransport(), root)
    again.close()
    assert again.sent_bytes == 0
    assert len(there) == 2  # and compiled
    assert sorted((Path(root) / "agent").iterdir()) == there


def test_damaged_agent_is_replaced(root: str) -> None:
    Session(LocalTransport(), root).close()
    agent = min((Path(root) / "agent").iterdir(), key=lambda path: len(path.name))
    content = agent.read_bytes()
    agent.write_bytes(content[:1000])
    Session(LocalTransport(), root).close()
    assert agent.read_bytes() == content


def test_answers_come_in_the_order_of_requests(root: str) -> None:
    session = Session(LocalTransport(), root)
    try:
        for number in range(50):
            session.send("have", {"hashes": [f"{number:064x}"]})
        missing = [session.answer().fields["missing"] for _ in range(50)]
    finally:
        session.close()
    assert missing == [[f"{number:064x}"] for number in range(50)]


def test_refused_request_does_not_end_the_session(root: str) -> None:
    session = Session(LocalTransport(), root)
    try:
        with pytest.raises(DeviceError) as caught:
            session.ask("rollback", {"signers": []})
        assert caught.value.kind == "no-release"
        assert session.ask("status")["current"] is None
    finally:
        session.close()


def test_closing_ends_the_agent(root: str) -> None:
    session = Session(LocalTransport(), root)
    pid = session.hello.pid
    session.close()
    session.close()
    wait_for_end(pid)


def test_closed_session_says_so(root: str) -> None:
    session = Session(LocalTransport(), root)
    session.close()
    with pytest.raises(DeviceError):
        session.ask("status")


def test_killed_agent_is_a_device_error(root: str) -> None:
    session = Session(LocalTransport(), root)
    os.kill(session.hello.pid, signal.SIGKILL)
    try:
        with pytest.raises(DeviceError, match="the agent was killed"):
            session.ask("status")
        with pytest.raises(DeviceError, match="the agent was killed"):
            session.ask("status")
    finally:
        session.close()


def test_idle_session_lives_on(root: str) -> None:
    session = Session(LocalTransport(), root, patience_s=2.0)
    try:
        time.sleep(5.0)
        assert session.ask("status")["current"] is None
    finally:
        session.close()


def test_silence_is_noticed_while_waiting() -> None:
    session = Session(says(READY, then="time.sleep(60)"), "/", patience_s=30)
    session.patience_s = 1.0
    start = time.monotonic()
    try:
        with pytest.raises(DeviceError, match="the connection is lost") as caught:
            session.ask("status")
    finally:
        session.close()
    assert caught.value.kind == "link-lost"
    assert time.monotonic() - start < 10


def test_silence_is_noticed_while_sending() -> None:
    """More than any pipe holds is written to somebody who never reads."""
    session = Session(says(READY, then="time.sleep(60)"), "/")
    session.patience_s = 1.0
    try:
        with pytest.raises(DeviceError, match="the connection is lost"):
            session.send("put", {}, 64 << 20, (bytes(1 << 20) for _ in range(64)))
    finally:
        session.close()


def test_hello_with_a_field_of_another_type_is_refused() -> None:
    wrong = READY.replace('"pid": 7', '"pid": "seven"')
    with pytest.raises(DeviceError, match=r"is not what it should be: Hello\.pid") as caught:
        Session(says(wrong), "/")
    assert caught.value.kind == "garbled"


@pytest.mark.parametrize("noise", [[""], ["Welcome to barn 7!", "5", "null", "[]", '"edgeq"']])
def test_what_a_login_shell_prints_is_passed_over(noise: list[str]) -> None:
    session = Session(says(*noise, READY), "/")
    session.close()
    assert session.hello.root == "/nowhere"


def test_endless_noise_is_not_listened_to_for_ever() -> None:
    with pytest.raises(DeviceError, match="unintelligible"):
        Session(says(*["noise" * 1000] * 20), "/")


@pytest.mark.parametrize(
    "line", ["hello", "5", "null", "[]", '"ok"', "{}", '{"ok": 1}', '{"error": 1}']
)
def test_garbage_is_a_device_error(line: str) -> None:
    session = Session(says(READY, then=f"sys.stdin.readline(); print({line!r}, flush=True)"), "/")
    try:
        with pytest.raises(DeviceError, match=r"unintelligible|the agent ended"):
            session.ask("status")
    finally:
        session.close()


def test_bytes_that_are_no_text_are_a_device_error() -> None:
    then = r"sys.stdin.readline(); sys.stdout.buffer.write(b'\xff\xfe\x00\n'); sys.stdout.flush()"
    session = Session(says(READY, then=then), "/")
    try:
        with pytest.raises(DeviceError, match="unintelligible"):
            session.ask("status")
    finally:
        session.close()


def test_refusal_of_the_loader_is_a_device_error() -> None:
    refused = json.dumps(
        {
            "edgeq": "refused",
            "kind": "python-too-old",
            "message": "python3: is Python 3.6.9; update",
        }
    )
    with pytest.raises(DeviceError, match=r"python3: is Python 3\.6\.9; update") as caught:
        Session(says(refused), "/")
    assert caught.value.kind == "python-too-old"


def test_missing_python_is_named() -> None:
    program = (
        "import sys; print('bash: python3: command not found', file=sys.stderr); sys.exit(127)"
    )
    with pytest.raises(DeviceError, match="cannot start Python: bash: python3") as caught:
        Session(Instead(program), "/")
    assert caught.value.kind == "no-python"


def test_bug_of_the_agent_is_a_bug_of_ours() -> None:
    answer = '{"error": {"kind": "bug", "message": "agent: KeyError"}}'
    session = Session(says(READY, then=f"sys.stdin.readline(); print({answer!r}, flush=True)"), "/")
    try:
        with pytest.raises(EdgeqError, match="agent: KeyError") as caught:
            session.ask("status")
    finally:
        session.close()
    assert caught.value.exit_code == 5


def test_root_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("where the folder should be")
    with pytest.raises(DeviceError) as caught:
        Session(LocalTransport(), str(tmp_path / "file"))
    assert caught.value.kind == "not-a-folder"


def test_no_thread_is_left(root: str) -> None:
    before = threading.active_count()
    Session(LocalTransport(), root).close()
    assert threading.active_count() == before
