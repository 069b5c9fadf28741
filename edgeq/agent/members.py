"""A package as a registry: what its modules define under one name is what there is."""

from __future__ import annotations

import importlib
import os
import zipimport
from typing import Any, Iterable


def module_names(path: Iterable[str]) -> list[str]:
    """The modules in a package's `__path__`, by name and without folders; in the zip file too."""
    files = [name for folder in path for name in _files(folder)]
    return sorted({name[:-3] for name in files if name.endswith(".py") and name[0] != "_"})


def _files(folder: str) -> list[str]:
    """The files right in a folder, which may be one in the zip file that the agent travels as.

    As pkgutil finds them, whose import takes longer than all else in a session's beginning.
    """
    if os.path.isdir(folder):  # noqa: PTH112
        return os.listdir(folder)  # noqa: PTH208
    archive = zipimport.zipimporter(folder)
    names = zipimport._zip_directory_cache[archive.archive]  # type: ignore[attr-defined]
    inside = (name[len(archive.prefix) :] for name in names if name.startswith(archive.prefix))
    return [name for name in inside if os.sep not in name]


def members(package: str, path: Iterable[str], attribute: str) -> list[Any]:
    """The object of that name of every module of a package that has one, by the modules' names."""
    modules = [importlib.import_module(f"{package}.{name}") for name in module_names(path)]
    return [getattr(module, attribute) for module in modules if hasattr(module, attribute)]
