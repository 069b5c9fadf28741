"""A host of Ansible's inventory as a device: what its variables say of address, way and target."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from edgeq.errors import InputError, Problems
from edgeq.spec.document import nearest
from edgeq.spec.fleet.expression import Among
from edgeq.spec.fleet.inventory import Inventory, Variables
from edgeq.spec.fleet.parts import Entry, FleetParts, GroupEntry, by_whole_path
from edgeq.spec.fleet.variable_files import VAULT

OWN = {
    "edgeq_target": str,
    "edgeq_labels": dict,
    "edgeq_jump": str,
    "edgeq_host_key": str,
    "edgeq_frame_rate": (int, float),
}
"""Variables that only edgeq reads, and what each is."""
_ARGUMENTS = ("ansible_ssh_args", "ansible_ssh_common_args", "ansible_ssh_extra_args")
_JUMP = re.compile(r"-J|-oProxyJump[= ]|ProxyJump[= ]", re.I)
_COMMAND = re.compile(r"ProxyCommand[= ]\s*(.*)", re.I | re.S)
_WANTED = {"edgeq_labels": "a mapping", "edgeq_frame_rate": "a number"}


def add(found: Inventory, defaults: Entry, parts: FleetParts) -> None:
    """Add the hosts of an inventory that have a target, and its groups. Raises InputError(s)."""
    problems = Problems()
    known = set()
    for name, variables in found.variables():
        entry = problems.attempt(partial(_entry, found, name, variables, defaults))
        if entry is not None and entry.target is not None:
            parts.devices.append(entry)
            known.add(name)
        elif entry is not None:
            parts.passed_over.append(name)
    for name, members in found.members().items():
        place = found.groups[name].place if name in found.groups else f"{found.path}:1"
        among = Among("name", tuple(sorted(members & known)))
        parts.groups.append(GroupEntry(name, place, among))
    problems.raise_all()


def _entry(found: Inventory, name: str, given: Variables, defaults: Entry) -> Entry:
    problems = Problems()
    for key in given:
        if key.startswith("edgeq_"):
            problems.attempt(partial(_check, key, given))
    problems.raise_all()
    own = {key.removeprefix("edgeq_"): given[key].value for key in OWN if key in given}
    labels = {str(k): str(v) for k, v in dict(own.pop("labels", {})).items()}  # type: ignore[call-overload]
    rate = own.pop("frame_rate", defaults.frame_rate)
    texts = by_whole_path({key: str(value) for key, value in own.items()}, found.path.parent)
    where = found.places[name]
    return Entry(
        name,
        lambda key: given[f"edgeq_{key}"].place if f"edgeq_{key}" in given else where,
        address=_address(name, given),
        target=texts.get("target", defaults.target),
        labels={**defaults.labels, **labels},
        jump=texts.get("jump") or _jump(given) or defaults.jump,
        host_key=texts.get("host_key"),
        identity=_identity(given, found.path.parent) or defaults.identity,
        frame_rate=float(str(rate)) if rate is not None else None,
    )


def _check(key: str, given: Variables) -> None:
    place, value = given[key].place, given[key].value
    if key not in OWN:
        raise InputError(place, f"'{key}' is unknown", nearest(key, OWN))
    if not isinstance(value, OWN[key]) or isinstance(value, bool):  # type: ignore[arg-type]
        wanted = _WANTED.get(key, "a text")
        raise InputError(place, f"{key} is {value!r}", f"it should be {wanted}")
    _text(key, given)


def _text(key: str, given: Variables) -> str | None:
    """A variable as text; InputError for a template, which only Ansible can fill."""
    if key not in given or given[key].value is None:
        return None
    text = str(given[key].value)
    if text.startswith(VAULT):
        what = f"{key} is encrypted, and edgeq opens no vault"
        raise InputError(given[key].place, what, "write it in the open, or say it in fleet.yaml")
    if "{{" in text:
        what = f"{key} is a template, and edgeq runs none"
        raise InputError(given[key].place, what, "write what it comes to, or say it in fleet.yaml")
    return text


def _address(name: str, given: Variables) -> str | None:
    if _text("ansible_connection", given) == "local":
        return None
    host = _text("ansible_host", given) or _text("ansible_ssh_host", given) or name
    user = _text("ansible_user", given) or _text("ansible_ssh_user", given)
    port = _text("ansible_port", given) or _text("ansible_ssh_port", given)
    host = f"[{host}]" if ":" in host and not host.startswith("[") else host
    return (f"{user}@" if user else "") + host + (f":{port}" if port else "")


def _identity(given: Variables, folder: Path) -> str | None:
    named = _text("ansible_ssh_private_key_file", given)
    return None if named is None else str(folder.absolute() / Path(named).expanduser())


def _jump(given: Variables) -> str | None:
    """The hosts to go through, as the arguments for ssh say."""
    for key in _ARGUMENTS:
        text = _text(key, given)
        try:
            words = list(_options(shlex.split(text or "")))
        except ValueError as exc:
            raise InputError(given[key].place, f"{key}: {exc}", "check the quotes") from exc
        for word in words:
            if found := _JUMP.match(word):
                return word[found.end() :].strip()
            if command := _COMMAND.match(word):
                return _forwarded(command[1], given[key].place)
    return None


def _options(words: list[str]) -> Iterator[str]:
    """Each option with its value: -J x as -Jx, and -o x as x."""
    rest = iter(words)
    for word in rest:
        if word in ("-J", "-o"):
            yield ("-J" if word == "-J" else "") + next(rest, "")
        elif word.startswith("-o"):
            yield word[2:]
        else:
            yield word


def _forwarded(command: str, place: str) -> str:
    """The host of 'ssh -W %h:%p user@host', which is what ProxyJump came to replace."""
    try:
        words = shlex.split(command)
    except ValueError:
        words = []
    flags = {"-q", "-A", "-a", "-x", "-T"}
    rest = [word for word in words[1:] if word not in flags]
    if words[:1] == ["ssh"] and "-W" in rest:
        at = rest.index("-W")
        del rest[at : at + 2]
        port = ""
        if "-p" in rest:
            at = rest.index("-p")
            port = f":{rest[at + 1]}" if at + 1 < len(rest) else ""
            del rest[at : at + 2]
        if len(rest) == 1 and not rest[0].startswith("-"):
            return rest[0] + port
    what = f"the ProxyCommand '{command}' is not understood here"
    raise InputError(place, what, "write -o ProxyJump=user@host, or set edgeq_jump")
