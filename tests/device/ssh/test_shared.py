from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from edgeq.device.ssh import config as ssh_config
from edgeq.device.ssh.config import Way
from edgeq.device.ssh.shared import Shared
from edgeq.device.ssh.transport import SshTransport
from edgeq.errors import DeviceError
from edgeq.spec.destination import parse
from tests.device import sshd
from tests.device.sshd import USER, Home, Sshd, fingerprint, generate, run

home, start_sshd, server, connect = sshd.home, sshd.start_sshd, sshd.server, sshd.connect

Connect = Callable[..., SshTransport]


@pytest.fixture
def gate(start_sshd: Callable[..., Sshd], server: Sshd, home: Home) -> Sshd:
    """A jump host that takes few logins at a time, called `gate`."""
    gate = start_sshd("MaxStartups 2\nLogLevel VERBOSE")
    gate.authorize(home.key)
    home.known_hosts.write_text(server.known() + gate.known())
    home.config.write_text(f"Host gate\n HostName 127.0.0.1\n Port {gate.port}\n")
    return gate


def kind_of(failing: Callable[[], object]) -> str:
    with pytest.raises(DeviceError) as caught:
        failing()
    return caught.value.kind


def test_devices_behind_a_jump_host_share_one_connection_to_it(
    gate: Sshd, server: Sshd, connect: Connect
) -> None:
    with Shared() as shared, ThreadPoolExecutor(8) as pool:
        way = Way(jump="gate", shared=shared)
        transports = [connect(f"{USER}@127.0.0.1", server.port, way=way) for _ in range(8)]
        found = list(pool.map(lambda transport: run(transport, "echo", "hello"), transports))
        assert [text for text, _ in found] == [b"hello\n"] * 8
        # Who leaves takes nobody along.
        for transport in transports[1:]:
            transport.close()
        assert run(transports[0], "echo", "still")[0] == b"still\n"
        transports[0].close()
    assert gate.log.read_text().count("Accepted publickey") == 1
    assert server.log.read_text().count("Accepted publickey") == 8


def test_jump_host_that_lets_nobody_in_is_tried_once_by_all(
    gate: Sshd, server: Sshd, connect: Connect
) -> None:
    gate.authorized.write_text("")
    with Shared() as shared, ThreadPoolExecutor(4) as pool:
        way = Way(jump="gate", shared=shared)
        devices = [f"{USER}@127.0.0.{number}" for number in range(1, 5)]
        transports = [connect(device, server.port, way=way) for device in devices]
        begun = [pool.submit(transport.connect) for transport in transports]
        errors = [one.exception() for one in begun]
    assert [getattr(error, "where", None) for error in errors] == devices
    assert {getattr(error, "kind", None) for error in errors} == {"auth-failed"}
    # Whether it listens was tried before.
    assert gate.log.read_text().count("Connection from") == 2


def test_jump_host_that_let_nobody_in_is_tried_again_after_a_while(
    gate: Sshd, server: Sshd, home: Home, connect: Connect
) -> None:
    gate.authorized.write_text("")
    now = 0.0
    with Shared(clock=lambda: now) as shared:
        way = Way(jump="gate", shared=shared)
        device = connect(f"{USER}@127.0.0.1", server.port, way=way)

        def fails(at: float) -> bool:
            """Whether it is tried, which fails either way."""
            nonlocal now
            now = at
            before = gate.log.read_text().count("Connection from")
            assert kind_of(device.connect) == "auth-failed"
            return gate.log.read_text().count("Connection from") > before

        assert [fails(at) for at in (0.0, 1.9, 2.1, 6.0)] == [True, False, True, False]
        gate.authorize(home.key)
        now = 6.2
        assert run(device, "echo", "hello")[0] == b"hello\n"
        device.close()


def test_jump_host_that_broke_is_connected_to_again(
    gate: Sshd, server: Sshd, connect: Connect
) -> None:
    with Shared() as shared:
        way = Way(jump="gate", shared=shared)
        first, second = (connect(f"{USER}@127.0.0.1:{server.port}", way=way) for _ in "12")
        first.connect()
        hop = ssh_config.resolve("x", parse(first.address), ssh_config.default_files(), way).behind
        assert hop is not None
        # As it is asked for by another device.
        shared.jump(hop, lambda: pytest.fail("it is there")).close()
        assert run(second, "echo", "hello")[0] == b"hello\n"
        first.close()
        second.close()
    assert gate.log.read_text().count("Accepted publickey") == 2


