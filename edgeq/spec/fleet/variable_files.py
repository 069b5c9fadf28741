"""The folders group_vars and host_vars beside an inventory of Ansible.

Which files count, and in which order, is as its plugin `host_group_vars` and its DataLoader
(`find_vars_files`) have it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from edgeq import reading
from edgeq.errors import Problems
from edgeq.spec import document
from edgeq.spec.fleet.inventory import Inventory, Variable, Variables

VAULT = "$ANSIBLE_VAULT;"
_ENDINGS = ("", ".yml", ".yaml", ".json")
_TAG = re.compile(r"(?<=[:-] )!(?:vault-encrypted|vault|unsafe)\b ?")
"""Says how Ansible has to take a value, which stays what is written."""
_NOTHING = re.compile(r"\s*(?:(?:---|\.\.\.|#[^\n]*)\s*)*")


def read_beside(found: Inventory) -> Inventory:
    """The inventory with what those folders say of its groups and hosts. Raises InputError(s)."""
    problems = Problems()
    folder = found.path.parent
    for kind, names, into in (
        ("group_vars", list(found.groups), found.group_files),
        ("host_vars", list(found.hosts), found.host_files),
    ):
        if not (folder / kind).is_dir():
            continue
        there = {path.name: path for path in (folder / kind).iterdir()}
        for name in names:
            path = next((there[name + e] for e in _ENDINGS if name + e in there), None)
            for file in [] if path is None else _files(path):
                said = problems.attempt(partial(_variables, file))
                into.setdefault(name, {}).update(said or {})
    problems.raise_all()
    return found


def _files(path: Path) -> Iterator[Path]:
    """A file, or those below a folder in their order."""
    if not path.is_dir():
        yield path
        return
    for below in sorted(path.iterdir(), key=lambda one: one.name):
        if below.name.startswith(".") or below.name.endswith("~"):
            continue
        if (below.is_dir() and not below.suffix) or (below.is_file() and below.suffix in _ENDINGS):
            yield from _files(below)


def _variables(file: Path) -> Variables:
    text = reading.text(file, document.LARGEST)
    # What is encrypted whole is for Ansible's tasks: how to reach a host has to be known before.
    if text.startswith(VAULT) or _NOTHING.fullmatch(text):
        return {}
    found = document.parse(_TAG.sub("", text), file)
    return {str(key): Variable(value, found.at((key,))) for key, value in found.content.items()}
