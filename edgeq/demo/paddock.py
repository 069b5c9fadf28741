"""Whole scenes: a paddock with livestock seen from above, and the exact mask of each animal."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeq.demo.animals import Sprite, draw_animal
from edgeq.demo.furniture import draw_fence
from edgeq.demo.ground import draw_ground
from edgeq.demo.noise import Field, blend, smooth_noise, smoothstep, spread
from edgeq.demo.species import SPECIES

CLASS_NAMES = tuple(kind.name for kind in SPECIES)
REFERENCE_PX = 256.0
"""The longer side of the frame in which animal lengths are given."""
SMALLEST_VISIBLE = 110.0
"""Instances that show fewer pixels than this at the reference size carry no mask."""
LEAST_VISIBLE_SHARE = 0.55


@dataclass(frozen=True)
class Scene:
    """A drawn paddock.

    `image` is uint8 BGR [height, width, 3]; `masks` is bool [n, height, width], the visible
    pixels of each animal, disjoint; `labels` is int64 [n], indices into `CLASS_NAMES`.
    """

    image: NDArray[np.uint8]
    masks: NDArray[np.bool_]
    labels: NDArray[np.int64]


@dataclass(frozen=True)
class _Placed:
    """A sprite with its top-left corner in the frame and its class."""

    sprite: Sprite
    left: int
    top: int
    label: int


def draw(seed: int, index: int, height: int, width: int) -> Scene:
    """Return scene `index` of the series `seed`; the same arguments give the same scene."""
    rng = np.random.default_rng((seed, index))
    unit = max(height, width) / REFERENCE_PX
    angle = rng.uniform(0.0, 2.0 * np.pi)
    light = (float(np.cos(angle)), float(np.sin(angle)))
    picture = draw_ground(rng, height, width, unit)
    placed, owner = _place(rng, height, width, unit, light)
    sun = rng.uniform(0.15, 0.62)
    reach = rng.uniform(0.25, 0.75)
    for item in placed:
        picture = _cast_shadow(picture, item, light, sun, reach)
        picture = _paste(picture, item)
    fence = draw_fence(rng, height, width, unit)
    drop = round(3.0 * unit)
    shadow = np.roll(fence.opacity, (round(-light[1] * drop), round(-light[0] * drop)), (0, 1))
    picture = blend(picture, (18.0, 20.0, 24.0), shadow * np.float32(0.6 * sun))
    picture = blend(picture, fence.colour, fence.opacity)
    owner[fence.opacity > 0.5] = 0
    image = _photograph(rng, picture, unit, sun)
    smallest = SMALLEST_VISIBLE * unit * unit
    kept = [n for n in range(len(placed)) if np.count_nonzero(owner == n + 1) >= smallest]
    masks = np.zeros((len(kept), height, width), np.bool_)
    for row, number in enumerate(kept):
        masks[row] = owner == number + 1
    return Scene(image, masks, np.array([placed[n].label for n in kept], np.int64))


def _overlap(item: _Placed, height: int, width: int) -> tuple[slice, slice, slice, slice]:
    """Return rows and columns of the frame, then of the sprite, where the two meet."""
    side = item.sprite.opacity.shape[0]
    top, left = max(item.top, 0), max(item.left, 0)
    bottom, right = min(item.top + side, height), min(item.left + side, width)
    return (
        slice(top, bottom),
        slice(left, right),
        slice(top - item.top, bottom - item.top),
        slice(left - item.left, right - item.left),
    )


def _place(
    rng: np.random.Generator, height: int, width: int, unit: float, light: tuple[float, float]
) -> tuple[list[_Placed], NDArray[np.uint8]]:
    """Return animals from lowest to topmost and the frame's owners, 0 ground, n + 1 animal n."""
    owner = np.zeros((height, width), np.uint8)
    placed: list[_Placed] = []
    full: list[int] = []
    herd = int(rng.integers(len(SPECIES)))
    # A square frame holds more than a wide one: the crowding stays the same.
    most = round(9 * min(height, width) / max(height, width)) if height != width else 9
    wanted = int(rng.integers(2, most + 1))
    close = rng.random() < 0.5
    for _ in range(wanted * 4):
        if len(placed) == wanted:
            break
        label = herd if rng.random() < 0.6 else int(rng.integers(len(SPECIES)))
        kind = SPECIES[label]
        length = rng.uniform(*kind.length_px) * unit
        if close and placed and rng.random() < 0.7:
            near = placed[int(rng.integers(len(placed)))]
            half = near.sprite.opacity.shape[0] / 2
            spread = rng.normal(0.0, 0.65 * length, 2)
            x, y = near.left + half + spread[0], near.top + half + spread[1]
        else:
            x, y = rng.uniform((0.04, 0.04), (0.96, 0.96)) * (width, height)
        if not (0.04 * width < x < 0.96 * width and 0.04 * height < y < 0.96 * height):
            continue
        sprite = draw_animal(rng, kind, length, light)
        side = sprite.opacity.shape[0]
        item = _Placed(sprite, round(x - side / 2), round(y - side / 2), label)
        rows, columns, own_rows, own_columns = _overlap(item, height, width)
        trial = owner.copy()
        trial[rows, columns][sprite.opacity[own_rows, own_columns] > 0.5] = len(placed) + 1
        counts = np.bincount(trial.ravel(), minlength=len(placed) + 2)
        whole = int(np.count_nonzero(sprite.opacity > 0.5))
        hidden = any(counts[n + 1] < LEAST_VISIBLE_SHARE * full[n] for n in range(len(placed)))
        if hidden or counts[len(placed) + 1] < 0.4 * whole:
            continue
        owner = trial
        placed.append(item)
        full.append(int(counts[len(placed)]))
    return placed, owner


