"""What people put into a paddock: a feed trough on the floor, a fence above the animals."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeq.demo.noise import Field, blend, smooth_noise, spread


@dataclass(frozen=True)
class Fence:
    """What stands above the animals: colour [h, w, 3] and opacity [h, w]."""

    colour: Field
    opacity: Field


def _rectangle(
    centre: NDArray[np.float64], along: float, across: float, angle: float
) -> NDArray[np.int32]:
    """Return corners [4, 2] in sixteenths of a pixel; `along` and `across` are half sides."""
    axis = np.array([np.cos(angle), np.sin(angle)])
    side = np.array([-axis[1], axis[0]])
    corners = [
        centre + axis * along * a + side * across * b
        for a, b in ((1, 1), (1, -1), (-1, -1), (-1, 1))
    ]
    return np.round(np.array(corners) * 16).astype(np.int32)


def _fill(shape: tuple[int, int], polygon: NDArray[np.int32]) -> Field:
    plane = np.zeros(shape, np.uint8)
    cv2.fillPoly(plane, [polygon], 255, cv2.LINE_AA, 4)
    return plane.astype(np.float32) / np.float32(255.0)


def lay_trough(rng: np.random.Generator, picture: Field, unit: float) -> Field:
    """Return the picture with a feed trough near one edge, lying below the animals."""
    height, width = picture.shape[:2]
    shape = (height, width)
    angle = float(rng.choice([0.0, np.pi / 2])) + rng.normal(0.0, 0.08)
    centre = np.array([rng.uniform(0.15, 0.85) * width, rng.uniform(0.1, 0.25) * height])
    if rng.random() < 0.5:
        centre[1] = height - centre[1]
    along, across = rng.uniform(26, 46) * unit, rng.uniform(6.5, 9.0) * unit
    outer = _fill(shape, _rectangle(centre, along, across, angle))
    inner = _fill(shape, _rectangle(centre, along - 1.8 * unit, across - 1.8 * unit, angle))
    shadow = cv2.GaussianBlur(outer, (0, 0), 2.5 * unit)
    picture = blend(picture, (24.0, 28.0, 32.0), np.roll(shadow, 2, (0, 1)) * np.float32(0.5))
    steel = (148.0, 146.0, 142.0) if rng.random() < 0.6 else (70.0, 96.0, 122.0)
    picture = blend(picture, steel, outer)
    grains = spread(smooth_noise(rng, height, width, 2.0))
    feed = np.array([84.0, 140.0, 176.0], np.float32) * (0.5 + 0.8 * grains)
    if rng.random() < 0.35:
        feed = np.array([128.0, 112.0, 92.0], np.float32) * (0.85 + 0.2 * grains)
    return blend(picture, feed.astype(np.float32), inner)


def draw_fence(rng: np.random.Generator, height: int, width: int, unit: float) -> Fence:
    """Return rails and posts along one or two edges, seen from above; often there are none."""
    opacity = np.zeros((height, width), np.float32)
    colour = np.zeros((height, width, 3), np.float32)
    sides = rng.permutation(4)[: int(rng.choice([0, 1, 2], p=[0.35, 0.45, 0.2]))]
    wood = np.array((74.0, 98.0, 122.0) if rng.random() < 0.6 else (150.0, 152.0, 154.0))
    for side in sides:
        inset = rng.uniform(3.0, 13.0) * unit
        tilt = rng.normal(0.0, 2.0) * unit
        span = width if side < 2 else height
        points = _edge_line(int(side), height, width, inset, tilt)
        rail = np.zeros((height, width), np.uint8)
        ends = [(round(x * 16), round(y * 16)) for x, y in points]
        cv2.line(rail, ends[0], ends[1], 255, max(round(2.2 * unit), 2), cv2.LINE_AA, 4)
        start, stop = np.array(points[0]), np.array(points[1])
        posts = int(span / (38 * unit)) + 1
        for share in (np.arange(posts) + rng.random()) / posts:
            centre = start + (stop - start) * share
            angle = float(np.arctan2(stop[1] - start[1], stop[0] - start[0]))
            box = _rectangle(centre, 2.6 * unit, 2.6 * unit, angle)
            cv2.fillPoly(rail, [box], 255, cv2.LINE_AA, 4)
        mask = rail.astype(np.float32) / np.float32(255.0)
        grain = spread(0.75 + 0.5 * smooth_noise(rng, height, width, 3 * unit))
        colour = blend(colour, (wood * grain).astype(np.float32), mask)
        opacity = np.maximum(opacity, mask)
    return Fence(colour, opacity)


def _edge_line(
    side: int, height: int, width: int, inset: float, tilt: float
) -> tuple[tuple[float, float], tuple[float, float]]:
    if side == 0:
        return (-4.0, inset - tilt), (width + 4.0, inset + tilt)
    if side == 1:
        return (-4.0, height - inset - tilt), (width + 4.0, height - inset + tilt)
    if side == 2:
        return (inset - tilt, -4.0), (inset + tilt, height + 4.0)
    return (width - inset - tilt, -4.0), (width - inset + tilt, height + 4.0)
