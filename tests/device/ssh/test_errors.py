from __future__ import annotations

import os
import shlex
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import paramiko
import pytest

from edgeq.device.session.session import Session
from edgeq.device.ssh import link
from edgeq.device.ssh.transport import SshTransport
from edgeq.errors import DeviceError, InputError
from tests.device import sshd
from tests.device.sshd import USER, Home, Sshd, free_port

home, start_sshd, server = sshd.home, sshd.start_sshd, sshd.server
connect, transport = sshd.connect, sshd.transport

Connect = Callable[..., SshTransport]


def refusal(transport: SshTransport) -> DeviceError:
    with pytest.raises(DeviceError) as found:
        transport.connect()
    assert found.value.where == transport.address
    return found.value


@pytest.fixture
def answer() -> Iterator[Callable[[bytes], int]]:
    """Starts what answers each connection with some bytes, or hangs without any; its port."""
    listeners: list[socket.socket] = []
    kept: list[socket.socket] = []

    def start(said: bytes | None) -> int:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def serve() -> None:
            with suppress(OSError):
                while True:
                    stream, _ = listener.accept()
                    if said is None:
                        kept.append(stream)
                    else:
                        with stream:
                            stream.sendall(said)

        threading.Thread(target=serve, daemon=True).start()
        return int(listener.getsockname()[1])

    yield start
    for listener in listeners:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
    for stream in kept:
        stream.close()


def test_name_that_nobody_has(home: Home, connect: Connect) -> None:
    error = refusal(connect("edge@no-such-board.invalid"))
    assert error.kind == "name-not-found"
    assert "no-such-board.invalid" in error.what


def test_name_that_nobody_can_have(home: Home, connect: Connect) -> None:
    assert refusal(connect("a." * 200)).kind == "name-not-found"


def test_closed_port(home: Home, connect: Connect) -> None:
    port = free_port()
    error = refusal(connect("edge@127.0.0.1", port))
    assert error.kind == "refused"
    assert f"127.0.0.1 port {port} refuses" in error.what
    assert "sshd" in error.remedy
    assert str(port) in error.remedy


def test_host_that_does_not_answer(home: Home, connect: Connect) -> None:
    # A listener whose queue is full lets further connections wait, as a firewall does.
    with socket.socket() as listener, socket.socket() as first, socket.socket() as second:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for stream in (first, second):
            stream.setblocking(False)
            stream.connect_ex(listener.getsockname())
        port = listener.getsockname()[1]
        error = refusal(connect("edge@127.0.0.1", port, connect_timeout_s=0.5))
    assert error.kind == "unreachable"
    assert "0.5 s" in error.what


def test_network_that_is_not_there(home: Home, connect: Connect) -> None:
    error = refusal(connect("edge@255.255.255.255"))
    assert error.kind == "unreachable"


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\xff\xff\n" * 200])
def test_what_is_no_ssh_server(
    home: Home, connect: Connect, answer: Callable[[bytes], int], said: bytes
) -> None:
    error = refusal(connect("edge@127.0.0.1", answer(said)))
    assert error.kind == "not-ssh"


def test_what_says_nothing(
    home: Home, connect: Connect, answer: Callable[[bytes | None], int]
) -> None:
    start = time.monotonic()
    error = refusal(connect("edge@127.0.0.1", answer(None), connect_timeout_s=0.5))
    assert error.kind == "not-ssh"
    assert "said nothing" in error.what
    assert time.monotonic() - start < 10


def test_server_that_ends_while_keys_are_exchanged(
    home: Home, connect: Connect, answer: Callable[[bytes], int]
) -> None:
    error = refusal(connect("edge@127.0.0.1", answer(b"SSH-2.0-test\r\n")))
    assert error.kind == "link-lost"


def test_server_that_hangs(server: Sshd, connect: Connect) -> None:
    server.signal(signal.SIGSTOP)
    error = refusal(connect(f"{USER}@127.0.0.1", server.port, connect_timeout_s=0.5))
    assert error.kind == "not-ssh"