def _cast_shadow(
    picture: Field, item: _Placed, light: tuple[float, float], sun: float, reach: float
) -> Field:
    """Return the picture darkened where the animal keeps the sun off, and under its belly."""
    sprite = item.sprite
    side = sprite.opacity.shape[0]
    tall = float(sprite.height.max())
    shift = np.array([[1, 0, -light[0] * tall * reach], [0, 1, -light[1] * tall * reach]])
    cast = cv2.warpAffine(sprite.opacity, shift, (side, side))
    cast = cv2.GaussianBlur(cast, (0, 0), 0.9 + 0.05 * tall)
    contact = cv2.GaussianBlur(sprite.opacity, (0, 0), 0.12 * tall + 0.5)
    rows, columns, own_rows, own_columns = _overlap(item, *picture.shape[:2])
    dark = np.clip(np.float32(sun) * cast + np.float32(0.35) * contact, 0.0, 0.8)
    picture[rows, columns] *= spread(np.asarray(1.0 - dark, np.float32)[own_rows, own_columns])
    return picture


def _paste(picture: Field, item: _Placed) -> Field:
    rows, columns, own_rows, own_columns = _overlap(item, *picture.shape[:2])
    picture[rows, columns] = blend(
        picture[rows, columns],
        item.sprite.colour[own_rows, own_columns],
        item.sprite.opacity[own_rows, own_columns],
    )
    return picture


def _photograph(
    rng: np.random.Generator, picture: Field, unit: float, sun: float
) -> NDArray[np.uint8]:
    """Return the picture as a camera would hand it over: light, lens and sensor noise."""
    height, width = picture.shape[:2]
    if rng.random() < 0.35:
        # The shade of a roof or of a tree lies over ground and animals alike.
        lane = smooth_noise(rng, height, width, rng.uniform(50, 110) * unit)
        edge = rng.uniform(0.45, 0.65)
        shade = smoothstep(lane, edge, edge + rng.uniform(0.03, 0.15))
        picture = picture * spread(1.0 - np.float32(0.75 * sun) * shade)
    warmth = rng.normal(0.0, 0.06)
    balance = np.array([1.0 - warmth, 1.0 + rng.normal(0.0, 0.015), 1.0 + warmth], np.float32)
    gain = rng.uniform(0.74, 1.2)
    ys = np.linspace(-0.5, 0.5, height, dtype=np.float32)[:, None]
    xs = np.linspace(-0.5, 0.5, width, dtype=np.float32)[None, :]
    slope = rng.normal(0.0, 0.18, 2)
    falloff = 1.0 + slope[0] * ys + slope[1] * xs
    falloff -= rng.uniform(0.0, 0.5) * (xs * xs + ys * ys)
    picture = picture * spread((falloff * gain).astype(np.float32)) * balance
    blur = rng.uniform(0.0, 0.85) * unit
    if blur > 0.3:
        picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), blur), np.float32)
    noise = rng.standard_normal(picture.shape, dtype=np.float32)
    picture = picture + noise * np.float32(rng.uniform(0.8, 5.0))
    return np.clip(np.round(picture), 0, 255).astype(np.uint8)
