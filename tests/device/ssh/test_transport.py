from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgeq.device.ssh.packets import Packets
from edgeq.device.ssh.transport import SshTransport
from edgeq.device.transport import Process
from edgeq.errors import DeviceError
from tests.device import sshd
from tests.device.sshd import USER, Home, Sshd, echo, output, run

home, start_sshd, server = sshd.home, sshd.start_sshd, sshd.server
connect, transport = sshd.connect, sshd.transport

Connect = Callable[..., SshTransport]


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(
        st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30),
        max_size=5,
    )
)
def test_any_arguments_arrive(transport: SshTransport, arguments: list[str]) -> None:
    found, _ = run(transport, "printf", "%s\\0", "", *arguments)
    assert found.decode() == "".join(f"{argument}\0" for argument in ["", *arguments])


def test_names_that_are_no_text_arrive(transport: SshTransport) -> None:
    found, _ = run(transport, "printf", "%s", os.fsdecode(b"a\xff"))
    assert found == b"a\xff"


@pytest.mark.parametrize("by_server", [True, False])
@pytest.mark.parametrize("cipher", ["aes128-gcm@openssh.com", "aes128-ctr"])
def test_new_keys_in_the_middle(
    start_sshd: Callable[..., Sshd],
    home: Home,
    connect: Connect,
    monkeypatch: pytest.MonkeyPatch,
    by_server: bool,
    cipher: str,
) -> None:
    limit = "RekeyLimit 512K\n" if by_server else ""
    server = start_sshd(f"{limit}Ciphers {cipher}\nLogLevel DEBUG")
    server.authorize(home.key)
    home.known_hosts.write_text(server.known())
    if not by_server:
        monkeypatch.setattr(Packets, "REKEY_BYTES", 512 << 10)
    transport = connect(f"{USER}@127.0.0.1", server.port)
    echo(transport, 10 << 20)
    assert server.log.read_text().count("SSH2_MSG_NEWKEYS received") > 2


def test_missing_command_is_a_status(transport: SshTransport) -> None:
    found, ended = run(transport, "no-such-command")
    assert (found, ended.status) == (b"", 127)
    assert "no-such-command" in ended.stderr


def test_process_that_closes_its_input_does_not_block_the_writer(transport: SshTransport) -> None:
    process = transport.start(["sh", "-c", "exec <&-; sleep 1; echo done"])
    start = time.monotonic()
    try:
        for _ in range(20):
            process.write(bytes(1 << 20))
    except DeviceError as exc:
        assert exc.kind == "input-closed"
    assert time.monotonic() - start < 10
    assert output(process) == b"done\n"
    process.close()


def test_one_connection_serves_all_processes(transport: SshTransport, server: Sshd) -> None:
    first, second = transport.start(["cat"]), transport.start(["cat"])
    for process, text in ((first, b"one"), (second, b"two")):
        process.write(text)
        assert process.read(10.0) == text
        process.close()
    assert server.log.read_text().count("Accepted publickey") == 1


def test_twenty_connections_at_once(server: Sshd, connect: Connect) -> None:
    transports = [connect(f"{USER}@127.0.0.1", server.port) for _ in range(20)]
    with ThreadPoolExecutor(20) as pool:
        found = list(pool.map(lambda t: run(t, "echo", "hello"), transports))
    assert [(text, ended.status) for text, ended in found] == [(b"hello\n", 0)] * 20


def test_broken_link_is_noticed_at_once(transport: SshTransport, server: Sshd) -> None:
    process = transport.start(["cat"])
    threading.Timer(0.2, server.signal, [signal.SIGKILL]).start()
    start = time.monotonic()
    with pytest.raises(DeviceError, match="connection broke") as found:
        process.read(30.0)
    assert found.value.kind == "link-lost"
    assert time.monotonic() - start < 10
    with pytest.raises(DeviceError) as found:
        process.write(bytes(1 << 20))
    assert found.value.kind == "link-lost"
    with pytest.raises(DeviceError, match="refuses connections"):
        transport.start(["true"])
    process.close()