def test_server_with_nothing_in_common(
    start_sshd: Callable[..., Sshd], home: Home, connect: Connect
) -> None:
    server = start_sshd("Ciphers chacha20-poly1305@openssh.com")
    home.known_hosts.write_text(server.known())
    error = refusal(connect(f"{USER}@127.0.0.1", server.port))
    assert error.kind == "incompatible"


def test_server_that_runs_no_more(
    start_sshd: Callable[..., Sshd], home: Home, connect: Connect
) -> None:
    server = start_sshd("MaxSessions 1")
    server.authorize(home.key)
    home.known_hosts.write_text(server.known())
    transport = connect(f"{USER}@127.0.0.1", server.port)
    process = transport.start(["cat"])
    with pytest.raises(DeviceError, match="MaxSessions"):
        transport.start(["cat"])
    process.close()


class Undecided(paramiko.ServerInterface):
    """Never says whether a key is right."""

    def __init__(self) -> None:
        self.is_over = threading.Event()

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        self.is_over.wait(20.0)
        return paramiko.common.AUTH_FAILED


def test_server_that_goes_during_the_login(
    home: Home, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link, "LOGIN_S", 1.0)
    host_key = paramiko.ECDSAKey.generate()
    undecided = Undecided()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        known = f"[127.0.0.1]:{port} {host_key.get_name()} {host_key.get_base64()}\n"
        home.known_hosts.write_text(known)

        def serve() -> None:
            stream, _ = listener.accept()
            transport = paramiko.Transport(stream)
            transport.add_server_key(host_key)
            transport.start_server(server=undecided)

        threading.Thread(target=serve, daemon=True).start()
        error = refusal(connect(f"{USER}@127.0.0.1", port, connect_timeout_s=1.0))
        undecided.is_over.set()
    assert error.kind == "unreachable"
    assert "stopped answering during the login" in error.what


def test_account_that_runs_no_commands_is_said_to_be_one(
    start_sshd: Callable[..., Sshd], home: Home, connect: Connect
) -> None:
    """As an account with nologin, or for sftp alone."""
    refuses = "ForceCommand echo 'This account is not available.'; exit 1"
    waits = "ForceCommand read answer"
    for settings, words in ((refuses, "This account is not available"), (waits, "nothing came")):
        server = start_sshd(settings)
        server.authorize(home.key)
        home.known_hosts.write_text(server.known())
        with pytest.raises(DeviceError, match=words) as found:
            Session(connect(f"{USER}@127.0.0.1", server.port), "~/none", patience_s=1.5)
        assert found.value.kind == "no-commands"
        assert "memory" not in str(found.value)


def test_ipv6_is_connected_to(home: Home, connect: Connect) -> None:
    error = refusal(connect(f"{USER}@[::1]:{free_port()}"))
    assert error.kind in ("refused", "unreachable")
    assert "::1 port" in error.what


def configure(home: Home, server: Sshd, gate: Sshd, more: str = "") -> None:
    home.config.write_text(
        f"Host gate\n HostName 127.0.0.1\n Port {gate.port}\n User {USER}\n"
        f"Host board\n HostName 127.0.0.1\n Port {server.port}\n User {USER}\n"
        f" ProxyJump gate\n{more}"
    )


@pytest.fixture
def gate(start_sshd: Callable[..., Sshd], server: Sshd, home: Home) -> Sshd:
    """A jump host; `board` is behind it."""
    gate = start_sshd()
    gate.authorize(home.key)
    home.known_hosts.write_text(server.known() + gate.known())
    configure(home, server, gate)
    return gate


def test_jump_host_leads_to_the_device(gate: Sshd, server: Sshd, connect: Connect) -> None:
    transport = connect("board")
    process = transport.start(["cat"])
    data = os.urandom(3 << 20)
    writer = threading.Thread(target=process.write, args=(data,))
    writer.start()
    found = b""
    while len(found) < len(data):
        piece = process.read(10.0)
        assert piece
        found += piece
    writer.join()
    assert found == data
    process.close()
    assert "Accepted publickey" in gate.log.read_text()


