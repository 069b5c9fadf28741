"""Where a device is, as a person writes it: what `ssh` takes."""

from __future__ import annotations

import re
from dataclasses import dataclass

from edgeq.errors import InputError

_DESTINATION = re.compile(
    r"(?:(?P<user>[^\s:]+)@)?(?:\[(?P<v6>[^\s@\[\]]+)\]|(?P<host>[^\s:@\[\]]+))"
    r"(?::(?P<port>[0-9]+))?"
)
# Names stand in the shell lines of ProxyCommand and Match exec, where %h and %r are.
HOST = re.compile(r"(?!-)[\w.:%-]+")
# OpenSSH has this list since 9.6 (valid_ruser of ssh.c), without spaces and what a shell expands.
USER = re.compile(r"(?!-)[^\s\x00-\x1f\x7f-\x9f'\"`$;&<>|(){}\[\]*?!#~]+(?<!\\)")


@dataclass(frozen=True)
class Destination:
    """`user@host`, `host`, an alias, `host:port`, `[IPv6]:port`, or one of them after `ssh://`."""

    host: str
    user: str | None = None
    port: int | None = None


def parse(text: str) -> Destination:
    """Raises InputError for what can be no destination."""
    bare = text.removeprefix("ssh://").rstrip("/") if text.startswith("ssh://") else text
    found = None if bare.startswith("-") else _DESTINATION.fullmatch(bare)
    if found is None and bare.count(":") > 1 and "@" not in bare and "[" not in bare:
        found = _DESTINATION.fullmatch(f"[{bare}]")
    port = int(found["port"]) if found and found["port"] else None
    if found is None or (port is not None and not 0 < port < 65536):
        raise InputError(repr(text), "is no destination", "write user@host or ssh://user@host:port")
    host, user = found["v6"] or found["host"], found["user"]
    for kind, name, names in (("host", host, HOST), ("user", user, USER)):
        if name is not None and not names.fullmatch(name):
            what = f"is no destination: {name!r} can be the name of no {kind}"
            raise InputError(repr(text), what, "write user@host or ssh://user@host:port")
    return Destination(host, user, port)