def test_device_behind_a_jump_host_that_hangs_is_left(
    gate: Sshd, server: Sshd, connect: Connect
) -> None:
    with Shared() as shared:
        transport = connect(f"{USER}@127.0.0.1", server.port, way=Way(jump="gate", shared=shared))
        process = transport.start(["cat"])
        gate.signal(signal.SIGSTOP)
        process.close()
        transport.close()  # `connect` sees that no thread of it is left


def test_passphrase_is_asked_for_once(server: Sshd, home: Home, connect: Connect) -> None:
    key = generate(home.ssh / "locked", passphrase="open sesame")
    server.authorized.write_text("")
    server.authorize(key)
    asked: list[str] = []

    def ask(prompt: str) -> str:
        asked.append(threading.current_thread().name)
        return "open sesame"

    with Shared() as shared, ThreadPoolExecutor(4) as pool:
        way = Way(identity=key, shared=shared)
        transports = [connect(f"{USER}@127.0.0.1", server.port, way=way, ask=ask) for _ in "1234"]
        assert list(pool.map(SshTransport.connect, transports)) == [None] * 4
    assert len(asked) == 1


def test_passphrase_that_nobody_knows_is_asked_for_once(
    server: Sshd, home: Home, connect: Connect
) -> None:
    key = generate(home.ssh / "locked", passphrase="open sesame")
    server.authorized.write_text("")
    asked: list[str] = []

    def ask(prompt: str) -> str:
        asked.append(prompt)
        return ""

    with Shared() as shared:
        way = Way(identity=key, shared=shared)
        for _ in "123":
            transport = connect(f"{USER}@127.0.0.1", server.port, way=way, ask=ask)
            assert kind_of(transport.connect) == "passphrase"
    assert asked == [f"Passphrase of {key}: "]


def test_fingerprint_that_was_named_counts_instead_of_known_hosts(
    server: Sshd, home: Home, connect: Connect, tmp_path: Path
) -> None:
    home.known_hosts.unlink()
    shown = fingerprint(server.host_keys["ed25519"])
    connect(f"{USER}@127.0.0.1", server.port, way=Way(host_key=shown)).connect()
    other = fingerprint(generate(tmp_path / "other"))
    home.known_hosts.write_text(server.known())
    transport = connect(f"{USER}@127.0.0.1", server.port, way=Way(host_key=other))
    with pytest.raises(DeviceError) as caught:
        transport.connect()
    assert caught.value.kind == "host-key-changed"
    assert f"shows ssh-ed25519 {shown}, named is {other}" in caught.value.what


def test_fingerprint_of_another_kind_of_key_is_asked_for_where_it_is_known(
    start_sshd: Callable[..., Sshd], home: Home, connect: Connect
) -> None:
    server = start_sshd(kinds=("ed25519", "ecdsa"))
    server.authorize(home.key)
    home.known_hosts.write_text(server.known() + server.known(kind="ecdsa"))
    named = Way(host_key=fingerprint(server.host_keys["ecdsa"]))
    connect(f"{USER}@127.0.0.1", server.port, way=named).connect()


@pytest.mark.parametrize(
    ("jump", "expected"),
    [
        (None, (None, "mine")),
        ("none", (None, "mine")),  # as after ssh -J none
        ("other@gate:23", ("other@gate:23", None)),
    ],
)
def test_jump_host_that_was_named_counts_more_than_the_configuration(
    home: Home, jump: str | None, expected: tuple[str | None, str | None]
) -> None:
    home.config.write_text("Host board\n ProxyCommand mine\n")
    hop = ssh_config.resolve("board", parse("board"), [home.config], Way(jump=jump))
    behind = hop.behind
    found = None if behind is None else f"{behind.user}@{behind.host}:{behind.port}"
    assert (found, hop.command) == expected
