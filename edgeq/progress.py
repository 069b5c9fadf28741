"""How a stage tells how far it is; a stage itself prints nothing."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""Called with the stage's name, what is done and the total."""


def silent(stage: str, done: int, total: int) -> None:
    """The progress that nobody looks at."""
