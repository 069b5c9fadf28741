"""Bench: latency and memory of a release on its device."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

from edgeq.device.device import Device
from edgeq.device.session.parsing import garbled
from edgeq.evaluation.dataset import Dataset
from edgeq.progress import Progress
from edgeq.records.answers import Probe
from edgeq.records.measurement import Measurement
from edgeq.significance.percentiles import needed
from edgeq.spec import recipe as recipes
from edgeq.spec.gates import percentiles
from edgeq.spec.image_list import image_files
from edgeq.spec.images import Image, images_of
from edgeq.spec.target import Target
from edgeq.stages.predict import over_images

BENCH_IMAGES = 32
T = TypeVar("T")


def bench(
    device: Device,
    release: str,
    images: Sequence[Image],
    options: recipes.Measure,
    target: Target,
    probe: Probe,
    progress: Progress,
) -> Measurement:
    """Time a release on some images, in the engine, with the threads and as long as asked for.

    Raises DeviceError.
    """
    paths = device.files.put(images, progress)
    job = {
        "release": release,
        "images": [paths[image.path] for image in images],
        **options.model_dump(exclude={"threads", "percentiles", "soak"}, exclude_none=True),
        "soak_s": options.soak or 0.0,
        "aim_count": max([options.min_count, *map(needed, options.percentiles)]),
        "threads": threads(options, target, probe),
    }
    found = over_images(device, paths, partial(device.bench, job, progress), progress)
    _require_samples(found, options.min_count, device.address)
    return found.model_copy(update={"emulated": bool(probe.emulated.emulated)})


def _require_samples(found: Measurement, wanted: int, where: str) -> None:
    """DeviceError unless there are as many samples of each stage as were asked for.

    Fewer are only of an unstable measurement, and fit into the time that it says it took.
    """
    count = len(found.inference_ns)
    for name in ("preprocess_ns", "postprocess_ns"):
        there = len(getattr(found, name))
        if there != count:
            raise garbled(where, f"Measurement.{name} has {there} samples of {count} runs")
    if not count or (count < wanted and not found.unstable):
        what = f"Measurement.inference_ns has {count} samples; {wanted} were asked for"
        raise garbled(where, what)
    if sum(found.inference_ns) > found.duration_ns:
        raise garbled(where, "Measurement.duration_ns is less than what was measured in it")


def asked(recipe: recipes.Recipe) -> recipes.Measure:
    """What a recipe says of measuring, with the percentiles that its gates are about."""
    wanted = {*recipe.measure.percentiles, *percentiles(recipe.gates)}
    return recipe.measure.model_copy(update={"percentiles": tuple(sorted(wanted))})


def shortened(options: recipes.Measure) -> recipes.Measure:
    """As asked for, but no longer than a median needs: for what int8 is compared with."""
    limits = {
        "streams": (),
        "warmup_s": min(options.warmup_s, 1.0),
        "min_duration_s": min(options.min_duration_s, 2.0),
        "max_duration_s": min(options.max_duration_s, 20.0),
        "min_count": min(options.min_count, 20),
        "percentiles": (),
    }
    return options.model_copy(update=limits)


def threads(options: recipes.Measure, target: Target, probe: Probe) -> int:
    """How many the engine gets: what the recipe says, the target says, or all cores."""
    return options.threads or target.threads or probe.cpu.cores_available or 1


def recipe_of(recipe: str | Path | recipes.Recipe | None) -> recipes.Recipe | None:
    """The recipe that is named, if one is. Raises InputError(s)."""
    if recipe is None or isinstance(recipe, recipes.Recipe):
        return recipe
    return recipes.load(Path(recipe))


def images_to_run(
    folder: Path | None, recipe: recipes.Recipe | None, dataset: Dataset | None
) -> tuple[Image, ...]:
    """A few dozen images: of those that are named, or of the recipe's, annotated ones first.

    Raises InputError(s).
    """
    if folder is None and dataset is not None:
        return tuple(bench_images(tuple(dataset.files.values())))
    is_deep = False
    if folder is None:
        assert recipe is not None
        folder, is_deep = recipe.calibration.images, recipe.calibration.recursive
    return tuple(images_of(bench_images(image_files(folder, str(folder), is_deep))))


def shown_images(evaluation: Dataset | None, calibration: Sequence[Image]) -> list[Image]:
    """A few dozen of the images that a deploy has: annotated ones where there are any."""
    return bench_images(tuple(evaluation.files.values()) if evaluation else calibration)


def bench_images(files: Sequence[T]) -> list[T]:
    """A few dozen images show every size there is; all would fill a small board's memory."""
    return list(files[:: max(1, len(files) // BENCH_IMAGES)][:BENCH_IMAGES])
