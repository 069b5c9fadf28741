"""When to stop: a budget of seconds that is asked between two images."""

from __future__ import annotations

import time


class Budget:
    """Seconds from now on; None is without end."""

    def __init__(self, seconds: float | None) -> None:
        self._end_s = None if seconds is None else time.monotonic() + seconds

    @property
    def is_spent(self) -> bool:
        """Whether no more work should begin."""
        return self._end_s is not None and time.monotonic() >= self._end_s
