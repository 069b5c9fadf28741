"""What every measured program does first and last: take its arguments, give its answer."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

from edgeq.agent.system.memory import peak_rss_bytes


def arguments() -> dict[str, Any]:
    """The arguments of the command line; `accelerated` false hides the compiler from here on."""
    given: dict[str, Any] = json.loads(sys.argv[1])
    if not given.get("accelerated", True):
        for package in ("llvmlite", "numba"):
            sys.modules[package] = None  # type: ignore[assignment]
    return given


def answer(fields: Mapping[str, Any]) -> None:
    """Print the answer with the peak of resident memory since this program was started."""
    peak, _ = peak_rss_bytes(was_reset=True)
    print(json.dumps({**fields, "peak_rss_bytes": peak}), flush=True)
