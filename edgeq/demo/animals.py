"""Livestock seen from above: a pig, a sheep or a cow as a small picture with opacity."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeq.demo.noise import Field, blend, fractal_noise, smooth_noise, smoothstep

Colour = tuple[float, float, float]
"""Blue, green, red in 0..255."""

SUPERSAMPLING = 2
MUD: Colour = (38.0, 58.0, 78.0)


@dataclass(frozen=True)
class Coat:
    """Two colours, how they are laid out, and the colour of the face."""

    base: Colour
    mark: Colour
    pattern: str  # plain, spots, patches, saddle
    face: Colour


@dataclass(frozen=True)
class Species:
    """The build of one kind of animal; every length is a fraction of the body's length."""

    name: str
    length_px: tuple[float, float]  # at a frame 256 pixels wide
    spine: tuple[float, ...]  # stations along the back, 0 rump to 1 nose
    radius: tuple[float, ...]  # half-width of the body at each station
    head_from: float  # station where the face begins
    wool: float  # depth of the fleece's bumps, 0 for hair
    coats: tuple[Coat, ...]


PINK, PALE, ROSE = (160.0, 172.0, 222.0), (180.0, 196.0, 228.0), (140.0, 150.0, 215.0)
BLACK, WHITE, CREAM = (38.0, 38.0, 42.0), (226.0, 230.0, 234.0), (190.0, 212.0, 226.0)

PIG = Species(
    "pig",
    (44.0, 74.0),
    (0.0, 0.06, 0.14, 0.28, 0.45, 0.58, 0.68, 0.77, 0.86, 0.94, 1.0),
    (0.06, 0.11, 0.15, 0.178, 0.178, 0.172, 0.145, 0.112, 0.088, 0.058, 0.05),
    0.74,
    0.0,
    (
        Coat(PINK, PALE, "plain", PINK),
        Coat(PALE, ROSE, "plain", PALE),
        Coat(ROSE, PALE, "plain", ROSE),
        Coat(PINK, BLACK, "spots", PINK),
        Coat(BLACK, PALE, "saddle", BLACK),
        Coat((48.0, 82.0, 152.0), (40.0, 66.0, 120.0), "plain", (48.0, 80.0, 146.0)),
    ),
)
SHEEP = Species(
    "sheep",
    (40.0, 60.0),
    (0.0, 0.08, 0.2, 0.4, 0.58, 0.7, 0.77, 0.84, 0.92, 1.0),
    (0.1, 0.18, 0.215, 0.225, 0.21, 0.165, 0.1, 0.082, 0.066, 0.042),
    0.77,
    1.0,
    (
        Coat(CREAM, WHITE, "plain", (44.0, 46.0, 50.0)),
        Coat(CREAM, (165.0, 190.0, 208.0), "plain", WHITE),
        Coat(WHITE, CREAM, "plain", (92.0, 112.0, 136.0)),
        Coat((118.0, 126.0, 134.0), (96.0, 102.0, 108.0), "plain", BLACK),
        Coat((52.0, 62.0, 76.0), (40.0, 48.0, 60.0), "plain", (34.0, 36.0, 42.0)),
    ),
)
COW = Species(
    "cow",
    (66.0, 94.0),
    (0.0, 0.05, 0.13, 0.2, 0.36, 0.5, 0.6, 0.68, 0.76, 0.83, 0.92, 1.0),
    (0.07, 0.11, 0.148, 0.15, 0.168, 0.158, 0.142, 0.105, 0.08, 0.078, 0.06, 0.048),
    0.76,
    0.0,
    (
        Coat(WHITE, BLACK, "patches", (60.0, 60.0, 64.0)),
        Coat(BLACK, WHITE, "patches", BLACK),
        Coat(WHITE, (48.0, 74.0, 138.0), "patches", (58.0, 84.0, 146.0)),
        Coat((66.0, 110.0, 164.0), (52.0, 88.0, 138.0), "plain", (74.0, 112.0, 158.0)),
        Coat((40.0, 56.0, 96.0), (34.0, 44.0, 74.0), "plain", (46.0, 60.0, 98.0)),
        Coat((178.0, 202.0, 220.0), WHITE, "plain", (176.0, 198.0, 216.0)),
        Coat((42.0, 62.0, 118.0), WHITE, "saddle", (205.0, 212.0, 218.0)),
    ),
)
SPECIES = (PIG, SHEEP, COW)


