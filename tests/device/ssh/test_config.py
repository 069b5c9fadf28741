from __future__ import annotations

import gc
import getpass
import io
import subprocess
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from edgeq.device.ssh import config as ssh_config
from edgeq.device.ssh.config import Hop
from edgeq.device.ssh.transport import SshTransport
from edgeq.errors import InputError
from edgeq.spec.destination import Destination, parse
from tests.device import sshd
from tests.device.sshd import USER, Home, Sshd, need

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
        ("corp\\edge.one_2-x@board_1.local", Destination("board_1.local", "corp\\edge.one_2-x")),
        ("büro", Destination("büro")),
    ],
)
def test_destinations(text: str, expected: Destination) -> None:
    assert parse(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        *("", "@", "a b", "edge@", "-oProxyCommand=x", "a:0", "a:99999", "a\nb", "[x", "a\0"),
        *("x@-oProxyCommand=y", "-l@board", "[-x]", "a/b", "edge\\@board", "a\x1b@board"),
        *(f"a{char}b" for char in "'\"`$;&<>|(){}*?!#~\\"),
        *(f"a{char}b@board" for char in "'\"`$;&<>|(){}*?!#~[]"),
    ],
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
        ("ProxyJump none\nProxyCommand x\n", ("x", False)),
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
        ("\nMatch user\n", "config:2: .*'Match user' has no value"),
        ("Match # all\n", "config:1: .*'Match' has no condition"),
        ('Host "board\n', "config:1: .*quote"),
        ("ProxyCommand it's\n", "config:1: .*quote"),
        ("Port # 2222\n", "config:1: .*no value"),
        ("Port 2222#\n", "config: "),
        ("Port many\n", "config: "),
        ("Port 70000\n", "config: "),
        ("ConnectTimeout soon\n", "config: "),
        ("ConnectTimeout 5x\n", "config: "),
        ("ConnectTimeout 1.5\n", "config: "),
        ("ConnectTimeout 3600w\n", "config: "),
        ("IdentitiesOnly on\n", "config: "),
        ("Include config\n", "config:1: .*includes itself"),
        ("CanonicalizeHostname yes\n", "config: "),
        ("CanonicalizeHostname True\n", "config: "),
    ],
)
def test_bad_configuration_is_named(home: Home, config: str, where: str) -> None:
    with pytest.raises(InputError, match=f"{home.ssh}/{where}"):
        resolve(home, "board", config)


def test_configuration_that_is_no_text(home: Home) -> None:
    home.config.write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="cannot be read"):
        ssh_config.resolve("board", parse("board"), [home.config])


@pytest.mark.parametrize(
    ("config", "destination"),
    [
        ("ProxyCommand false %h %p\n", "edge@x;touch${IFS}{pwn}"),
        ("ProxyCommand false %r\n", "x;touch${IFS}{pwn};@board"),
        ("Match exec 'false %h'\n", "edge@x;touch${IFS}{pwn}"),
        ("Host board\n HostName %h;touch${IFS}{pwn}\nHost *\n ProxyCommand false %h\n", "board"),
        ('User "x;touch {pwn};"\nProxyCommand false %r\n', "board"),
        ("Host board\n ProxyJump x;touch${IFS}{pwn}\nHost x*\n ProxyCommand false %h\n", "board"),
    ],
)
def test_names_run_no_command(
    home: Home, connect: Callable[..., SshTransport], config: str, destination: str
) -> None:
    pwn = home.folder / "pwn"
    home.config.write_text(config.replace("{pwn}", str(pwn)))
    with pytest.raises(InputError, match=r"name of no|not possible"):
        connect(destination.replace("{pwn}", str(pwn))).connect()
    assert not pwn.exists()


