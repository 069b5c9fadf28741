"""All that the files of a fleet say, checked together: names, addresses, targets, groups."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from edgeq.errors import InputError, Invalid, Problems
from edgeq.spec import destination, target
from edgeq.spec.fleet import expression
from edgeq.spec.fleet.expression import KEYWORDS, NAME, Expression, Named
from edgeq.spec.fleet.fleet import OWN_LABELS, Fleet, FleetDevice, unknown
from edgeq.spec.fleet.parts import Entry, FleetParts, GroupEntry
from edgeq.spec.target import Target

_A_WORD = "use letters, digits and _ . : / @ + -, and none of: " + ", ".join(KEYWORDS)


def assembled(path: Path, parts: FleetParts) -> Fleet:
    """The fleet that all parts make. Raises InputError(s) with every problem by its line."""
    problems = Problems()
    kinds: dict[str, Target | None] = {}
    devices = []
    for entry in parts.devices:
        problems.found += _wrong(entry)
        kind = _kind(entry, kinds, problems)
        if kind is not None:
            problems.found += _misplaced(entry, kind)
            own = {"name": entry.name, "target": kind.name}
            identity = None if entry.identity is None else Path(entry.identity)
            devices.append(
                FleetDevice(
                    entry.name,
                    kind,
                    None if kind.transport == "local" else entry.address,
                    {**entry.labels, **own},
                    entry.jump,
                    entry.host_key,
                    identity,
                    entry.frame_rate,
                )
            )
    problems.found += _twice(parts.devices, kinds)
    labels = {label for entry in parts.devices for label in entry.labels} | set(OWN_LABELS)
    groups = _groups(parts.groups, labels, problems)
    problems.raise_all()
    return Fleet(path, tuple(_in_groups(devices, groups)), groups, tuple(parts.passed_over))


def _wrong(entry: Entry) -> Iterator[InputError]:
    """What is wrong with a device by itself."""
    if not _is_word(entry.name):
        yield InputError(entry.at(""), f"'{entry.name}' can be the name of no device", _A_WORD)
    for label in entry.labels:
        if label in OWN_LABELS:
            what = f"a label may not be called '{label}': every device has that"
            yield InputError(entry.at("labels"), what, "give it another name")
        elif not _is_word(label):
            yield InputError(entry.at("labels"), f"'{label}' can be no label", _A_WORD)
    jumps = (entry.jump or "").split(",") if entry.jump not in (None, "none") else []
    for key, text in [("address", entry.address), *(("jump", jump.strip()) for jump in jumps)]:
        try:
            if text is not None:
                destination.parse(text)
        except InputError as exc:
            yield InputError(entry.at(key), f"{key} {exc.where} {exc.what}", exc.remedy)


def _misplaced(entry: Entry, kind: Target) -> Iterator[InputError]:
    if kind.transport == "ssh" and entry.address is None:
        what = f"{entry.name} has no address, and its target '{kind.name}' is reached over SSH"
        yield InputError(entry.at("address"), what, "add a line 'address: user@host'")


def _kind(entry: Entry, kinds: dict[str, Target | None], problems: Problems) -> Target | None:
    """The target of a device, read once for all that have it; what is wrong with it, told once."""
    if entry.target is None:
        remedy = "add a line 'target: ...' to it, or under 'defaults'"
        problems.found.append(InputError(entry.at(""), f"{entry.name} has no target", remedy))
        return None
    if entry.target not in kinds:
        found = len(problems.found)
        name = entry.target
        kinds[name] = problems.attempt(lambda: target.load(name))
        problems.found[found:] = [
            InputError(entry.at("target"), p.what, p.remedy) if p.where == "--target" else p
            for p in problems.found[found:]
        ]
    return kinds[entry.target]


def _twice(entries: list[Entry], kinds: dict[str, Target | None]) -> Iterator[InputError]:
    """Devices of one name, and of one address behind one jump host."""
    names: dict[str, str] = {}
    places: dict[tuple[object, ...], str] = {}
    for entry in entries:
        if entry.name in names:
            what = f"'{entry.name}' is given twice, first at {names[entry.name]}"
            yield InputError(entry.at(""), what, "give one of them another name")
        names.setdefault(entry.name, entry.at(""))
        kind = kinds.get(entry.target or "")
        key = _where(entry, kind)
        if key is None:
            continue
        if key in places:
            where = entry.address or "this machine"
            what = f"{entry.name} is at {where}, which is {places[key]} already"
            yield InputError(entry.at("address"), what, "keep one of them")
        places.setdefault(key, entry.name)


def _where(entry: Entry, kind: Target | None) -> tuple[object, ...] | None:
    """What two devices at the same place have in common; None where that is not known."""
    if kind is not None and kind.transport == "local":
        return ("local", kind.root)
    try:
        parsed = destination.parse(entry.address or "")
    except InputError:
        return None
    return parsed.host.lower(), parsed.port or 22, entry.jump


def _groups(
    entries: list[GroupEntry], labels: set[str], problems: Problems
) -> dict[str, Expression]:
    found: dict[str, Expression] = {}
    places: dict[str, str] = {}
    for entry in entries:
        where = places.setdefault(entry.name, entry.place)
        if entry.name in found:
            what = f"group '{entry.name}' is given twice, first at {where}"
            problems.found.append(InputError(entry.place, what, "give one another name"))
            continue
        if not _is_word(entry.name):
            what = f"'{entry.name}' can be the name of no group"
            problems.found.append(InputError(entry.place, what, _A_WORD))
        if entry.name in labels:
            what = f"'{entry.name}' is a group and a label"
            problems.found.append(InputError(entry.place, what, "give one another name"))
        try:
            meant = entry.meant
            found[entry.name] = expression.parse(meant) if isinstance(meant, str) else meant
        except Invalid as exc:
            what = f"group '{entry.name}' {exc.what}"
            problems.found.append(InputError(entry.place, what, exc.remedy))
    for name, meant in found.items():
        for test in expression.names(meant):
            if complaint := unknown(test, labels, set(places)):
                what = f"group '{name}': {complaint[0]}"
                problems.found.append(InputError(places[name], what, complaint[1]))
    return _ordered(found, places, problems)


def _ordered(
    groups: dict[str, Expression], places: dict[str, str], problems: Problems
) -> dict[str, Expression]:
    """The groups, each behind those that it asks for; those in a ring are reported."""
    asks: dict[str, set[str]] = defaultdict(set)
    for name, meant in groups.items():
        asks[name] = {
            test.name
            for test in expression.names(meant)
            if isinstance(test, Named) and test.name in groups
        }
    while True:
        try:
            return {name: groups[name] for name in TopologicalSorter(asks).static_order()}
        except CycleError as exc:
            ring = exc.args[1]
            what = f"group '{ring[0]}' asks for itself: {' -> '.join(reversed(ring))}"
            problems.found.append(InputError(places[ring[0]], what, "take one of them out"))
            for name in ring:
                asks[name] = set()


def _in_groups(devices: list[FleetDevice], groups: dict[str, Expression]) -> Iterator[FleetDevice]:
    for device in devices:
        found: set[str] = set()
        for name, meant in groups.items():
            if expression.holds(meant, device.labels, found):
                found.add(name)
        yield replace(device, groups=frozenset(found))


def _is_word(text: str) -> bool:
    return NAME.fullmatch(text) is not None and text not in KEYWORDS
