from __future__ import annotations

import getpass
from collections.abc import Callable
from pathlib import Path

import pytest

from edgeq.device import ssh_config
from edgeq.device.ssh import SshTransport
from edgeq.device.ssh_config import Destination, Hop, parse
from edgeq.errors import InputError
from tests.device import sshd
from tests.device.sshd import USER, Home, Sshd

home, start_sshd, server = sshd.home, sshd.start_sshd, sshd.server
connect, transport = sshd.connect, sshd.transport


def resolve(home: Home, destination: str, config: str) -> Hop:
    home.config.write_text(config)
    return ssh_config.resolve(destination, parse(destination), [home.config])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("board", Destination("board")),
        ("edge@board.local", Destination("board.local", "edge")),
        ("edge@board:2222", Destination("board", "edge", 2222)),
        ("ssh://edge@board:2222/", Destination("board", "edge", 2222)),
        ("ssh://board", Destination("board")),
        ("[::1]", Destination("::1")),
        ("edge@[fe80::1%eth0]:22", Destination("fe80::1%eth0", "edge", 22)),
        ("::1", Destination("::1")),
    ],
)
def test_destinations(text: str, expected: Destination) -> None:
    assert parse(text) == expected


@pytest.mark.parametrize(
    "text", ["", "@", "a b", "edge@", "-oProxyCommand=x", "a:0", "a:99999", "a\nb", "[x"]
)
def test_what_is_no_destination(text: str) -> None:
    with pytest.raises(InputError, match="no destination"):
        SshTransport(text)


def test_alias_is_resolved(home: Home) -> None:
    hop = resolve(
        home,
        "board",
        "Host board\n HostName 10.0.0.%h\n User edge\n Port 2222\n IdentityFile ~/.ssh/%r\n"
        " IdentityFile ~/.ssh/second\n IdentitiesOnly yes\n ConnectTimeout 3\n"
        "Host *\n User nobody\n",
    )
    assert (hop.host, hop.port, hop.user) == ("10.0.0.board", 2222, "edge")
    assert hop.identities == (home.ssh / "edge", home.ssh / "second")
    assert hop.identities_only
    assert hop.connect_timeout_s == 3
    assert hop.known_hosts[0] == home.known_hosts


def test_what_the_user_wrote_counts_more(home: Home) -> None:
    hop = resolve(home, "me@board:5", "User edge\nPort 2222\nProxyCommand to %h %p %r\n")
    assert (hop.port, hop.user, hop.command) == (5, "me", "to board 5 me")


def test_without_a_configuration(home: Home) -> None:
    hop = ssh_config.resolve("board", parse("board"), [home.config])
    assert (hop.host, hop.port, hop.user) == ("board", 22, getpass.getuser())
    assert hop.identities[-1] == home.key
    assert hop.behind is None


def test_included_files_are_read(home: Home) -> None:
    (home.ssh / "config.d").mkdir()
    (home.ssh / "config.d" / "a.conf").write_text("Host other\n Port 1\nHost board\n Port 2\n")
    hop = resolve(home, "board", "Include config.d/*.conf\nUser edge\n")
    assert (hop.port, hop.user) == (2, "edge")


def test_jump_hosts_form_a_chain(home: Home) -> None:
    hop = resolve(
        home,
        "board",
        "Host board\n ProxyJump me@first:1,second\nHost second\n HostName 10.0.0.2\n"
        "Host first\n ProxyJump outer\nHost *\n IdentityFile ~/.ssh/%h\n",
    )
    names = []
    step: Hop | None = hop
    while step is not None:
        names.append((step.name, step.host, step.port, step.is_jump))
        step = step.behind
    assert names == [
        ("board", "board", 22, False),
        ("second", "10.0.0.2", 22, True),
        ("first", "first", 1, True),
        ("outer", "outer", 22, True),
    ]


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ("ProxyJump none\nProxyJump a\n", (None, False)),
        ("ProxyCommand x\nProxyJump a\n", ("x", False)),
        ("ProxyJump a\nProxyCommand x\n", (None, True)),
        ("ProxyCommand none\nProxyJump none\n", (None, False)),
    ],
)
def test_the_first_way_around_counts(
    home: Home, config: str, expected: tuple[str | None, bool]
) -> None:
    hop = resolve(home, "board", f"Host board\n{config}")
    assert (hop.command, hop.behind is not None) == expected


def test_jump_hosts_that_form_a_loop(home: Home) -> None:
    with pytest.raises(InputError, match="loop"):
        resolve(home, "board", "Host a\n ProxyJump board\nHost board\n ProxyJump a\n")


@pytest.mark.parametrize(
    ("config", "where"),
    [
        ("Host board\n???\n", "config:2: "),
        ("Match user\n", "config: "),
        ('Host "board\n', "config: "),
        ("Port many\n", "config: "),
        ("Port 70000\n", "config: "),
        ("ConnectTimeout soon\n", "config: "),
        ("Include config\n", "config:1: .*includes itself"),
        ("CanonicalizeHostname yes\n", "config: "),
    ],
)
def test_bad_configuration_is_named(home: Home, config: str, where: str) -> None:
    with pytest.raises(InputError, match=f"{home.ssh}/{where}"):
        resolve(home, "board", config)


def test_configuration_that_is_no_text(home: Home) -> None:
    home.config.write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="cannot be read"):
        ssh_config.resolve("board", parse("board"), [home.config])


def test_alias_is_connected_to(
    server: Sshd, home: Home, connect: Callable[..., SshTransport]
) -> None:
    home.config.write_text(f"Host board\n HostName 127.0.0.1\n Port {server.port}\n User {USER}\n")
    transport = connect("board")
    transport.connect()
    assert transport.address == "board"


def test_another_configuration_is_read_instead(
    server: Sshd, home: Home, connect: Callable[..., SshTransport], tmp_path: Path
) -> None:
    home.config.write_text("???\n")
    other = tmp_path / "other"
    other.write_text(f"Host board\n HostName 127.0.0.1\n Port {server.port}\n User {USER}\n")
    connect("board", config_files=[other]).connect()
