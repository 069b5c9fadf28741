"""The paddock's floor: grass, straw, mud, sand, hoof marks and puddles."""

from dataclasses import dataclass

import cv2
import numpy as np

from edgeq.demo.furniture import lay_trough
from edgeq.demo.noise import Field, blend, fractal_noise, smooth_noise, smoothstep, spread
from edgeq.demo.species import Colour


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


def draw_ground(rng: np.random.Generator, height: int, width: int, unit: float) -> Field:
    """Return an empty paddock in 0..255, [height, width, 3]; `unit` is pixels per drawing unit."""
    floor, other = (FLOORS[int(i)] for i in rng.choice(len(FLOORS), 2, replace=False))
    picture = _soil(rng, floor, height, width, unit)
    if rng.random() < 0.65:
        edge = rng.uniform(0.5, 0.66)
        worn = smoothstep(fractal_noise(rng, height, width, 70 * unit), edge, edge + 0.13)
        picture = blend(picture, _soil(rng, other, height, width, unit), worn)
    _tread(rng, picture, unit)
    if rng.random() < 0.35:
        picture = _puddles(rng, picture, unit)
    if rng.random() < 0.35:
        picture = lay_trough(rng, picture, unit)
    return picture


def _soil(rng: np.random.Generator, floor: Floor, height: int, width: int, unit: float) -> Field:
    tone = fractal_noise(rng, height, width, 40 * unit, 4)
    low = np.full((height, width, 3), floor.low, np.float32)
    picture = blend(low, floor.high, smoothstep(tone, 0.2, 0.8))
    picture *= spread(0.86 + 0.28 * smooth_noise(rng, height, width, 2.0))
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
    picture *= spread(1.0 - np.float32(0.35) * soft)


def _puddles(rng: np.random.Generator, picture: Field, unit: float) -> Field:
    height, width = picture.shape[:2]
    level = fractal_noise(rng, height, width, 45 * unit, 2)
    cut = rng.uniform(0.72, 0.84)
    rim = smoothstep(level, cut - 0.09, cut - 0.02)
    water = smoothstep(level, cut, cut + 0.02)
    wet = blend(picture, (40.0, 54.0, 70.0), rim * np.float32(0.75))
    sky = spread(smooth_noise(rng, height, width, 60 * unit))
    mirror = (np.array([112.0, 100.0, 90.0], np.float32) * (0.55 + 0.9 * sky)).astype(np.float32)
    return blend(wet, mirror, water * np.float32(0.8))
