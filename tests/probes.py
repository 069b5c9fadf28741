"""What a device may say of itself, for tests that need only a part of it."""

from __future__ import annotations

from typing import Any

from edgeq.records.answers import Probe


def probe(**fields: Any) -> Probe:
    """A probe in which everything else is unremarkable."""
    plain = {
        "arch": "aarch64",
        "python": {"version": "3.11.2"},
        "cpu": {"flags": None, "cores_available": 4},
        "memory": {"total_bytes": 4 << 30},
        "board": None,
        "emulated": {"emulated": False},
        "packages": {},
        "not_readable": {},
    }
    return Probe.model_validate({**plain, **fields})
