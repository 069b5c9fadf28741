"""Where a destination leads: what the user wrote, with what OpenSSH's configuration adds to it."""

from __future__ import annotations

import getpass
import io
import os
import re
import shlex
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgeq.device.ssh.config_lines import bad, lines
from edgeq.device.ssh.keywords import UNREAD
from edgeq.errors import (
    INCOMPATIBLE,
    LINK_LOST,
    NAME_NOT_FOUND,
    NOT_SSH,
    PROXY,
    REFUSED,
    UNREACHABLE,
    DeviceError,
    InputError,
    require,
)
from edgeq.spec.destination import HOST, USER, Destination, parse

if TYPE_CHECKING:
    from edgeq.device.ssh.shared import Shared

SYSTEM = Path("/etc/ssh/ssh_config")
_TOKEN = re.compile("%(.?)")
_VARIABLE = re.compile(r"\$\{(\w+)\}")
# As convtime of OpenSSH's misc.c, which counts in an int.
_TIME = re.compile(r"(?!$)(?:[0-9]+[sSmMhHdDwW])*(?:[0-9]+)?")
_TIME_PART = re.compile(r"([0-9]+)([smhdw]?)")
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_LONGEST_S = 2**31 - 1
_DEFAULT_KEYS = ("id_rsa", "id_ecdsa", "id_ed25519")
_DEEPEST = 16
# What a jump host or a proxy is to blame for; its keys and the user's have kinds of their own.
_CONNECTING = (NAME_NOT_FOUND, UNREACHABLE, REFUSED, NOT_SSH, INCOMPATIBLE, LINK_LOST)


@dataclass(frozen=True)
class Way:
    """How the user says that a device is reached, which counts more than the configuration."""

    identity: Path | None = None
    """the first key to be shown; a jump host does not see it"""
    jump: str | None = None
    """hosts to go through, with commas between them, or 'none'"""
    host_key: str | None = None
    """the fingerprint that the device has to show, whatever known_hosts says"""
    shared: Shared | None = None
    """what its connection has in common with others, and leaves open"""


@dataclass(frozen=True)
class Hop:
    """A host to connect to, reached directly, by a command, or through another one."""

    device: str
    """the device this is done for, as the user wrote it"""
    name: str
    """this host as the user or the configuration wrote it"""
    host: str
    port: int
    user: str
    identities: tuple[Path, ...]
    identities_only: bool
    known_hosts: tuple[Path, ...]
    """the files that may hold its key; the first one is where to add it"""
    known_as: str | None
    """its name in those files, if it has one of its own there"""
    connect_timeout_s: float | None
    command: str | None
    behind: Hop | None
    is_jump: bool = False
    agent: str | None = None
    """the socket of the agent that holds the keys, None for no agent"""
    host_key: str | None = None
    """the fingerprint of its key, where the user said one"""
    unread: tuple[str, ...] = ()
    """settings of the configuration for this host that may matter, and are not read"""

    def error(self, what: str, remedy: str, kind: str) -> DeviceError:
        """What went wrong here, in the words of the device that was to be reached."""
        if self.is_jump:
            what = f"jump host {self.name}: {what}"
            kind = PROXY if kind in _CONNECTING else kind
        if self.unread:
            remedy += f" (edgeq does not read: {', '.join(self.unread)}; see docs/boards.md)"
        return DeviceError(self.device, what, remedy, kind)


def default_files() -> tuple[Path, ...]:
    """The user's configuration and the system's."""
    return Path("~/.ssh/config").expanduser(), SYSTEM


def resolve(
    device: str, destination: Destination, files: Sequence[Path], way: Way | None = None
) -> Hop:
    """The way to a destination, jump hosts included. Raises InputError for a bad configuration."""
    return _resolve(device, destination, files, way or Way(), 0)


def _resolve(
    device: str, destination: Destination, files: Sequence[Path], way: Way, depth: int
) -> Hop:
    if depth > _DEEPEST:
        raise InputError(str(files[0]), f"the jump hosts of {device} form a loop", "see ProxyJump")
    options = _Options(destination, files, way.jump)
    route = options.text("proxyjump")
    command = options.text("proxycommand")
    # Whichever the configuration names first counts.
    if route and command and options.first("proxycommand", "proxyjump") == "proxycommand":
        route = None
    behind = None
    if route and route.lower() != "none":
        *earlier, last = [part.strip() for part in route.split(",")]
        over = ",".join(earlier) if earlier else None
        behind = _resolve(device, parse(last), files, Way(jump=over), depth + 1)
        command = None
    return Hop(
        device=device,
        name=destination.host,
        host=options.host(),
        port=options.port(),
        user=options.user(),
        identities=(
            *([way.identity] if way.identity else []),
            *options.identities(way.identity is None),
        ),
        identities_only=options.flag("identitiesonly"),
        known_hosts=options.known_hosts(),
        known_as=options.text("hostkeyalias"),
        connect_timeout_s=options.duration_s("connecttimeout"),
        command=command,
        behind=behind,
        is_jump=depth > 0,
        agent=options.agent(),
        host_key=way.host_key,
        unread=options.unread(),
    )