def test_broken_link_is_noticed_while_writing(transport: SshTransport, server: Sshd) -> None:
    process = transport.start(["cat"])
    threading.Timer(0.2, server.signal, [signal.SIGKILL]).start()
    with pytest.raises(DeviceError) as found:
        process.write(bytes(50 << 20))
    assert found.value.kind == "link-lost"
    process.close()


@pytest.mark.parametrize("writers", [0, 1, 8])
def test_closing_does_not_wait_for_a_server_that_hangs(
    transport: SshTransport, server: Sshd, writers: int
) -> None:
    # Several, as one alone is held back by its window before the socket is full.
    processes = [transport.start(["cat"]) for _ in range(max(writers, 1))]
    server.signal(signal.SIGSTOP)

    def write(process: Process) -> None:
        with pytest.raises(DeviceError):
            process.write(bytes(50 << 20))

    with ThreadPoolExecutor(8) as pool:
        written = [pool.submit(write, process) for process in processes[:writers]]
        time.sleep(0.5 if writers else 0)
        start = time.monotonic()
        for process in processes:
            process.close()
        transport.close()
        assert time.monotonic() - start < 5
    for result in written:
        result.result()


def test_link_that_breaks_after_the_end_of_the_output(
    transport: SshTransport, server: Sshd
) -> None:
    process = transport.start(["sh", "-c", "exec >&- 2>&-; sleep 60"])
    assert process.read(10.0) == b""
    server.signal(signal.SIGKILL)
    with pytest.raises(DeviceError) as found:
        process.ended(10.0)
    assert found.value.kind == "link-lost"
    process.close()


def test_lost_connection_is_made_anew(transport: SshTransport, server: Sshd, home: Home) -> None:
    process = transport.start(["sh", "-c", "kill -9 $PPID; sleep 5"])
    with pytest.raises(DeviceError) as found:
        process.read(10.0)
    assert found.value.kind == "link-lost"
    process.close()
    assert run(transport, "echo", "again")[0] == b"again\n"


def test_nothing_is_logged(
    server: Sshd,
    connect: Connect,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    transport = connect(f"{USER}@127.0.0.1", server.port)
    process = transport.start(["cat"])
    server.signal(signal.SIGKILL)
    with pytest.raises(DeviceError):
        process.read(10.0)
    process.close()
    transport.close()
    assert caplog.text == ""
    assert capfd.readouterr() == ("", "")


def test_importing_the_transport_does_not_import_paramiko() -> None:
    code = "import sys, edgeq.device.ssh.transport; sys.exit('paramiko' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("others", [0, 7])
def test_closing_wakes_a_writer_whose_server_hangs(
    transport: SshTransport, server: Sshd, others: int
) -> None:
    # Alone it waits for its window; with others, which fill the socket, amid a packet.
    processes = [transport.start(["cat"]) for _ in range(others + 1)]
    server.signal(signal.SIGSTOP)

    def write(process: Process) -> tuple[str, float]:
        with pytest.raises(DeviceError) as found:
            while True:
                process.write(b"alive\n" * 1000)
        return found.value.kind, time.monotonic()

    with ThreadPoolExecutor(8) as pool:
        written = [pool.submit(write, process) for process in processes]
        time.sleep(1.0)
        assert not any(result.done() for result in written)
        start = time.monotonic()
        processes[0].close()
        kind, woken = written[0].result()
        transport.close()
    assert kind == "input-closed"
    assert woken - start < 10


def test_closing_wakes_a_writer_and_spares_the_link(transport: SshTransport, server: Sshd) -> None:
    process = transport.start(["sleep", "60"])

    def write() -> None:
        with pytest.raises(DeviceError) as found:
            while True:
                process.write(b"alive\n" * 1000)
        assert found.value.kind == "input-closed"

    with ThreadPoolExecutor(1) as pool:
        written = pool.submit(write)
        time.sleep(0.5)
        process.close()
        written.result(1.0)
    with pytest.raises(DeviceError):
        process.write(b"more")
    assert run(transport, "echo", "hello")[0] == b"hello\n"
    assert server.log.read_text().count("Accepted publickey") == 1