def test_chain_of_jump_hosts_leads_to_the_device(
    gate: Sshd, server: Sshd, home: Home, start_sshd: Callable[..., Sshd], connect: Connect
) -> None:
    outer = start_sshd()
    outer.authorize(home.key)
    with home.known_hosts.open("a") as file:
        file.write(outer.known())
    text = home.config.read_text()
    jumps = f"ProxyJump {USER}@127.0.0.1:{outer.port},gate"
    home.config.write_text(text.replace("ProxyJump gate", jumps))
    connect("board").connect()
    assert "Accepted publickey" in outer.log.read_text()


def test_jump_host_that_is_gone_is_named(gate: Sshd, connect: Connect) -> None:
    gate.stop()
    error = refusal(connect("board"))
    assert error.kind == "proxy"
    assert "jump host gate: 127.0.0.1" in error.what


def test_jump_host_of_an_unknown_key_is_named(
    gate: Sshd, server: Sshd, home: Home, connect: Connect
) -> None:
    home.known_hosts.write_text(server.known())
    error = refusal(connect("board"))
    assert error.kind == "host-key-unknown"
    assert "jump host gate: its host key" in error.what


def test_device_of_an_unknown_key_behind_a_jump_host(
    gate: Sshd, home: Home, connect: Connect
) -> None:
    home.known_hosts.write_text(gate.known())
    error = refusal(connect("board"))
    assert error.kind == "host-key-unknown"
    assert f"{USER}@board true" in error.remedy


def test_jump_host_that_lets_nobody_in_is_named(gate: Sshd, connect: Connect) -> None:
    gate.authorized.write_text("")
    error = refusal(connect("board"))
    assert error.kind == "auth-failed"
    assert "jump host gate: " in error.what


def test_device_that_is_gone_behind_a_jump_host(gate: Sshd, server: Sshd, connect: Connect) -> None:
    server.stop()
    error = refusal(connect("board"))
    assert error.kind == "unreachable"
    assert "through jump host gate" in error.what


def test_jump_host_that_forwards_nothing(
    start_sshd: Callable[..., Sshd], server: Sshd, home: Home, connect: Connect
) -> None:
    gate = start_sshd("AllowTcpForwarding no")
    gate.authorize(home.key)
    home.known_hosts.write_text(server.known() + gate.known())
    configure(home, server, gate)
    error = refusal(connect("board"))
    assert error.kind == "proxy"
    assert "AllowTcpForwarding" in error.remedy


def test_jump_host_that_dies_is_noticed_at_once(gate: Sshd, connect: Connect) -> None:
    process = connect("board").start(["cat"])
    gate.signal(signal.SIGKILL)
    start = time.monotonic()
    with pytest.raises(DeviceError) as found:
        process.read(20.0)
    assert found.value.kind == "link-lost"
    assert time.monotonic() - start < 10
    process.close()


RELAY = """
import socket, sys, threading
there = socket.create_connection((sys.argv[1], int(sys.argv[2])))
here = socket.socket(fileno=0)
def copy(source, sink):
    while data := source.recv(65536):
        sink.sendall(data)
    sink.shutdown(socket.SHUT_WR)
threading.Thread(target=copy, args=(here, there)).start()
copy(there, here)
"""


def test_proxy_command_leads_to_the_device(server: Sshd, home: Home, connect: Connect) -> None:
    relay = shlex.join([sys.executable, "-c", RELAY.strip().replace("\n", "\\n")])
    script = home.folder / "relay.py"
    script.write_text(RELAY)
    relay = shlex.join([sys.executable, str(script)])
    home.config.write_text(f"Host *\n ProxyCommand {relay} %h %p\n")
    transport = connect(f"{USER}@127.0.0.1", server.port)
    process = transport.start(["echo", "hello"])
    assert process.read(10.0) == b"hello\n"
    process.close()


def test_proxy_command_that_fails_is_named(server: Sshd, home: Home, connect: Connect) -> None:
    home.config.write_text("ProxyCommand sh -c 'echo no way >&2; exit 7'\n")
    error = refusal(connect(f"{USER}@127.0.0.1", server.port))
    assert error.kind == "proxy"
    assert "no way" in error.what


def test_bad_configuration_is_an_input_error(home: Home, connect: Connect) -> None:
    home.config.write_text("Host board\n???\n")
    with pytest.raises(InputError, match=f"{home.config}:2: "):
        connect("board").connect()
