"""edgeq puts a trained instance-segmentation model, quantized to int8, on the boards it runs on.

    report = edgeq.deploy("recipe.yaml", "local")

Everything here is imported when it is first used: `import edgeq` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgeq.verbs.build import build
    from edgeq.verbs.deploy import deploy
    from edgeq.verbs.inspect import inspect
    from edgeq.verbs.measure import measure
    from edgeq.version import version

__all__ = ["build", "deploy", "inspect", "measure", "version"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'edgeq' has no attribute '{name}'")
    home = "edgeq.version" if name == "version" else f"edgeq.verbs.{name}"
    return getattr(importlib.import_module(home), name)
