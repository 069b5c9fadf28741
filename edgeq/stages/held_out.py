"""Calibration images that training does not see: it is judged by them."""

from __future__ import annotations

from edgeq.errors import InputError, Key
from edgeq.spec.images import Image

FEWEST_IMAGES = 8
LARGEST_HELD_OUT = 64
RECONSTRUCT = Key("repair", "reconstruct")


def split(
    images: tuple[Image, ...], where: str = RECONSTRUCT
) -> tuple[tuple[Image, ...], tuple[Image, ...]]:
    """Images that are held out, spread evenly and at most half of all, and the others.

    Raises InputError, `where` they are asked for, when there are too few for both.
    """
    if len(images) < FEWEST_IMAGES:
        what = f"{len(images)} calibration images are too few to train on some and judge by others"
        raise InputError(where, what, f"name at least {FEWEST_IMAGES}")
    count = min(len(images) // 2, LARGEST_HELD_OUT)
    chosen = {i * len(images) // count for i in range(count)}
    return (
        tuple(image for index, image in enumerate(images) if index in chosen),
        tuple(image for index, image in enumerate(images) if index not in chosen),
    )
