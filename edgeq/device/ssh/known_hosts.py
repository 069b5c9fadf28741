"""OpenSSH's known_hosts files: read once for all connections, and asked by a host's name."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from edgeq import reading


@dataclass(frozen=True)
class KnownKey:
    """A line of a known_hosts file."""

    marker: str
    """@revoked, @cert-authority or nothing"""
    hosts: str
    type: str
    blob: bytes
    place: str
    """file:line"""


class KnownHosts:
    """Lines, found by the names that they are about.

    Most name their hosts as they are: these are looked up. Hashed names and patterns have to be
    tried one by one, which costs microseconds each once they are parsed.
    """

    def __init__(self, keys: Iterable[KnownKey]) -> None:
        self._keys = tuple(keys)
        self._named: dict[str, list[int]] = {}
        self._hashed: list[tuple[bytes, bytes, int]] = []
        self._patterns: list[tuple[re.Pattern[str], re.Pattern[str], int]] = []
        for number, key in enumerate(self._keys):
            if key.hosts.startswith("|1|"):
                self._hashed += [(*parts, number) for parts in _hash(key.hosts)]
            elif any(letter in key.hosts for letter in "*?!"):
                self._patterns.append((*_patterns(key.hosts), number))
            else:
                for name in key.hosts.lower().split(","):
                    self._named.setdefault(name, []).append(number)

    def about(self, name: str) -> list[KnownKey]:
        """The lines about a host, in their order; its name is in small letters."""
        found = {*self._named.get(name, ())}
        for salt, digest, number in self._hashed:
            if hmac.digest(salt, name.encode(), hashlib.sha1) == digest:
                found.add(number)
        for wanted, unwanted, number in self._patterns:
            if wanted.fullmatch(name) and not unwanted.fullmatch(name):
                found.add(number)
        return [self._keys[number] for number in sorted(found)]


_kept: dict[Path, tuple[list[int], KnownHosts]] = {}
_reading = threading.Lock()


def known_hosts(file: Path) -> KnownHosts:
    """What a file says; lines that hold no key are passed over, and so is a file that is not there.

    It is read again when its size, times or inode changed, or it was written just now: it may
    change once more within the same tick of the file system's clock.
    """
    with _reading:  # so that of many threads that come at once the first one reads
        now_ns, state = time.time_ns(), reading.state(file)
        if state is not None and file in _kept and _kept[file][0] == state:
            return _kept[file][1]
        found = KnownHosts(_keys(file))
        if state is not None and state == reading.state(file) and reading.settled(state, now_ns):
            _kept[file] = state, found
        return found


def _keys(file: Path) -> Iterator[KnownKey]:
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return
    for number, line in enumerate(lines, 1):
        fields = line.split()
        marker = fields.pop(0) if fields and fields[0].startswith("@") else ""
        if len(fields) < 3 or fields[0].startswith("#"):
            continue
        try:
            blob = base64.b64decode(fields[2], validate=True)
        except binascii.Error:
            continue
        yield KnownKey(marker, fields[0], fields[1], blob, f"{file}:{number}")


def _hash(hosts: str) -> Iterator[tuple[bytes, bytes]]:
    """Salt and digest of a hashed name; nothing where it is none."""
    try:
        _, _, salt, digest = hosts.split("|")
        yield base64.b64decode(salt), base64.b64decode(digest)
    except (ValueError, binascii.Error):
        return


def _patterns(hosts: str) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """What a name has to match and what it must not: patterns with commas, after '!' unwanted."""
    words = hosts.lower().split(",")
    wanted = [_pattern(word) for word in words if not word.startswith("!")]
    unwanted = [_pattern(word[1:]) for word in words if word.startswith("!")]
    return _any_of(wanted), _any_of(unwanted)


def _pattern(word: str) -> str:
    # Not fnmatch, to which the brackets around a host with a port mean something else.
    return "".join(".*" if c == "*" else "." if c == "?" else re.escape(c) for c in word)


def _any_of(patterns: list[str]) -> re.Pattern[str]:
    return re.compile("|".join(patterns) or "(?!)")