@dataclass(frozen=True)
class Sprite:
    """A drawn animal: colour [s, s, 3] in 0..255, opacity [s, s] and height [s, s] in pixels."""

    colour: Field
    opacity: Field
    height: Field


@dataclass(frozen=True)
class _Pose:
    """The back line in sprite pixels: points [n, 2], unit normals [n, 2], half-widths [n]."""

    stations: NDArray[np.float64]
    points: NDArray[np.float64]
    normals: NDArray[np.float64]
    radii: NDArray[np.float64]

    def at(self, station: float, across: float = 0.0, along: float = 0.0) -> tuple[float, float]:
        """Return the point at `station`, moved sidewards and forwards by pixels."""
        index = int(np.argmin(np.abs(self.stations - station)))
        normal = self.normals[index]
        forward = np.array([normal[1], -normal[0]])
        x, y = self.points[index] + normal * across + forward * along
        return float(x), float(y)


def _pose(rng: np.random.Generator, kind: Species, length: float, centre: float) -> _Pose:
    stations = np.linspace(0.0, 1.0, 64)
    bend = rng.normal(0.0, 0.35)
    # The neck turns more than the back: a grazing animal looks aside.
    turn = rng.normal(0.0, 0.45) * smoothstep(stations.astype(np.float32), 0.6, 0.95)
    heading = rng.uniform(0.0, 2.0 * np.pi) + bend * (stations - 0.5) + turn
    steps = np.stack([np.cos(heading), np.sin(heading)], axis=1) * (length / 63.0)
    points = np.cumsum(steps, axis=0)
    points += centre - (points.min(axis=0) + points.max(axis=0)) / 2.0
    normals = np.stack([-np.sin(heading), np.cos(heading)], axis=1)
    build = rng.uniform(0.9, 1.12)
    radii = np.interp(stations, kind.spine, kind.radius) * length * build
    return _Pose(stations, points, normals, np.convolve(np.pad(radii, 2, "edge"), [0.2] * 5, "valid"))


def _disc(plane: NDArray[np.uint8], point: tuple[float, float], radius: float) -> None:
    # Four fractional bits: a circle on whole pixels makes a knobbly outline.
    centre = (round(point[0] * 16), round(point[1] * 16))
    cv2.circle(plane, centre, max(round(radius * 16), 8), 255, -1, cv2.LINE_8, 4)


def _petal(
    plane: NDArray[np.uint8],
    root: tuple[float, float],
    tip: tuple[float, float],
    root_radius: float,
    tip_radius: float,
) -> None:
    for share in np.linspace(0.0, 1.0, 8):
        x = root[0] + (tip[0] - root[0]) * share
        y = root[1] + (tip[1] - root[1]) * share
        _disc(plane, (x, y), root_radius + (tip_radius - root_radius) * share)


def _limbs(rng: np.random.Generator, kind: Species, pose: _Pose, length: float) -> Field:
    """Return a mask of hooves that show beside the body, and of the tail."""
    size = _sprite_side(length)
    plane = np.zeros((size, size), np.uint8)
    stride = rng.uniform(0.0, 0.09) * length
    for station, phase in ((0.2, 1.0), (0.6, -1.0)):
        radius = float(np.interp(station, pose.stations, pose.radii))
        for side in (-1.0, 1.0):
            reach = radius * rng.uniform(0.86, 1.08)
            root = pose.at(station, side * radius * 0.6)
            tip = pose.at(station, side * reach, phase * side * stride)
            _petal(plane, root, tip, 0.045 * length, 0.034 * length)
    sway = rng.normal(0.0, 0.06) * length
    tail = {"cow": 0.15, "pig": 0.05, "sheep": 0.04}[kind.name] * length
    thick = 0.035 if kind.name == "sheep" else 0.018
    _petal(plane, pose.at(0.02), pose.at(0.0, sway, -tail), thick * length, thick * length)
    return plane.astype(np.float32) / np.float32(255.0)


