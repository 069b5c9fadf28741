"""Turns: two releases on one device, loaded anew several times, alternating at every inference."""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import partial

from edgeq.device.device import Device
from edgeq.progress import Progress
from edgeq.records.turns import Turns
from edgeq.spec.images import Image
from edgeq.spec.recipe import Compare
from edgeq.stages.predict import over_images


def take_turns(
    device: Device,
    releases: tuple[str, str],
    images: Sequence[Image],
    options: Compare,
    manner: tuple[int, str | None],
    seed: int,
    progress: Progress,
) -> list[Turns]:
    """As many loads of both as the options say, each with its share of the time.

    `manner` is the number of threads, and the power mode that the board must be in. Raises
    DeviceError.
    """
    paths = device.files.put(images, progress)
    threads, power_mode = manner
    chance = random.Random(seed)
    loads = []
    for number in range(1, options.reloads + 1):
        job = {
            "images": [paths[image.path] for image in images],
            "threads": threads,
            "warmup_s": options.warmup_s,
            "duration_s": options.duration_s / options.reloads,
            "seed": chance.getrandbits(32),
            **({"power_mode": power_mode} if power_mode else {}),
        }
        told = partial(_numbered, progress, number, options.reloads)
        loads.append(
            over_images(device, paths, partial(device.compare, releases, job, told), progress)
        )
    return loads


def _numbered(progress: Progress, number: int, of: int, stage: str, done: int, total: int) -> None:
    progress(f"{stage}, load {number} of {of}", done, total)
