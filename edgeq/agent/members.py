"""A package as a registry: what its modules define under one name is what there is."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any, Iterable


def module_names(path: Iterable[str]) -> list[str]:
    """The modules in a package's `__path__`, by name and without folders; in the zip file too."""
    return sorted(found.name for found in pkgutil.iter_modules(path) if not found.ispkg)


def members(package: str, path: Iterable[str], attribute: str) -> list[Any]:
    """The object of that name of every module of a package that has one, by the modules' names."""
    modules = [importlib.import_module(f"{package}.{name}") for name in module_names(path)]
    return [getattr(module, attribute) for module in modules if hasattr(module, attribute)]
