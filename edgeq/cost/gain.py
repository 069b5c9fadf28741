"""What int8 gains over float in the device's own engine, and which operators stand in its way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from edgeq.records.report import Gain

if TYPE_CHECKING:
    from edgeq.records.report import Column


def gain(columns: Sequence[Column], between: Mapping[str, int]) -> Gain | None:
    """int8 against float on the device; None where not both were measured there.

    `between` counts, by type, operators that the plan leaves in float between int8 ones: they are
    to blame unless the engine tells what it ran elsewhere.
    """
    by_name = {column.name: column.measurement for column in columns}
    int8, exact = by_name.get("device"), by_name.get("float")
    if int8 is None or exact is None or not int8.inference_ns or not exact.inference_ns:
        return None
    facts: Mapping[str, Any] = int8.engine_facts or {}
    return Gain(
        int8_ms=int8.latency_ms(50),
        float_ms=exact.latency_ms(50),
        frame_int8_ms=int8.latency_ms(50, "frame"),
        frame_float_ms=exact.latency_ms(50, "frame"),
        postprocess_int8_ms=int8.latency_ms(50, "postprocess"),
        blamed=dict(facts.get("outside") or between),
        partitions=facts.get("partitions"),
    )
