"""Whether int8 earns its place beside fp16 or float, and what is to blame where it does not."""

from __future__ import annotations

from typing import Literal

from edgeq.records.report import Gain, Report, Speedup

EARNS = 1.05
"""Less than this is within what two measurements in a row differ by."""


def is_steady(report: Report, beside: Literal["fp16", "float"]) -> bool:
    """Whether nothing disturbed the device's measurement, nor that of the column beside it."""
    columns = [report.column(name) for name in (beside, "device")]
    return not any(one.measurement.unstable for one in columns if one and one.measurement)


def worth(found: Gain) -> list[str]:
    """How fast int8 is beside float; where it does not earn its place, that and why."""
    said = [f"{found.ratio:.2f} times as fast"]
    if found.ratio >= EARNS:
        return said
    times = f"{found.int8_ms:.3g} ms, float {found.float_ms:.3g}"
    what = f"int8 DOES NOT EARN ITS PLACE in time: {times}"
    if found.blamed:
        counts = sorted(found.blamed.items(), key=lambda item: -item[1])
        kinds = ", ".join(f"{count} {kind}" for kind, count in counts[:_MOST_KINDS])
        left = sum(count for _, count in counts[_MOST_KINDS:])
        what += f"; to blame are {kinds}" + (f" and {left} more" if left else "")
        what += ", which the engine does not compute in int8 or not fast"
    if found.partitions is not None and found.partitions > 1:
        what += f" ({found.partitions} partitions)"
    return [*said, what]


_MOST_KINDS = 5


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


def frames(found: Gain | Speedup) -> list[str]:
    """How fast int8 is over whole frames, and whether the decoder takes what the engine saves."""
    saved_ms = (found.float_ms if isinstance(found, Gain) else found.fp16_ms) - found.int8_ms
    if found.frame_ratio is None:
        return []
    said = [f"whole frames: {found.frame_ratio:.2f} times as fast"]
    decoding_ms = found.postprocess_int8_ms
    if decoding_ms is not None and 0 < saved_ms < decoding_ms:
        said.append(
            f"the decoder (postprocess) takes {decoding_ms:.3g} ms a frame, "
            f"more than the {saved_ms:.3g} ms that the engine saves"
        )
    return said
