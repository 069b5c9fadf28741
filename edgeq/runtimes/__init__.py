"""The engines. Adding one is one module here and its name in `Target.runtime`."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from edgeq.runtimes.base import Runtime


def runtime(name: str) -> Runtime:
    """The engine of that name: module edgeq.runtimes.NAME with an object RUNTIME."""
    return cast("Runtime", importlib.import_module(f"edgeq.runtimes.{name}").RUNTIME)