class _Options:
    """What the configuration says about one host."""

    def __init__(self, destination: Destination, files: Sequence[Path], jumps: str | None) -> None:
        require("paramiko")
        import paramiko

        self._name = destination.host
        self._file = files[0] if files else SYSTEM
        # What the user wrote comes first, as the first value is the one that counts; so the
        # tokens (%p, %r) of the rest see it too.
        own = [
            f"{key} {value}\n"
            for key, value in (
                ("User", destination.user),
                ("Port", destination.port),
                ("ProxyJump", jumps),
            )
            if value is not None
        ]
        config = paramiko.SSHConfig()
        config.parse(io.StringIO("".join(own)))
        for file in files:
            text = "".join(f"{line}\n" for line in lines(file, destination.host))
            try:
                config.parse(io.StringIO(text))
            except (paramiko.SSHException, ValueError) as exc:
                raise bad(str(file), str(exc)) from exc
        try:
            self._found = config.lookup(destination.host)
        except (paramiko.SSHException, ValueError, KeyError, OSError, ImportError) as exc:
            raise bad(str(self._file), f"{type(exc).__name__}: {exc}") from exc

    def text(self, key: str) -> str | None:
        value = self._found.get(key)
        return value if isinstance(value, str) else None

    def flag(self, key: str) -> bool:
        value = self.text(key)
        if value not in (None, "yes", "no"):
            raise bad(str(self._file), f"{key} '{value}' is not possible")
        return value == "yes"

    def duration_s(self, key: str) -> float | None:
        """A time as TIME FORMATS of sshd_config(5) has it; None for no limit."""
        value = self.text(key)
        if value is None or value.lower() == "none":
            return None
        if not _TIME.fullmatch(value):
            raise bad(str(self._file), f"{key} '{value}' is not possible")
        parts = _TIME_PART.findall(value.lower())
        total_s = sum(int(count) * _SECONDS[unit] for count, unit in parts)
        if total_s > _LONGEST_S:
            raise bad(str(self._file), f"{key} '{value}' is not possible")
        return total_s or None

    def first(self, *keys: str) -> str:
        return next(key for key in self._found if key in keys)

    def host(self) -> str:
        return self._fit("hostname", self.text("hostname") or self._name, HOST)

    def port(self) -> int:
        value = self.text("port") or "22"
        if not value.isdecimal() or not 0 < int(value) < 65536:
            raise bad(str(self._file), f"port '{value}' is not possible")
        return int(value)

    def user(self) -> str:
        try:
            return self._fit("user", self.text("user") or getpass.getuser(), USER)
        except (KeyError, OSError) as exc:
            raise InputError(
                self.text("hostname") or "ssh", "has no user", "say user@host"
            ) from exc

    def _fit(self, key: str, value: str, names: re.Pattern[str]) -> str:
        if not names.fullmatch(value):
            raise bad(str(self._file), f"{key} {value!r} is not possible")
        return value

    def identities(self, defaults: bool) -> Iterable[Path]:
        named = self._found.get("identityfile")
        if isinstance(named, list):
            return [Path(name).expanduser() for name in named if name.lower() != "none"]
        folder = Path("~/.ssh").expanduser()
        return [folder / name for name in _DEFAULT_KEYS] if defaults else []

    def agent(self) -> str | None:
        """As IdentityAgent of ssh_config(5) says it."""
        named = self.text("identityagent") or "SSH_AUTH_SOCK"
        if named.lower() == "none":
            return None
        if named == "SSH_AUTH_SOCK" or re.match(r"\$[^{]", named):
            return os.environ.get(named.removeprefix("$")) or None
        named = _VARIABLE.sub(lambda found: os.environ.get(found[1], ""), named)
        if not named:
            return None
        return str(self._expanded(named).expanduser())

    def unread(self) -> tuple[str, ...]:
        """What is set otherwise than edgeq behaves, and may decide whether a login succeeds."""
        named = ((name, self.text(name.lower())) for name in UNREAD)
        return tuple(
            f"{name} {value}"
            for name, value in named
            if value is not None and value.lower() not in UNREAD[name]
        )

    def known_hosts(self) -> tuple[Path, ...]:
        own = self.text("userknownhostsfile") or "~/.ssh/known_hosts ~/.ssh/known_hosts2"
        system = self.text("globalknownhostsfile") or (
            "/etc/ssh/ssh_known_hosts /etc/ssh/ssh_known_hosts2"
        )
        files = [self._expanded(name) for name in shlex.split(own) if name.lower() != "none"]
        files += [Path(name) for name in shlex.split(system) if name.lower() != "none"]
        return tuple(file.expanduser() for file in files)

    def _expanded(self, name: str) -> Path:
        """The name of a file with its tokens, as TOKENS of ssh_config(5) has them."""
        values = {
            "%": "%",
            "d": str(Path("~").expanduser()),
            "h": self.host(),
            "i": str(os.getuid()),
            "k": self.text("hostkeyalias") or self._name,
            "L": socket.gethostname().partition(".")[0],
            "l": socket.gethostname(),
            "n": self._name,
            "p": str(self.port()),
            "r": self.user(),
            "u": getpass.getuser(),
        }

        def value(token: re.Match[str]) -> str:
            if token[1] not in values:
                raise bad(str(self._file), f"'{token[0]}' of '{name}' is not supported here")
            return values[token[1]]

        return Path(_TOKEN.sub(value, name))
