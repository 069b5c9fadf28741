"""Whether int8 earns its place beside fp16, and where it does not: from two profiles."""

from __future__ import annotations

from edgeq.records.report import Speedup


def explanation(found: Speedup) -> list[str]:
    """Why int8 is not faster, and what to do, in sentences; none where it is."""
    if found.ratio > 1:
        return []
    said = [f"int8 is not faster than fp16: {found.int8_ms:.3g} ms against {found.fp16_ms:.3g} ms"]
    if found.reformat_int8_ms is not None and found.reformat_fp16_ms is not None:
        said.append(
            f"reformats take {found.reformat_int8_ms:.3g} ms with int8, "
            f"{found.reformat_fp16_ms:.3g} ms with fp16"
        )
    if found.slower:
        named = ", ".join(f"{s.name} ({s.int8_ms:.3g}, {s.fp16_ms:.3g} ms)" for s in found.slower)
        said.append(f"layers that are slower in int8, with their reformats: {named}")
        said.append(f"try: exclude: [{', '.join(layer.name for layer in found.slower)}]")
    return said
