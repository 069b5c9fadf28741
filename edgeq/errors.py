"""What can go wrong, and the exit code it ends with.

    EdgeqError                 5   a bug of ours, unless a branch below says otherwise
    ├── InputError             2   recipe, target, model, image or command line is wrong
    │   └── InputErrors        2   several of them, found in one run
    └── DeviceError            3   a device could not be reached, refused, or failed at a verb

A failed gate (1) and an unstable measurement (4) are verdicts of a report, not errors.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any, Self, TypeVar

T = TypeVar("T")

SHOWN = 20
"""Of many problems so many are printed; the others are counted."""

# Kinds of DeviceError that this side finds; the agent has kinds of its own, in agent/errors.py.
LINK_LOST = "link-lost"  # the connection was cut, or the device gave it up
TOO_SLOW = "too-slow"  # it lives, and an answer took longer than what was asked can take
INPUT_CLOSED = "input-closed"  # the agent no longer reads; what it said last says why
NO_COMMANDS = "no-commands"  # the account runs no command, or something there waits for input
NO_PYTHON = "no-python"  # no Python could be started there
PYTHON_TOO_OLD = "python-too-old"  # older than 3.8
NAME_NOT_FOUND = "name-not-found"  # the name has no address
UNREACHABLE = "unreachable"  # the address does not answer
REFUSED = "refused"  # nobody listens there, or no channel is opened
NOT_SSH = "not-ssh"  # something else than sshd answers
INCOMPATIBLE = "incompatible"  # sshd has no algorithm in common
AUTH_FAILED = "auth-failed"  # no key was taken
PASSPHRASE = "passphrase"  # the key is locked, and no agent has it
HOST_KEY_UNKNOWN = "host-key-unknown"  # the host is met for the first time
HOST_KEY_CHANGED = "host-key-changed"  # the host shows another key than before, or a revoked one
PROXY = "proxy"  # a jump host or proxy command failed
NO_WHEEL = "no-wheel"  # a package has no wheel for this board


class Key(str):
    """A key of the recipe as the place of a problem; file and line are added where they are known.

    Its text has dots between the parts, of which one may have dots of its own.
    """

    parts: tuple[str, ...]

    def __new__(cls, *parts: str) -> Self:
        """The key of these parts, from the top of the recipe."""
        key = super().__new__(cls, ".".join(parts))
        key.parts = parts
        return key


class Invalid(ValueError):
    """What a validator finds wrong with a value, and what to do about it.

    `location` is the key to point at, relative to the validated part; that itself if there is none.
    """

    def __init__(self, what: str, remedy: str, *location: object) -> None:
        super().__init__(f"{what}; {remedy}")
        self.what = what
        self.remedy = remedy
        self.location = tuple(str(part) for part in location)


class EdgeqError(Exception):
    """A problem in three parts: where it is, what is wrong, what to do about it."""

    exit_code = 5

    def __init__(self, where: str, what: str, remedy: str = "") -> None:
        self.where = where
        self.what = what
        self.remedy = remedy
        super().__init__(where, what, remedy)

    def __str__(self) -> str:
        said = f"{self.where}: {self.what}" if self.where else self.what
        return said + (f"; {self.remedy}" if self.remedy else "")


class InputError(EdgeqError):
    """Something that the user wrote or named is wrong."""

    exit_code = 2


class InputErrors(InputError):
    """All problems of one run together; `problems` holds each of them."""

    def __init__(self, problems: Sequence[InputError]) -> None:
        self.problems = tuple(problems)
        first = self.problems[0]
        super().__init__(first.where, first.what, first.remedy)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.problems,)

    @property
    def shown(self) -> tuple[InputError, ...]:
        """What is printed of them: the first ones, and how many more there are."""
        left = len(self.problems) - SHOWN
        if left <= 0:
            return self.problems
        more = f"and {left} more problem" + ("s" if left > 1 else "")
        return (*self.problems[:SHOWN], InputError("", more))

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.shown)


class DeviceError(EdgeqError):
    """A device could not be reached, refused, or failed at what it was asked to do.

    `kind` is one of the above or the agent's word for it, such as bad-artifact; or the name of what
    is wrong with the device (device/examination.py); empty where nobody asks.
    """

    exit_code = 3

    def __init__(self, where: str, what: str, remedy: str = "", kind: str = "") -> None:
        super().__init__(where, what, remedy)
        self.kind = kind


def listed(items: Sequence[str], most: int) -> str:
    """The first of what one message names, and how many more there are."""
    left = len(items) - most
    return ", ".join(items[:most]) + (f" and {left} more" if left > 0 else "")


def raise_all(problems: Sequence[InputError], cause: Exception | None = None) -> None:
    """Raise the one problem, or all of them as `InputErrors`; nothing when there is none."""
    if problems:
        raise (problems[0] if len(problems) == 1 else InputErrors(problems)) from cause


class Problems:
    """Collects what is wrong, so that all of it is reported together."""

    def __init__(self) -> None:
        self.found: list[InputError] = []

    def attempt(self, action: Callable[[], T]) -> T | None:
        """The action's result, or None after keeping the InputError that it raised."""
        try:
            return action()
        except InputErrors as exc:
            self.found.extend(exc.problems)
        except InputError as exc:
            self.found.append(exc)
        return None

    def raise_all(self) -> None:
        """Raise what was found; nothing when all went well."""
        raise_all(self.found)


def check_present(module: str, extra: str) -> None:
    """InputError, as `require` would raise it later, unless a module can be found; cheap."""
    if importlib.util.find_spec(module) is None:
        raise _lacking(module, "is not installed", extra)


def require(module: str, extra: str = "") -> ModuleType:
    """Import a heavy package where it is used; InputError says what to install when it is missing.

    `extra` is edgeq's extra that brings it, empty for what every installation has.
    """
    # ONNX Runtime reports file names and hashes of models to its vendor unless told not to, and
    # reads this when it is imported.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    try:
        return importlib.import_module(module)
    except ImportError as exc:
        raise _lacking(module, f"cannot be imported ({exc})", extra) from exc


def _lacking(module: str, what: str, extra: str) -> InputError:
    wanted = f"'edgeq[{extra}]'" if extra else f"--force-reinstall {module}"
    return InputError(module, what, f"run: pip install {wanted}")
