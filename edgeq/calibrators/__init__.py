"""Calibrators: from a histogram to the range that is worth representing. One module each.

Each reads the same statistics. Adding one is one module here with an object CALIBRATOR, whose name
a recipe can then say.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from edgeq.agent.members import members

if TYPE_CHECKING:
    from edgeq.calibrators.base import Calibrator


@cache
def calibrators() -> dict[str, Calibrator]:
    """Every calibrator by its name."""
    found: list[Calibrator] = members(__name__, __path__, "CALIBRATOR")
    return {calibrator.name: calibrator for calibrator in found}
