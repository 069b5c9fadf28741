"""What every transport does, over each of them."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from edgeq.device.local.transport import LocalTransport
from edgeq.device.transport import ProcessEnd, Transport
from edgeq.errors import DeviceError
from tests.device import sshd
from tests.device.sshd import echo, output, python, run

home, start_sshd, server = sshd.home, sshd.start_sshd, sshd.server
connect, over_ssh = sshd.connect, sshd.transport


@pytest.fixture(params=["local", "ssh"])
def transport(request: pytest.FixtureRequest) -> Transport:
    """Each way to this very machine."""
    if request.param == "local":
        return LocalTransport()
    found: Transport = request.getfixturevalue("over_ssh")
    return found


NASTY = ["$HOME `id`", "a b", "'", '"', ";ls", "*", "ä→", "-n\n", "", "\\", "!x", "#", "~", "\t"]


def test_arguments_arrive_as_they_are(transport: Transport) -> None:
    found, _ = run(transport, *python("import sys; print(ascii(sys.argv[1:]))", *NASTY))
    assert found.decode() == f"{NASTY!a}\n"


def test_null_bytes_are_refused(transport: Transport) -> None:
    with pytest.raises(ValueError, match="null byte"):
        transport.start(["echo", "a\0b"])


def test_ten_megabytes_go_and_come_at_once(transport: Transport) -> None:
    echo(transport, 10 << 20)


def test_reading_waits_as_long_as_it_is_told(transport: Transport) -> None:
    process = transport.start(["sh", "-c", "read line; echo $line"])
    start = time.monotonic()
    assert process.read(0.2) is None
    assert 0.15 < time.monotonic() - start < 5
    process.write(memoryview(b"hello\n"))
    assert output(process) == b"hello\n"
    process.close()


def test_status_and_end_of_standard_error_are_told(transport: Transport) -> None:
    code = "import sys; sys.stderr.write('x' * 100_000 + 'ä end'); sys.exit(3)"
    _, ended = run(transport, *python(code))
    assert ended.status == 3
    assert ended.stderr.endswith("xä end")
    assert len(ended.stderr) == 4000


def test_a_lot_of_standard_error_does_not_block(transport: Transport) -> None:
    code = "import sys; sys.stderr.write('x' * 8_000_000); print('done')"
    found, ended = run(transport, *python(code))
    assert (found, ended.status, len(ended.stderr)) == (b"done\n", 0, 4000)


def test_killed_process_has_no_status(transport: Transport) -> None:
    found, ended = run(transport, "sh", "-c", "echo a; kill -9 $$")
    assert (found, ended.status) == (b"a\n", None)


def test_writing_to_a_process_that_ended_is_an_error(transport: Transport) -> None:
    process = transport.start(["true"])
    assert output(process) == b""
    assert process.ended(5.0).status == 0
    with pytest.raises(DeviceError, match="no longer reads") as found:
        for _ in range(100):
            process.write(bytes(1 << 20))
    assert found.value.kind == "input-closed"
    process.close()


def test_closed_process_sees_the_end_of_its_input(transport: Transport, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    process = transport.start(["sh", "-c", f"cat > /dev/null; echo ended > {mark}"])
    process.close()
    process.close()
    for _ in range(100):
        if mark.exists():
            break
        time.sleep(0.05)
    assert mark.read_text() == "ended\n"
    assert process.read(1.0) == b""


def test_closing_frees_a_writer_that_waits(transport: Transport) -> None:
    process = transport.start(["sleep", "60"])
    caught: list[DeviceError] = []

    def write() -> None:
        try:
            process.write(bytes(50 << 20))
        except DeviceError as exc:
            caught.append(exc)

    writer = threading.Thread(target=write)
    writer.start()
    time.sleep(0.3)
    process.close()
    writer.join(5.0)
    assert not writer.is_alive()
    assert caught


def test_status_of_a_process_that_runs_on_is_none(transport: Transport) -> None:
    process = transport.start(["sh", "-c", "echo a >&2; exec >&- 2>&-; sleep 60"])
    assert process.read(10.0) == b""
    assert process.ended(0.2) == ProcessEnd(None, "a\n")
    process.close()


def test_closing_does_not_wait_for_a_local_process_that_will_not_end(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    process = LocalTransport().start(
        ["sh", "-c", f"trap '' TERM; (sleep 60; echo > {mark}) & echo $!; sleep 60"]
    )
    child = int(process.read(10.0) or b"")
    start = time.monotonic()
    process.close()
    assert time.monotonic() - start < 20
    for _ in range(100):
        try:
            os.kill(child, 0)
        except ProcessLookupError:
            break
        if "zombie" in Path(f"/proc/{child}/status").read_text():
            break
        time.sleep(0.02)
    else:
        pytest.fail("what the process started lives on")


def test_local_process_that_closes_its_input_is_noticed() -> None:
    process = LocalTransport().start(["sh", "-c", "exec <&-; echo; sleep 60"])
    assert process.read(10.0) == b"\n"
    with pytest.raises(DeviceError, match="no longer reads"):
        process.write(bytes(1 << 20))
    process.close()


def test_missing_local_command_is_a_device_error() -> None:
    with pytest.raises(DeviceError, match="cannot run no-such-command"):
        LocalTransport().start(["no-such-command"])
