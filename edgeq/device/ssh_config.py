"""Where a destination leads: what the user wrote, with what OpenSSH's configuration adds to it."""

from __future__ import annotations

import getpass
import io
import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgeq.errors import DeviceError, InputError, require

SYSTEM = Path("/etc/ssh/ssh_config")
_SETTING = re.compile(r"(\w+)(?:\s*=\s*|\s+)(.+)")
_DESTINATION = re.compile(
    r"(?:(?P<user>[^\s:]+)@)?(?:\[(?P<v6>[0-9A-Fa-f:.%\w]+)\]|(?P<host>[^\s:@\[\]]+))"
    r"(?::(?P<port>[0-9]+))?"
)
_DEFAULT_KEYS = ("id_rsa", "id_ecdsa", "id_ed25519")
_DEEPEST = 16
# What a jump host or a proxy is to blame for; its keys and the user's have kinds of their own.
_CONNECTING = ("name-not-found", "unreachable", "refused", "not-ssh", "incompatible", "link-lost")


@dataclass(frozen=True)
class Destination:
    """`user@host`, `host`, an alias, `host:port`, `[IPv6]:port`, or one of them after `ssh://`."""

    host: str
    user: str | None = None
    port: int | None = None


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

    def error(self, what: str, remedy: str, kind: str) -> DeviceError:
        """What went wrong here, in the words of the device that was to be reached."""
        if self.is_jump:
            what = f"jump host {self.name}: {what}"
            kind = "proxy" if kind in _CONNECTING else kind
        return DeviceError(self.device, what, remedy, kind)


def parse(text: str) -> Destination:
    """Raises InputError for what can be no destination."""
    bare = text.removeprefix("ssh://").rstrip("/") if text.startswith("ssh://") else text
    found = None if bare.startswith("-") else _DESTINATION.fullmatch(bare)
    if found is None and bare.count(":") > 1 and "@" not in bare and "[" not in bare:
        found = _DESTINATION.fullmatch(f"[{bare}]")
    port = int(found["port"]) if found and found["port"] else None
    if found is None or (port is not None and not 0 < port < 65536):
        raise InputError(repr(text), "is no destination", "write user@host or ssh://user@host:port")
    return Destination(found["v6"] or found["host"], found["user"], port)


def default_files() -> tuple[Path, ...]:
    """The user's configuration and the system's."""
    return Path("~/.ssh/config").expanduser(), SYSTEM


def resolve(
    device: str, destination: Destination, files: Sequence[Path], identity: Path | None = None
) -> Hop:
    """The way to a destination, jump hosts included. Raises InputError for a bad configuration."""
    return _resolve(device, destination, files, identity, None, 0)


def _resolve(
    device: str,
    destination: Destination,
    files: Sequence[Path],
    identity: Path | None,
    jumps: str | None,
    depth: int,
) -> Hop:
    if depth > _DEEPEST:
        raise InputError(str(files[0]), f"the jump hosts of {device} form a loop", "see ProxyJump")
    options = _Options(destination, files, jumps)
    route = options.text("proxyjump")
    command = options.text("proxycommand")
    # Whichever the configuration names first counts.
    if route and command and options.first("proxycommand", "proxyjump") == "proxycommand":
        route = None
    behind = None
    if route and route.lower() != "none":
        *earlier, last = [part.strip() for part in route.split(",")]
        over = ",".join(earlier) if earlier else None
        behind = _resolve(device, parse(last), files, None, over, depth + 1)
        command = None
    return Hop(
        device=device,
        name=destination.host,
        host=options.text("hostname") or destination.host,
        port=int(options.number("port", 22)),
        user=options.user(),
        identities=(*([identity] if identity else []), *options.identities(identity is None)),
        identities_only=options.text("identitiesonly") == "yes",
        known_hosts=options.known_hosts(),
        known_as=options.text("hostkeyalias"),
        connect_timeout_s=options.number("connecttimeout", 0) or None,
        command=command,
        behind=behind,
        is_jump=depth > 0,
    )


class _Options:
    """What the configuration says about one host."""

    def __init__(self, destination: Destination, files: Sequence[Path], jumps: str | None) -> None:
        require("paramiko")
        import paramiko

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
            text = "".join(f"{line}\n" for line in _lines(file, file.parent, 0))
            try:
                config.parse(io.StringIO(text))
            except (paramiko.SSHException, ValueError) as exc:
                raise _bad(str(file), str(exc)) from exc
        try:
            self._found = config.lookup(destination.host)
        except (paramiko.SSHException, ValueError, KeyError, OSError, ImportError) as exc:
            raise _bad(str(self._file), f"{type(exc).__name__}: {exc}") from exc

    def text(self, key: str) -> str | None:
        value = self._found.get(key)
        return value if isinstance(value, str) else None

    def number(self, key: str, default: float) -> float:
        value = self.text(key)
        if value is None or value.lower() == "none":
            return default
        if not value.isdecimal() or (key == "port" and not 0 < int(value) < 65536):
            raise _bad(str(self._file), f"{key} '{value}' is not possible")
        return int(value)

    def first(self, *keys: str) -> str:
        return next(key for key in self._found if key in keys)

    def user(self) -> str:
        try:
            return self.text("user") or getpass.getuser()
        except (KeyError, OSError) as exc:
            raise InputError(
                self.text("hostname") or "ssh", "has no user", "say user@host"
            ) from exc

    def identities(self, defaults: bool) -> Iterable[Path]:
        named = self._found.get("identityfile")
        if isinstance(named, list):
            return [Path(name).expanduser() for name in named if name.lower() != "none"]
        folder = Path("~/.ssh").expanduser()
        return [folder / name for name in _DEFAULT_KEYS] if defaults else []

    def known_hosts(self) -> tuple[Path, ...]:
        own = self.text("userknownhostsfile") or "~/.ssh/known_hosts ~/.ssh/known_hosts2"
        system = self.text("globalknownhostsfile") or (
            "/etc/ssh/ssh_known_hosts /etc/ssh/ssh_known_hosts2"
        )
        names = [name for name in shlex.split(f"{own} {system}") if name.lower() != "none"]
        return tuple(Path(name.replace("%d", "~", 1)).expanduser() for name in names)


def _lines(file: Path, folder: Path, depth: int) -> Iterable[str]:
    """The lines of a configuration, with the files it includes, which paramiko does not read."""
    try:
        content = file.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return
    except (OSError, UnicodeDecodeError) as exc:
        raise _bad(str(file), f"cannot be read: {exc}") from exc
    block = "Host *"
    for number, line in enumerate((line.strip() for line in content.splitlines()), 1):
        if not line or line.startswith("#"):
            continue
        found = _SETTING.fullmatch(line)
        if found is None:
            raise _bad(f"{file}:{number}", f"'{line}' is no setting")
        key = found[1].lower()
        if key != "include":
            if key in ("host", "match"):
                block = line
            yield line
            continue
        if depth >= _DEEPEST:
            raise _bad(f"{file}:{number}", "includes itself")
        for pattern in shlex.split(found[2]):
            whole = Path(pattern).expanduser()
            whole = whole if whole.is_absolute() else folder / whole
            for included in sorted(Path(whole.anchor).glob(str(whole.relative_to(whole.anchor)))):
                yield from _lines(included, folder, depth + 1)
        yield block


def _bad(where: str, what: str) -> InputError:
    return InputError(where, f"this is no configuration of OpenSSH: {what}", "see ssh_config(5)")
