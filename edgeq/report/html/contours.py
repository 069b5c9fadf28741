"""Masks as paths of an SVG, from their run lengths."""

from __future__ import annotations

from edgeq.agent.vision import rle
from edgeq.records.accuracy import RunLength

TOLERANCE_PX = 1.0
"""How far a path may stray from its mask: less than a line is wide."""


def path_of(mask: RunLength) -> str:
    """The outline of a mask, holes too, through the centres of its pixels; empty for no mask.

    What is too thin for an outline is a box around it.
    """
    import cv2

    decoded = rle.decode({"size": mask.size, "counts": mask.counts})
    # An object at the image's edge is closed along it.
    found, _ = cv2.findContours(decoded, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    parts = []
    for contour in found:
        plain = cv2.approxPolyDP(contour, TOLERANCE_PX, closed=True).reshape(-1, 2)
        if len(plain) > 2:
            parts.append("M" + "L".join(f"{x} {y}" for x, y in plain.tolist()) + "Z")
        else:
            x, y, width, height = cv2.boundingRect(contour)
            left, top = x - 0.5, y - 0.5
            parts.append(f"M{left} {top}H{left + width}V{top + height}H{left}Z")
    return "".join(parts)
