"""Measure an artifact on a device; nothing is activated."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from edgeq.artifact import archive
from edgeq.artifact.folder import Artifact
from edgeq.device.connection import HERE, Address, connect
from edgeq.errors import InputError
from edgeq.evaluation.dataset import evaluation_of
from edgeq.progress import Progress, silent
from edgeq.records.measurement import Measurement
from edgeq.spec import recipe as recipes
from edgeq.spec import target as targets
from edgeq.spec.images import Image
from edgeq.spec.recipe import Recipe
from edgeq.spec.target import Target
from edgeq.stages.bench import bench, images_to_run, recipe_of
from edgeq.stages.fitness import check_device


def measure(
    artifact: str | Path | Artifact,
    target: str | Target,
    images: str | Path | None = None,
    options: recipes.Measure | None = None,
    progress: Progress = silent,
    address: Address = HERE,
    recipe: str | Path | Recipe | None = None,
) -> Measurement:
    """Push an artifact and measure its latency and memory on the device; nothing is activated.

    `images` is a folder or list of images to measure with, else they are the recipe's. Raises
    InputError(s), DeviceError.
    """
    options = options or recipes.Measure()
    opened = artifact if isinstance(artifact, Artifact) else archive.read(Path(artifact))
    kind = target if isinstance(target, Target) else targets.load(target)
    chosen = _images(images, recipe)
    with connect(kind, address) as device:
        device.lock(f"measure {opened.id[:12]}")
        probe = check_device(kind, device)
        release = device.push(opened, progress)
        return bench(device, release, chosen, options, kind, probe, progress)


def measure_steps(
    artifact: Path,
    target: str,
    images: Path | None,
    options: recipes.Measure,
    address: Address = HERE,
    recipe: Path | None = None,
) -> Iterator[str]:
    """What `measure` would do, in words; checks artifact, target and images."""
    opened, kind = archive.read(artifact), targets.load(target)
    chosen = _images(images, recipe)
    with connect(kind, address, keep=False) as device:
        check_device(kind, device)
        yield f"push {opened.id[:12]} to {device.address}:{device.root}, and verify it there"
        yield f"measure for at least {options.min_duration_s:g} s on {len(chosen)} images"


def _images(images: str | Path | None, recipe: str | Path | Recipe | None) -> tuple[Image, ...]:
    if images is None and recipe is None:
        raise InputError("measure", "there are no images to run on", "name --images, or --recipe")
    read = recipe_of(recipe)
    dataset = evaluation_of(read) if read is not None and images is None else None
    return images_to_run(None if images is None else Path(images), read, dataset)
