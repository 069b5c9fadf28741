"""A loss that is a user's own Python function: found by its name, and known by its text."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from edgeq.errors import InputError


@dataclass(frozen=True)
class OwnLoss:
    """A function of the model's outputs and a batch, and the hash of the files that it is in.

    These are that of the module that was named, and that of its own where it is imported there.
    """

    function: Callable[..., Any]
    sha256: str


def own_loss(named: str) -> OwnLoss:
    """The function that `module:function` or `file.py:function` names.

    Raises InputError where there is none, or its module cannot be imported.
    """
    source, _, name = named.rpartition(":")
    if not source or not name:
        what = f"'{named}' names no function"
        raise InputError("--loss", what, "write module:function or file.py:function")
    module = _module(source)
    found = getattr(module, name, None)
    if not callable(found):
        raise InputError("--loss", f"{source} has no function '{name}'", "see how it is spelled")
    text = b"".join(_text(one) for one in (module, inspect.unwrap(found)))
    return OwnLoss(found, hashlib.sha256(text or named.encode()).hexdigest())


def _text(source: Any) -> bytes:
    try:
        return Path(inspect.getfile(source)).read_bytes()
    except (TypeError, OSError):  # of what has no file of its own
        return b""


def _module(source: str) -> ModuleType:
    try:
        if not source.endswith(".py"):
            return importlib.import_module(source)
        spec = importlib.util.spec_from_file_location(f"edgeq_loss_{Path(source).stem}", source)
        if spec is None or spec.loader is None:
            raise ImportError("is no Python file")
        module = importlib.util.module_from_spec(spec)
        # Dataclasses in it look for it there; its own name may be that of another module.
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
    # Whatever a user's module does when it is imported.
    except Exception as exc:
        what = f"{source} cannot be imported ({type(exc).__name__}: {exc})"
        raise InputError("--loss", what, "write module:function or file.py:function") from exc
    return module
