"""What of a LiteRT model ran in XNNPACK, as its engine told: a figure, and a sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeq.records.answers import LiteRtFacts

if TYPE_CHECKING:
    from edgeq.records.measurement import Measurement


def partitions(measurement: Measurement) -> str | None:
    """Into how many pieces XNNPACK got the model: the fewer, the better; None for other engines."""
    facts = _facts(measurement)
    if facts is None or facts.partitions is None:
        return None
    return str(facts.partitions) if facts.delegate == "xnnpack" else "off"


def operators_outside(measurement: Measurement) -> str | None:
    """How many operators of how many ran in LiteRT's own kernels; None for other engines."""
    facts = _facts(measurement)
    if facts is None or facts.partitions is None:
        return None
    return f"{sum(facts.outside.values())} of {facts.operators}"


def sentence(measurement: Measurement) -> str | None:
    """The package, and which operators ran outside of XNNPACK; None for other engines."""
    facts = _facts(measurement)
    if facts is None:
        return None
    said = facts.package
    if facts.delegate != "xnnpack":
        return f"{said} without XNNPACK"
    count = facts.partitions
    if count is None:
        return f"{said} with XNNPACK; it does not tell which operators that runs"
    said += f", {count} XNNPACK partition{'s' if count != 1 else ''}"
    if not facts.outside:
        return f"{said}, nothing ran outside"
    kinds = ", ".join(f"{number} {kind}" for kind, number in facts.outside.items())
    nodes = ", ".join(facts.outside_nodes)
    left = sum(facts.outside.values()) - len(facts.outside_nodes)
    return f"{said}; outside ran {kinds}: {nodes}" + (f" and {left} more" if left else "")


def _facts(measurement: Measurement) -> LiteRtFacts | None:
    """What LiteRT told; None for other engines."""
    facts = measurement.engine_facts or {}
    return LiteRtFacts.model_validate(facts) if "delegate" in facts else None
