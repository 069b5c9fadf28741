"""What of a LiteRT model ran in XNNPACK, as its engine told: a figure, and a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgeq.records.measurement import Measurement


def partitions(measurement: Measurement) -> str | None:
    """Into how many pieces XNNPACK got the model: the fewer, the better; None for other engines."""
    facts = _facts(measurement)
    if "partitions" not in facts:
        return None
    return str(facts["partitions"]) if facts["delegate"] == "xnnpack" else "off"


def operators_outside(measurement: Measurement) -> str | None:
    """How many operators of how many ran in LiteRT's own kernels; None for other engines."""
    facts = _facts(measurement)
    if "partitions" not in facts:
        return None
    return f"{sum(facts['outside'].values())} of {facts['operators']}"


def sentence(measurement: Measurement) -> str | None:
    """The package, and which operators ran outside of XNNPACK; None for other engines."""
    facts = _facts(measurement)
    if not facts:
        return None
    said = str(facts["package"])
    if facts["delegate"] != "xnnpack":
        return f"{said} without XNNPACK"
    if "partitions" not in facts:
        return f"{said} with XNNPACK; it does not tell which operators that runs"
    outside: Mapping[str, int] = facts["outside"]
    count = facts["partitions"]
    said += f", {count} XNNPACK partition{'s' if count != 1 else ''}"
    if not outside:
        return f"{said}, nothing ran outside"
    kinds = ", ".join(f"{number} {kind}" for kind, number in outside.items())
    nodes = ", ".join(facts["outside_nodes"])
    left = sum(outside.values()) - len(facts["outside_nodes"])
    return f"{said}; outside ran {kinds}: {nodes}" + (f" and {left} more" if left else "")


def _facts(measurement: Measurement) -> Mapping[str, Any]:
    """What LiteRT told; empty for other engines."""
    facts = measurement.engine_facts or {}
    return facts if "delegate" in facts else {}
