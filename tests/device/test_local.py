from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edgeq.device.local import LocalTransport
from edgeq.errors import DeviceError


@pytest.fixture
def transport() -> LocalTransport:
    return LocalTransport()


def python(code: str) -> list[str]:
    return [LocalTransport.python, "-c", code]


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "zombie" not in Path(f"/proc/{pid}/status").read_text()


def test_output_status_and_errors_are_kept(transport: LocalTransport) -> None:
    done = transport.run(python("import sys; print('a'); print('b', file=sys.stderr); sys.exit(3)"))
    assert (done.status, done.stdout, done.stderr) == (3, "a\n", "b\n")


def test_lines_are_seen_as_they_come(transport: LocalTransport) -> None:
    code = "import time\nprint('first', flush=True)\ntime.sleep(0.3)\nprint('second')"
    seen: list[tuple[str, float]] = []
    done = transport.run(python(code), lambda line: seen.append((line, time.monotonic())))
    assert [line for line, _ in seen] == ["first\n", "second\n"]
    assert seen[1][1] - seen[0][1] > 0.2
    assert done.stdout == ""


def test_arguments_are_no_shell(transport: LocalTransport) -> None:
    nasty = ["$HOME", "a b", "'", ";ls", "*", "ä", "-n\n"]
    done = transport.run([*python("import sys; print(sys.argv[1:])"), *nasty])
    assert done.stdout == f"{nasty}\n"


def test_standard_input_is_empty(transport: LocalTransport) -> None:
    assert transport.run(python("import sys; print(repr(sys.stdin.read()))")).stdout == "''\n"


def test_a_lot_of_errors_does_not_block_and_its_end_is_kept(transport: LocalTransport) -> None:
    done = transport.run(python("import sys; sys.stderr.write('x' * 1_000_000 + 'end')"))
    assert done.stderr.endswith("xend")
    assert len(done.stderr) <= 4000


def test_output_that_is_no_text_is_replaced(transport: LocalTransport) -> None:
    done = transport.run(python(r"import sys; sys.stdout.buffer.write(b'a\xff\n')"))
    assert done.stdout == "a\ufffd\n"


def test_missing_command_is_a_device_error(transport: LocalTransport) -> None:
    with pytest.raises(DeviceError, match="cannot run no-such-command"):
        transport.run(["no-such-command"])


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_error_while_reading_ends_the_command(
    transport: LocalTransport, error: type[BaseException]
) -> None:
    pids: list[int] = []

    def stop(line: str) -> None:
        pids.append(int(line))
        raise error

    code = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
    start = time.monotonic()
    with pytest.raises(error):
        transport.run(python(code), stop)
    assert time.monotonic() - start < 10
    assert not is_alive(pids[0])


INTERRUPTED = """
import sys
from edgeq.device.local import LocalTransport
code = "import os, signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN)\\n"
code += "print(os.getpid(), flush=True); time.sleep(60)"
LocalTransport().run([sys.executable, "-c", code], lambda line: print(line, flush=True))
"""


def test_interrupt_ends_a_command_that_would_not_listen() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as host:
        assert host.stdout is not None
        pid = int(host.stdout.readline())
        host.send_signal(signal.SIGINT)
        _, errors = host.communicate(timeout=10)
    assert b"KeyboardInterrupt" in errors
    assert not is_alive(pid)


def test_put_and_get(transport: LocalTransport, tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"from a file")
    transport.put(b"\x00bytes", str(tmp_path / "a"))
    transport.put(tmp_path / "source", str(tmp_path / "b"))
    assert transport.get(str(tmp_path / "a")) == b"\x00bytes"
    assert transport.get(str(tmp_path / "b")) == b"from a file"


def test_put_and_get_where_nothing_can_be(transport: LocalTransport, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    path = str(tmp_path / "file" / "below")
    with pytest.raises(DeviceError, match="file/below: cannot be written"):
        transport.put(b"", path)
    with pytest.raises(DeviceError, match="file/below: cannot be read"):
        transport.get(path)


def test_roots_are_absolute(
    transport: LocalTransport, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EDGEQ_HOME", "relative")
    assert transport.root("~/.edgeq") == f"{tmp_path}/relative"
    assert transport.root("~/.edgeq/device") == f"{tmp_path}/relative/device"
    assert transport.root("~/.edgeq2") == str(Path.home() / ".edgeq2")
    assert transport.root("/opt/edgeq") == "/opt/edgeq"
    assert transport.root("here") == f"{tmp_path}/here"
