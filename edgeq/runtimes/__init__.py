"""The engines as the host sees them: placement rules, lint and writer, a module or folder each.

Which there are is known in one place, where they run: the agent's. Adding one is one module here
with an object RUNTIME, one there, and a target.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from edgeq.runtimes.base import Runtime


REFERENCE = "onnxruntime"
"""What computes the float and the simulated figures on this machine, whatever the device runs."""


def runtime(name: str) -> Runtime:
    """The engine of that name: module edgeq.runtimes.NAME with an object RUNTIME."""
    return cast("Runtime", importlib.import_module(f"edgeq.runtimes.{name}").RUNTIME)
