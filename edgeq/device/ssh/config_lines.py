"""The lines of OpenSSH's configuration in the words that paramiko takes.

Paramiko reads no included files, keeps the comment at a line's end as part of the value, and takes
a condition of Match that it does not know for one that holds.
"""

from __future__ import annotations

import fnmatch
import re
import shlex
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from edgeq.errors import InputError

_DEEPEST = 16
_SETTING = re.compile(r"(\w+)(?:\s*=\s*|\s+)(.+)")
_CRITERION = re.compile(r'"([^"]*)"|([^\s"]+)')
_WITHOUT_VALUE = ("all", "canonical", "final")
_WITH_VALUE = ("exec", "host", "localuser", "originalhost", "user")
# Their values are the whole rest of the line, whatever is in it.
_COMMANDS = ("knownhostscommand", "localcommand", "proxycommand", "remotecommand")
# Paramiko knows 'yes' only, and in small letters.
_FLAGS = ("canonicalizefallbacklocal", "canonicalizehostname", "identitiesonly")
_LISTS = ("globalknownhostsfile", "userknownhostsfile")

Criterion = tuple[str, ...]
"""A keyword of Match, perhaps after '!', and its value if it takes one."""
Block = tuple[Criterion, ...]
"""All that must hold for the settings below it; nothing for those of every host."""


def lines(file: Path, host: str) -> Iterator[str]:
    """The lines of a file, and those it includes, that may be about a host as the user wrote it.

    Blocks of other hosts are left out: a fleet's file has thousands, and it is asked about each.
    Raises InputError for what cannot be read.
    """
    return _lines(file, host, (file.parent, (), 0))


def bad(where: str, what: str) -> InputError:
    """The error for a configuration that is none."""
    return InputError(where, f"this is no configuration of OpenSSH: {what}", "see ssh_config(5)")


def _lines(file: Path, host: str, within: tuple[Path, Block, int]) -> Iterator[str]:
    folder, outer, depth = within
    try:
        content = file.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return
    except (OSError, UnicodeDecodeError) as exc:
        raise bad(str(file), f"cannot be read: {exc}") from exc
    block, holds = outer, True
    for number, line in enumerate((line.strip() for line in content.splitlines()), 1):
        if not line or line.startswith("#"):
            continue
        where = f"{file}:{number}"
        found = _SETTING.fullmatch(line)
        if found is None:
            raise bad(where, f"'{line}' is no setting")
        key, value = found[1].lower(), found[2]
        words = _words(where, value)
        if key == "host":
            # A comma parts patterns in Match, but is a letter like others here, of no host's name.
            patterns = ",".join(word for word in words if "," not in word)
            block = (*outer, ("originalhost", patterns))
            holds = _may_hold(block, host)
            if holds:
                yield _header(block)
        elif key == "match":
            block = (*outer, *_criteria(where, value))
            holds = _may_hold(block, host)
            if holds:
                yield _header(block)
        elif not words:
            raise bad(where, f"'{line}' has no value")
        elif key == "include":
            if depth >= _DEEPEST:
                raise bad(where, "includes itself")
            _check_lasting(where, block)
            for pattern in words if holds else ():
                whole = folder / Path(pattern).expanduser()
                top = Path(whole.anchor)
                for included in sorted(top.glob(str(whole.relative_to(top)))):
                    yield from _lines(included, host, (folder, block, depth + 1))
            if holds:
                yield _header(block)
        elif holds:
            yield _setting(key, value, words)


def _may_hold(block: Block, host: str) -> bool:
    """Whether a block may be about a host, by the patterns for what the user wrote; as paramiko."""
    for name, *param in block:
        if name == "originalhost":
            patterns = param[0].split(",")
            refused = any(p[:1] == "!" and fnmatch.fnmatch(host, p[1:]) for p in patterns)
            if refused or not any(fnmatch.fnmatch(host, pattern) for pattern in patterns):
                return False
    return True


def _words(where: str, text: str) -> list[str]:
    """A value without its comment, taken apart as by OpenSSH's argv_split (misc.c)."""
    words = _split(text)
    if words is None:
        raise bad(where, f"a quote is not closed in '{text}'")
    return list(words)


@lru_cache(maxsize=10_000)
def _split(text: str) -> tuple[str, ...] | None:
    """The words; None where a quote is not closed."""
    words: list[str] = []
    word: str | None = None
    quote = ""
    at = 0
    while at < len(text):
        char, after = text[at], text[at + 1 : at + 2]
        if char == "\\" and after and after in ("'\"\\" if quote else "'\"\\ "):
            word = (word or "") + after
            at += 1
        elif quote:
            word, quote = (word, "") if char == quote else ((word or "") + char, quote)
        elif char in " \t":
            words += [] if word is None else [word]
            word = None
        elif char == "#" and word is None:
            break
        elif char in "'\"":
            word, quote = word or "", char
        else:
            word = (word or "") + char
        at += 1
    if quote:
        return None
    return tuple(words) if word is None else (*words, word)


def _setting(key: str, value: str, words: list[str]) -> str:
    if key in _LISTS:
        value = shlex.join(words)
    elif key == "proxyjump":
        value = value.partition("#")[0].strip()
    elif key not in _COMMANDS:
        value = " ".join(words)
    if key in _FLAGS:
        value = {"true": "yes", "false": "no"}.get(value.lower(), value.lower())
    # Paramiko takes one pair of quotes off, but not before it looks for this word.
    return f"{key} {value}" if value.lower() == "none" else f'{key} "{value}"'


def _criteria(where: str, value: str) -> Iterator[Criterion]:
    words = []
    for found in _CRITERION.finditer(value):
        if found[0].startswith("#"):
            break
        words.append(found[1] if found[2] is None else found[2])
    if not words:
        raise bad(where, "'Match' has no condition")
    while words:
        word, _, param = words.pop(0).partition("=")
        sign = "!" if word.startswith("!") else ""
        name = word.removeprefix("!").lower()
        if name not in (*_WITHOUT_VALUE, *_WITH_VALUE):
            known = ", ".join((*_WITHOUT_VALUE, *_WITH_VALUE))
            remedy = f"put its settings under Host, or a Match of these: {known}"
            raise InputError(where, f"'Match {name}' is not supported here", remedy)
        if name == "all":
            # Paramiko refuses it next to others, and would take '!all' for 'all'.
            yield from [("!originalhost", "*")] if sign else []
        elif name in _WITHOUT_VALUE:
            yield (sign + name,)
        elif param or words:
            yield sign + name, param or words.pop(0)
        else:
            raise bad(where, f"'Match {name}' has no value")


def _check_lasting(where: str, block: Block) -> None:
    """InputError if the block is one whose own settings may change whether it holds.

    After the included lines it is opened again, when OpenSSH would not ask a second time.
    """
    for name, *param in block:
        bare = name.removeprefix("!")
        if bare in ("host", "user") or (bare == "exec" and "%" in param[0]):
            what = f"Include below 'Match {bare}' is not supported here"
            raise InputError(where, what, "put it above, or under Host or Match originalhost")


def _header(block: Block) -> str:
    if not block:
        return "Host *"
    return f"Match {shlex.join(word for criterion in block for word in criterion)}"