# Each is a configuration of a file `config`, with another file `more` beside it.
@pytest.mark.parametrize(
    ("config", "more"),
    [
        ("Port 2222 # comment\nUser\tedge\t#\n", ""),
        ('User "edge" # "me\nHostName=board1 #\n', ""),
        ("ProxyCommand nc %h # %p\n", ""),
        ('ProxyCommand "nc" "%h"\n', ""),
        ("Host board\n ProxyJump gate # first\n", ""),
        ("Host other # board\n Port 1\nHost board# board # x\n Port 2\n", ""),
        ("Host other,board\n Port 1\nHost oth* b* !*x\n Port 2\n", ""),
        ("Match all # for all\n Port 1\n", ""),
        ("Match !all\n Port 1\n", ""),
        ("Match final all\n Port 1\nHost board\n Port 2\n", ""),
        ("Match final host=board\n Port 1\n", ""),
        ("Match canonical all\n Port 1\n", ""),
        ("Match Host BOARD,boar? !USER nobody # x\n Port 1\n", ""),
        ('Match originalhost "board" localuser root,*\n Port 1\n', ""),
        ("Host other\n Include more\n User a\nHost *\n User b\n", "Port 1\nHost *\n Port 2\n"),
        ("Host bo*\n Include more\n User a\n", "Host other\n Port 1\nHost *\n Port 2\n"),
        ("Host bo*\n Include more # x\n User a\n", "Match all\n Port 1\nMatch host b*\n User b\n"),
        ("Match originalhost b*\n Include more\n User a\n", "Host other\n Port 1\n"),
        ("Match final\n Include more\n User a\n", "Host board\n Port 1\n"),
        ('Match !final\n Include "more"\n User a\n', "Host *\n Port 1\n"),
        ("Include more\nUser a\n", "Host other\n Port 1\n"),
        (
            "HostName h\nPort 5\nUser me\nUserKnownHostsFile /k/%h_%n_%p_%r_%u_%% %d/b '/c d'\n",
            "",
        ),
        ("HostKeyAlias as\nUserKnownHostsFile /k/%k/%i/%L/%l\n", ""),
        ("UserKnownHostsFile none # x\n", ""),
        ("IdentitiesOnly true\nConnectTimeout 10s\n", ""),
        ("IdentitiesOnly False\nConnectTimeout 1m30s # x\n", ""),
        ("IdentitiesOnly YES\nConnectTimeout 1W2d3H4\n", ""),
        ("IdentitiesOnly no\nConnectTimeout 0\n", ""),
        ("ConnectTimeout none\n", ""),
        ("ConnectTimeout 007\n", ""),
    ],
)
def test_it_is_read_as_ssh_reads_it(home: Home, config: str, more: str) -> None:
    (home.ssh / "more").write_text(more)
    # An absolute name, as the folder is ~/.ssh to ssh, which has another home.
    hop = resolve(home, "board", config.replace("more", str(home.ssh / "more")))
    found = ssh_says(home)
    assert (hop.host, str(hop.port)) == (found["hostname"], found["port"])
    assert hop.user == found["user"]
    command = found.get("proxycommand")
    assert hop.command == (command and command.replace("%h", hop.host).replace("%p", "22"))
    assert (hop.behind and hop.behind.name) == found.get("proxyjump")
    assert hop.identities_only == (found["identitiesonly"] == "yes")
    timeout = found["connecttimeout"]
    assert hop.connect_timeout_s == (None if timeout in ("none", "0") else int(timeout))
    if "userknownhostsfile" in config.lower():
        # To ssh, home is what the system says.
        theirs = found["userknownhostsfile"].replace(str(Path(f"~{USER}").expanduser()), "~")
        ours = " ".join(str(path) for path in hop.known_hosts[:-2]) or "none"
        assert ours.replace(str(home.folder), "~") == theirs


def ssh_says(home: Home) -> dict[str, str]:
    run = [need("ssh"), "-G", "-F", str(home.config), "board"]
    printed = subprocess.run(run, check=True, capture_output=True, text=True).stdout
    return dict(line.split(" ", 1) for line in printed.splitlines() if " " in line)


@pytest.mark.parametrize(("command", "port"), [("test 1 = 1", 1), ("test 1 = 2", 22)])
def test_match_exec_asks_a_command(
    home: Home, monkeypatch: pytest.MonkeyPatch, command: str, port: int
) -> None:
    more = home.ssh / "more"
    more.write_text("Host board\n Port 1\n")
    # What paramiko runs it with hands on this process's input, and leaves pipes.
    monkeypatch.setattr("sys.stdin", io.StringIO())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        hop = resolve(home, "board", f'Match exec "{command}" # x\n Include {more}\n')
        gc.collect()
    assert hop.port == port


@pytest.mark.parametrize(
    ("criterion", "name"),
    [
        ("localnetwork 10.0.0.0/8", "localnetwork"),
        ("host board !tagged x", "tagged"),
        ("Version OpenSSH_9*", "version"),
    ],
)
def test_match_of_unknown_meaning_is_refused(home: Home, criterion: str, name: str) -> None:
    with pytest.raises(InputError, match=f"config:2: 'Match {name}' is not supported here; .*Host"):
        resolve(home, "board", f"Port 1\nMatch {criterion}\n Port 2222\n")


@pytest.mark.parametrize("criterion", ["host board", "!user x", 'exec "test %h = board"'])
def test_include_below_what_may_change_is_refused(home: Home, criterion: str) -> None:
    with pytest.raises(InputError, match="config:3: Include below 'Match "):
        resolve(home, "board", f"Match {criterion}\n HostName x\n Include more\n Port 2\n")


def test_unknown_token_of_known_hosts_is_refused(home: Home) -> None:
    for name, token in (("~/%C", "%C"), ("~/x%", "%")):
        with pytest.raises(InputError, match=f"config: .*'{token}' of '{name}'"):
            resolve(home, "board", f"UserKnownHostsFile {name}\n")


def test_host_is_known_by_a_file_of_its_own(
    server: Sshd, home: Home, connect: Callable[..., SshTransport]
) -> None:
    home.known_hosts.rename(home.ssh / "kh_board")
    home.config.write_text(
        f"Host board\n HostName 127.0.0.1\n Port {server.port} # odd\n User {USER}\n"
        " UserKnownHostsFile ~/.ssh/kh_%n\n"
    )
    connect("board").connect()


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
