"""Masks as paths of an SVG, from their run lengths."""

from __future__ import annotations

from typing import Any

from edgeq.agent.vision import rle
from edgeq.records.accuracy import RunLength

_THIN_PX = 2
TOLERANCE_PX = 1.0
"""How far a path may stray from its mask: less than a line is wide."""


def path_of(mask: RunLength) -> str:
    """The outline of a mask, holes too, through the centres of its pixels; empty for no mask.

    What is too thin for an outline is a box around it, or a line; so small a hole is none.
    """
    import cv2

    decoded = rle.decode({"size": mask.size, "counts": mask.counts})
    # An object at the image's edge is closed along it.
    found, places = cv2.findContours(decoded, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    parts = []
    for number, contour in enumerate(found):
        plain = cv2.approxPolyDP(contour, TOLERANCE_PX, closed=True).reshape(-1, 2)
        is_hole = places[0][number][3] >= 0
        x, y, width, height = cv2.boundingRect(contour)
        if len(plain) > 2:
            parts.append(_ring(plain))
        elif min(width, height) <= _THIN_PX and not is_hole:
            left, top = x - 0.5, y - 0.5
            parts.append(f"M{left} {top}H{left + width}V{top + height}H{left}Z")
        elif not is_hole:  # a line across: there and back along it
            parts.append(_ring(contour.reshape(-1, 2)))
    return "".join(parts)


def _ring(points: Any) -> str:
    return "M" + "L".join(f"{x} {y}" for x, y in points.tolist()) + "Z"
