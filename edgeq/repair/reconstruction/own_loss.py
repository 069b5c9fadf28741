"""A loss that is a user's own Python function: found by its name, and known by its text."""

from __future__ import annotations

import ast
import hashlib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from edgeq.errors import InputError


@dataclass(frozen=True)
class OwnLoss:
    """A function of the model's outputs and a batch, and the hash of the files that it is in.

    These are its module's, and those of modules in the same folder and below that are used there.
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
    files = {file for one in (module, inspect.unwrap(found)) for file in _files(one)}
    text = b"".join(file.read_bytes() for file in sorted(files))
    return OwnLoss(found, hashlib.sha256(text or named.encode()).hexdigest())


def _files(source: Any) -> set[Path]:
    """The file of a module or function, and of the modules beside it that it takes things from."""
    start, files = _file(source), set[Path]()
    todo = [inspect.getmodule(source) or source]
    while todo:
        module = todo.pop()
        file = _file(module)
        if start is None or file is None or file in files or not _is_beside(start, file):
            continue
        files.add(file)
        todo += _imported(module, file)
    return files


def _imported(module: ModuleType, file: Path) -> list[ModuleType]:
    """The modules that a module's text imports, as far as they are loaded; of a binary none."""
    if file.suffix != ".py":
        return []
    package, names = module.__package__ or "", set[str]()
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Import):
            names |= {one.name for one in node.names}
        elif isinstance(node, ast.ImportFrom):
            with suppress(ImportError):  # above its package, where it was never executed
                base = f"{'.' * node.level}{node.module or ''}"
                base = importlib.util.resolve_name(base, package)
                names |= {base, *(f"{base}.{one.name}" for one in node.names)}
    return [sys.modules[name] for name in sorted(names) if name in sys.modules]


def _is_beside(start: Path, file: Path) -> bool:
    """Whether a file is of the same project; what is installed is not, wherever it lies."""
    installed = {"site-packages", "dist-packages"} & set(file.parts)
    return file == start or (start.parent in file.parents and not installed)


def _file(source: Any) -> Path | None:
    try:
        found = Path(inspect.getfile(source)).resolve()
    except TypeError:  # of what has no file of its own
        return None
    return found if found.is_file() else None


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