def _ears(kind: Species, pose: _Pose, length: float, size: int) -> Field:
    plane = np.zeros((size, size), np.uint8)
    for side in (-1.0, 1.0):
        if kind.name == "pig":
            root = pose.at(0.79, side * 0.085 * length)
            tip = pose.at(0.82, side * 0.125 * length, 0.05 * length)
            _petal(plane, root, tip, 0.05 * length, 0.018 * length)
        else:
            root = pose.at(0.81, side * 0.06 * length)
            tip = pose.at(0.79, side * 0.145 * length)
            _petal(plane, root, tip, 0.03 * length, 0.022 * length)
    return plane.astype(np.float32) / np.float32(255.0)


def _sprite_side(length: float) -> int:
    return int(length * 1.5) // 2 * 2 + 8


def _dome(mask: Field, reach: float) -> Field:
    """Return a rounded height over a mask: a quarter circle of radius `reach` at its rim."""
    inside = cv2.distanceTransform((mask > 0.5).astype(np.uint8), cv2.DIST_L2, 3)
    rise = 1.0 - np.clip(inside / np.float32(reach), 0.0, 1.0)
    return (np.sqrt(np.maximum(1.0 - rise * rise, 0.0)) * np.float32(reach)).astype(np.float32)


def _coat(rng: np.random.Generator, coat: Coat, pose: _Pose, length: float, size: int) -> Field:
    tone = rng.normal(1.0, 0.07)
    base = np.full((size, size, 3), coat.base, np.float32) * np.float32(tone)
    if coat.pattern == "plain":
        share = 0.7 * fractal_noise(rng, size, size, length * 0.3)
    elif coat.pattern == "spots":
        share = smoothstep(smooth_noise(rng, size, size, length * 0.11), 0.66, 0.74)
    elif coat.pattern == "patches":
        cut = rng.uniform(0.42, 0.56)
        share = smoothstep(fractal_noise(rng, size, size, length * 0.24, 2), cut, cut + 0.03)
    else:
        band = np.zeros((size, size), np.uint8)
        start = rng.uniform(0.5, 0.58)
        left, right = pose.at(start, -length), pose.at(start, length)
        cv2.line(
            band,
            (round(left[0]), round(left[1])),
            (round(right[0]), round(right[1])),
            255,
            max(round(length * rng.uniform(0.09, 0.17)), 2),
        )
        share = band.astype(np.float32) / np.float32(255.0)
    return blend(base, coat.mark, share.astype(np.float32))


