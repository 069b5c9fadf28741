"""The boards that tests run on, and that one test at a time has one."""

from __future__ import annotations

import fcntl
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from edgeq import places
from edgeq.regression.options import all_of, one_of

if TYPE_CHECKING:
    from edgeq.device.connection import Address
    from edgeq.spec.target import Target

_LARGEST_FLEET = 1 << 20
_KEYS = ("target", "host", "identity")


@dataclass(frozen=True)
class BoardUnderTest:
    """A board and what is deployed to it; what `edgeq_target` and `edgeq_device` are."""

    target: str
    host: str | None = None
    identity: Path | None = None
    recipe: Path | None = None

    @property
    def place(self) -> str:
        """Which machine it is, whatever engine is meant."""
        return self.host or "local"

    @property
    def name(self) -> str:
        """How it is called in tests and reports."""
        kind = Path(self.target).stem if self.target.endswith((".yaml", ".yml")) else self.target
        return f"{kind}@{self.host}" if self.host else kind

    @property
    def address(self) -> Address:
        """Where it is, for edgeq's own functions."""
        from edgeq.device.connection import Address

        return Address(self.host, self.identity)

    def kind(self) -> Target:
        """What is known of such boards. Raises InputError."""
        from edgeq.spec import target as targets

        return targets.load(self.target)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """No other process of this machine tests on it meanwhile, they wait."""
        folder = places.home() / "locks"
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / re.sub("[^A-Za-z0-9._-]", "_", self.place)).open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def boards_of(
    config: pytest.Config, mark: pytest.Mark | None, folder: Path
) -> list[BoardUnderTest]:
    """What a test runs on: what options and fleet say, but for what its mark says itself.

    A recipe in the mark stands for the test's own folder.
    """
    wanted: dict[str, Any] = dict(mark.kwargs) if mark else {}
    unknown = sorted(wanted.keys() - {"target", "host", "recipe"})
    if unknown or (mark and mark.args):
        said = unknown[0] if unknown else mark.args[0] if mark else ""
        raise pytest.UsageError(f"mark edgeq: '{said}' is unknown; write target=, host=, recipe=")
    recipe = one_of(config, "recipe")
    path = folder / wanted["recipe"] if "recipe" in wanted else Path(recipe) if recipe else None
    if "target" in wanted:
        found = [BoardUnderTest(wanted["target"], wanted.get("host", one_of(config, "host")))]
    else:
        found = _named(config)
    return [replace(_at_home(board), recipe=path) for board in found]


def _named(config: pytest.Config) -> list[BoardUnderTest]:
    host = one_of(config, "host")
    found = [BoardUnderTest(target, host) for target in all_of(config, "target")]
    fleet = one_of(config, "fleet")
    return found + (_fleet(Path(fleet)) if fleet else [])


def _at_home(board: BoardUnderTest) -> BoardUnderTest:
    """A target on this machine has no address, whatever --edgeq-host says for the others."""
    from edgeq.errors import EdgeqError

    try:
        here = board.host is not None and board.kind().transport == "local"
    except EdgeqError:
        return board  # its tests will say so
    return replace(board, host=None) if here else board


def _fleet(path: Path) -> list[BoardUnderTest]:
    import yaml

    from edgeq import reading
    from edgeq.errors import InputError

    try:
        read = yaml.safe_load(reading.content(path, _LARGEST_FLEET))
    except (InputError, yaml.YAMLError) as exc:
        raise pytest.UsageError(f"{path}: cannot be read: {exc}") from exc
    if not isinstance(read, list) or not read:
        raise pytest.UsageError(f"{path}: is no list of boards; write - {{target: , host: }}")
    return [_entry(path, number, entry) for number, entry in enumerate(read, 1)]


def _entry(path: Path, number: int, entry: object) -> BoardUnderTest:
    words: Mapping[object, object] = entry if isinstance(entry, Mapping) else {}
    said = {str(key): value for key, value in words.items() if isinstance(value, str)}
    if "target" not in said or len(said) < len(words):
        raise pytest.UsageError(f"{path}: board {number}: write target, host and identity as text")
    unknown = [key for key in said if key not in _KEYS]
    if unknown:
        what = f"'{unknown[0]}' is unknown; write {', '.join(_KEYS)}"
        raise pytest.UsageError(f"{path}: board {number}: {what}")
    identity = said.get("identity")
    key = path.parent / Path(identity).expanduser() if identity else None
    return BoardUnderTest(said["target"], said.get("host"), key)
