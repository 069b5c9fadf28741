"""Livestock seen from above: a pig, a sheep or a cow as a small picture with opacity."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeq.demo.noise import Field, blend, fractal_noise, smooth_noise, smoothstep, spread
from edgeq.demo.species import Coat, Colour, Species

SUPERSAMPLING = 2
MUD: Colour = (38.0, 58.0, 78.0)


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
    smooth = np.convolve(np.pad(radii, 2, "edge"), [0.2] * 5, "valid")
    return _Pose(stations, points, normals, smooth)


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
    return _unit(plane)


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
    return _unit(plane)


def _sprite_side(length: float) -> int:
    return int(length * 1.5) // 2 * 2 + 8


def _dome(mask: Field, reach: float) -> Field:
    """Return a rounded height over a mask: a quarter circle of radius `reach` at its rim."""
    inside = cv2.distanceTransform((mask > 0.5).astype(np.uint8), cv2.DIST_L2, 3)
    rise = 1.0 - np.clip(inside / np.float32(reach), 0.0, 1.0)
    return np.asarray(np.sqrt(np.maximum(1.0 - rise * rise, 0.0)) * reach, np.float32)


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
        share = _unit(band)
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
    trunk, face = _trunk_and_face(rng, kind, pose, size)
    limbs, ears = _limbs(rng, kind, pose, length), _ears(kind, pose, length, size)
    widest = float(pose.radii.max())
    height = _dome(trunk, widest) + np.float32(0.15) * widest * trunk
    height = np.maximum(height, _dome(face, 0.085 * length) + np.float32(0.1 * length) * face)
    height = np.maximum(height, np.float32(0.13 * length) * ears)
    height = np.maximum(height, np.float32(0.05 * length) * limbs)

    fleece = _coat(rng, coat, pose, length, size)
    grain = smooth_noise(rng, size, size, 3.0)
    colour = np.full((size, size, 3), coat.face, np.float32)
    colour *= spread(np.where((limbs > 0.5) & (ears < 0.5), 0.6, 1.0).astype(np.float32))
    if kind.wool == 0.0 and coat.pattern != "saddle":
        # Hair goes on over the face in part, so there is no seam at the neck.
        face_only = smoothstep(_blur(face, 0.02 * length), 0.3, 0.95)
        colour = blend(colour, fleece, trunk * (1.0 - face_only))
    else:
        colour = blend(colour, fleece, trunk if kind.wool else trunk * (1.0 - 0.9 * face))
    colour = _nose_and_back(kind, coat, pose, length, colour)

    curls = fractal_noise(rng, size, size, 0.05 * length, 2) if kind.wool else grain
    relief = _blur(height, 0.018 * length)
    relief += (curls - 0.5) * np.float32(0.04 * length * kind.wool) * trunk
    shade = _facing(relief, light) + 0.09 * (grain - 0.5)
    dirt = fractal_noise(rng, size, size, length * 0.22)
    rim = 1.0 - height / np.float32(max(float(height.max()), 1.0))
    muddy = rng.uniform(0.0, 0.34)
    cover = smoothstep(dirt + 0.35 * rim, 1.02 - muddy, 1.14 - muddy) * np.float32(0.85)
    colour = blend(colour, MUD, cover) * spread(shade.astype(np.float32))
    solid = np.maximum(np.maximum(trunk, face), np.maximum(limbs, ears))
    return _downsample(np.clip(colour, 0.0, 255.0), solid, height)


def _trunk_and_face(
    rng: np.random.Generator, kind: Species, pose: _Pose, size: int
) -> tuple[Field, Field]:
    body = np.zeros((size, size), np.uint8)
    head = np.zeros((size, size), np.uint8)
    ripple = rng.normal(0.0, 0.05 * kind.wool, len(pose.stations))
    for index, station in enumerate(pose.stations):
        point = (float(pose.points[index, 0]), float(pose.points[index, 1]))
        if station >= kind.head_from:
            _disc(head, point, pose.radii[index])
        else:
            _disc(body, point, pose.radii[index] * (1.0 + ripple[index]))
    return _unit(body), _unit(head)


def _facing(relief: Field, light: tuple[float, float]) -> Field:
    """Return the brightness of a height field [h, w] under a slanting light, about 1 where flat."""
    slope_x = cv2.Sobel(relief, cv2.CV_32F, 1, 0, ksize=3, scale=0.125)
    slope_y = cv2.Sobel(relief, cv2.CV_32F, 0, 1, ksize=3, scale=0.125)
    facing = (1.25 - slope_x * light[0] - slope_y * light[1]) / np.sqrt(
        1.0 + slope_x * slope_x + slope_y * slope_y
    )
    return np.asarray(0.42 + 0.46 * np.clip(facing, 0.0, 1.7), np.float32)


def _blur(plane: Field, sigma_px: float) -> Field:
    return np.asarray(cv2.GaussianBlur(plane, (0, 0), sigma_px), np.float32)


def _unit(plane: NDArray[np.uint8]) -> Field:
    """Return a drawn mask of 0 and 255 as 0.0 and 1.0."""
    return plane.astype(np.float32) / np.float32(255.0)


def _nose_and_back(kind: Species, coat: Coat, pose: _Pose, length: float, colour: Field) -> Field:
    """Return the colour with a snout, and with the light line that a pig's or cow's back shows."""
    size = colour.shape[0]
    nose = np.zeros((size, size), np.uint8)
    _disc(nose, pose.at(0.985), 0.045 * length)
    tint = {"pig": (150.0, 150.0, 205.0), "cow": (120.0, 132.0, 170.0)}.get(kind.name, coat.face)
    colour = blend(colour, tint, _unit(nose) * np.float32(0.7))
    ridge = np.zeros((size, size), np.uint8)
    inner = pose.points[(pose.stations > 0.06) & (pose.stations < 0.7)]
    cv2.polylines(ridge, [np.round(inner).astype(np.int32)], False, 255, max(int(0.02 * length), 1))
    soft = _blur(_unit(ridge), 0.02 * length)
    return colour * spread(1.0 + np.float32(0.12 * (1.0 - kind.wool)) * soft)


def _downsample(colour: Field, solid: Field, height: Field) -> Sprite:
    side = solid.shape[0] // SUPERSAMPLING
    # Colour is weighted by coverage, or the empty ground of the sprite would bleed into the rim.
    covered = cv2.resize(colour * spread(solid), (side, side), interpolation=cv2.INTER_AREA)
    opacity = cv2.resize(solid, (side, side), interpolation=cv2.INTER_AREA)
    tall = cv2.resize(height, (side, side), interpolation=cv2.INTER_AREA) / SUPERSAMPLING
    return Sprite(
        covered / spread(np.maximum(opacity, np.float32(1e-3))),
        opacity.astype(np.float32),
        tall.astype(np.float32),
    )
