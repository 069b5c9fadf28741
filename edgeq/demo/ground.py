"""The paddock's floor: grass, straw, mud, puddles, a trough and a fence."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeq.demo.noise import Field, blend, fractal_noise, smooth_noise, smoothstep

Colour = tuple[float, float, float]


@dataclass(frozen=True)
class Floor:
    """Two soil colours and the strokes that lie on them; strokes per 10,000 pixels."""

    low: Colour
    high: Colour
    strokes: tuple[Colour, ...]
    density: float
    stroke_px: tuple[float, float]


FLOORS = (
    Floor(  # grass
        (36.0, 84.0, 66.0),
        (62.0, 128.0, 104.0),
        ((44.0, 110.0, 84.0), (70.0, 150.0, 122.0), (34.0, 78.0, 60.0)),
        150.0,
        (2.0, 6.0),
    ),
    Floor(  # straw on earth
        (74.0, 108.0, 138.0),
        (112.0, 158.0, 190.0),
        ((120.0, 176.0, 208.0), (86.0, 132.0, 168.0), (146.0, 200.0, 226.0)),
        130.0,
        (5.0, 14.0),
    ),
    Floor(  # trodden mud
        (44.0, 60.0, 78.0),
        (74.0, 96.0, 118.0),
        ((40.0, 54.0, 70.0), (92.0, 116.0, 140.0)),
        45.0,
        (2.0, 5.0),
    ),
    Floor(  # dry sand
        (96.0, 124.0, 146.0),
        (132.0, 160.0, 182.0),
        ((92.0, 118.0, 138.0), (148.0, 176.0, 196.0)),
        40.0,
        (2.0, 4.0),
    ),
)


@dataclass(frozen=True)
class Fence:
    """What stands above the animals: colour [h, w, 3] and opacity [h, w]."""

    colour: Field
    opacity: Field


def draw_ground(rng: np.random.Generator, height: int, width: int, unit: float) -> Field:
    """Return an empty paddock in 0..255, [height, width, 3]; `unit` is pixels per drawing unit."""
    floor, other = (FLOORS[int(i)] for i in rng.choice(len(FLOORS), 2, replace=False))
    picture = _soil(rng, floor, height, width, unit)
    if rng.random() < 0.65:
        edge = rng.uniform(0.5, 0.66)
        worn = smoothstep(fractal_noise(rng, height, width, 70 * unit), edge, edge + 0.06)
        picture = blend(picture, _soil(rng, other, height, width, unit), worn)
    _tread(rng, picture, unit)
    if rng.random() < 0.45:
        picture = _puddles(rng, picture, unit)
    if rng.random() < 0.35:
        picture = _trough(rng, picture, unit)
    return picture


def _soil(rng: np.random.Generator, floor: Floor, height: int, width: int, unit: float) -> Field:
    tone = fractal_noise(rng, height, width, 40 * unit, 4)
    low = np.full((height, width, 3), floor.low, np.float32)
    picture = blend(low, floor.high, smoothstep(tone, 0.2, 0.8))
    picture *= 0.86 + 0.28 * smooth_noise(rng, height, width, 2.0)[..., None]
    count = int(floor.density * height * width / 1e4 / unit**2)
    starts = rng.uniform((0.0, 0.0), (width, height), (count, 2))
    angles = rng.uniform(0.0, np.pi, count)
    lengths = rng.uniform(*floor.stroke_px, count) * unit
    ends = starts + np.stack([np.cos(angles), np.sin(angles)], axis=1) * lengths[:, None]
    segments = np.round(np.stack([starts, ends], axis=1) * 16).astype(np.int32)
    owner = rng.integers(len(floor.strokes), size=count)
    canvas = np.clip(picture, 0, 255).astype(np.uint8)
    for index, colour in enumerate(floor.strokes):
        chosen = list(segments[owner == index])
        cv2.polylines(canvas, chosen, False, colour, 1, cv2.LINE_AA, 4)
    return canvas.astype(np.float32)


def _tread(rng: np.random.Generator, picture: Field, unit: float) -> None:
    """Press hoof marks into the floor, in place."""
    height, width = picture.shape[:2]
    marks = np.zeros((height, width), np.uint8)
    for x, y in rng.uniform((0, 0), (width, height), (int(rng.integers(10, 90)), 2)):
        axes = (max(round(1.6 * unit), 1), max(round(1.0 * unit), 1))
        cv2.ellipse(marks, (int(x), int(y)), axes, float(rng.uniform(0, 180)), 0, 360, 255, -1)
    soft = cv2.GaussianBlur(marks, (0, 0), 0.6 * unit).astype(np.float32) / np.float32(255.0)
    picture *= 1.0 - np.float32(0.35) * soft[..., None]


def _puddles(rng: np.random.Generator, picture: Field, unit: float) -> Field:
    height, width = picture.shape[:2]
    level = fractal_noise(rng, height, width, 45 * unit, 2)
    cut = rng.uniform(0.7, 0.8)
    rim = smoothstep(level, cut - 0.09, cut - 0.02)
    water = smoothstep(level, cut, cut + 0.02)
    wet = blend(picture, (40.0, 54.0, 70.0), rim * np.float32(0.75))
    sky = smooth_noise(rng, height, width, 60 * unit)[..., None]
    mirror = (
        np.array([96.0, 92.0, 86.0], np.float32) * (0.55 + 0.9 * sky)
    ).astype(np.float32)
    return blend(wet, mirror, water * np.float32(0.8))


def _rectangle(centre: NDArray[np.float64], along: float, across: float, angle: float) -> NDArray[np.int32]:
    axis = np.array([np.cos(angle), np.sin(angle)])
    side = np.array([-axis[1], axis[0]])
    corners = [
        centre + axis * along * a + side * across * b for a, b in ((1, 1), (1, -1), (-1, -1), (-1, 1))
    ]
    return np.round(np.array(corners) * 16).astype(np.int32)


def _fill(shape: tuple[int, int], polygon: NDArray[np.int32]) -> Field:
    plane = np.zeros(shape, np.uint8)
    cv2.fillPoly(plane, [polygon], 255, cv2.LINE_AA, 4)
    return plane.astype(np.float32) / np.float32(255.0)


def _trough(rng: np.random.Generator, picture: Field, unit: float) -> Field:
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
    grains = smooth_noise(rng, height, width, 2.0)[..., None]
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
        grain = 0.75 + 0.5 * smooth_noise(rng, height, width, 3 * unit)[..., None]
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