def draw_animal(
    rng: np.random.Generator, kind: Species, length_px: float, light: tuple[float, float]
) -> Sprite:
    """Return one animal in a random pose and coat.

    `length_px` is nose to rump in the final picture; `light` is the unit vector (x, y) that
    points from the animal towards the sun.
    """
    length = length_px * SUPERSAMPLING
    size = _sprite_side(length)
    coat = kind.coats[int(rng.integers(len(kind.coats)))]
    pose = _pose(rng, kind, length, size / 2.0)
    body = np.zeros((size, size), np.uint8)
    head = np.zeros((size, size), np.uint8)
    ripple = rng.normal(0.0, 0.05 * kind.wool, 64)
    for index, station in enumerate(pose.stations):
        point = (float(pose.points[index, 0]), float(pose.points[index, 1]))
        if station >= kind.head_from:
            _disc(head, point, pose.radii[index])
        else:
            _disc(body, point, pose.radii[index] * (1.0 + ripple[index]))
    trunk = body.astype(np.float32) / np.float32(255.0)
    face = head.astype(np.float32) / np.float32(255.0)
    limbs, ears = _limbs(rng, kind, pose, length), _ears(kind, pose, length, size)

    widest = float(pose.radii.max())
    height = _dome(trunk, widest) + np.float32(0.15) * widest * trunk
    height = np.maximum(height, _dome(face, 0.085 * length) + np.float32(0.1 * length) * face)
    height = np.maximum(height, np.float32(0.13 * length) * ears)
    height = np.maximum(height, np.float32(0.05 * length) * limbs)

    fleece = _coat(rng, coat, pose, length, size)
    grain = smooth_noise(rng, size, size, 2.2)
    colour = np.full((size, size, 3), coat.face, np.float32)
    colour *= np.where((limbs > 0.5) & (ears < 0.5), 0.6, 1.0).astype(np.float32)[..., None]
    if kind.wool == 0.0 and coat.pattern != "saddle":
        # Hair goes on over the face in part, so there is no seam at the neck.
        face_only = smoothstep(cv2.GaussianBlur(face, (0, 0), 0.02 * length), 0.3, 0.95)
        colour = blend(colour, fleece, trunk * (1.0 - face_only))
    else:
        colour = blend(colour, fleece, trunk if kind.wool else trunk * (1.0 - 0.9 * face))
    colour = _nose_and_back(kind, coat, pose, length, colour)
    curls = smooth_noise(rng, size, size, 0.055 * length) if kind.wool else grain
    relief = cv2.GaussianBlur(height, (0, 0), 0.018 * length)
    relief += (curls - 0.5) * np.float32(0.055 * length * kind.wool) * trunk
    slope_x = cv2.Sobel(relief, cv2.CV_32F, 1, 0, ksize=3, scale=0.125)
    slope_y = cv2.Sobel(relief, cv2.CV_32F, 0, 1, ksize=3, scale=0.125)
    facing = (1.25 - slope_x * light[0] - slope_y * light[1]) / np.sqrt(
        1.0 + slope_x * slope_x + slope_y * slope_y
    )
    shade = 0.42 + 0.46 * np.clip(facing, 0.0, 1.7) + 0.16 * (grain - 0.5)
    dirt = fractal_noise(rng, size, size, length * 0.22)
    rim = 1.0 - height / np.float32(max(float(height.max()), 1.0))
    muddy = rng.uniform(0.0, 0.34)
    cover = smoothstep(dirt + 0.35 * rim, 1.02 - muddy, 1.14 - muddy) * np.float32(0.85)
    colour = blend(colour, MUD, cover) * shade[..., None].astype(np.float32)
    solid = np.maximum(np.maximum(trunk, face), np.maximum(limbs, ears))
    return _downsample(np.clip(colour, 0.0, 255.0), solid, height)


def _nose_and_back(
    kind: Species, coat: Coat, pose: _Pose, length: float, colour: Field
) -> Field:
    """Return the colour with a snout, and with the light line that a pig's or cow's back shows."""
    size = colour.shape[0]
    nose = np.zeros((size, size), np.uint8)
    _disc(nose, pose.at(0.985), 0.045 * length)
    tint = {"pig": (150.0, 150.0, 205.0), "cow": (120.0, 132.0, 170.0)}.get(kind.name, coat.face)
    colour = blend(colour, tint, nose.astype(np.float32) / np.float32(255.0) * np.float32(0.7))
    ridge = np.zeros((size, size), np.uint8)
    inner = pose.points[(pose.stations > 0.06) & (pose.stations < 0.7)]
    cv2.polylines(ridge, [np.round(inner).astype(np.int32)], False, 255, max(int(0.02 * length), 1))
    soft = cv2.GaussianBlur(ridge.astype(np.float32) / np.float32(255.0), (0, 0), 0.02 * length)
    return colour * (1.0 + np.float32(0.12 * (1.0 - kind.wool)) * soft[..., None])


def _downsample(colour: Field, solid: Field, height: Field) -> Sprite:
    side = solid.shape[0] // SUPERSAMPLING
    # Colour is weighted by coverage, or the empty ground of the sprite would bleed into the rim.
    covered = cv2.resize(colour * solid[..., None], (side, side), interpolation=cv2.INTER_AREA)
    opacity = cv2.resize(solid, (side, side), interpolation=cv2.INTER_AREA)
    tall = cv2.resize(height, (side, side), interpolation=cv2.INTER_AREA) / SUPERSAMPLING
    return Sprite(
        (covered / np.maximum(opacity, np.float32(1e-3))[..., None]).astype(np.float32),
        opacity.astype(np.float32),
        tall.astype(np.float32),
    )
