"""Everything that can be checked before anything is touched, and what would be done then."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from edgeq import artifact as artifacts
from edgeq import building, document
from edgeq import recipe as recipes
from edgeq import target as targets
from edgeq.agent.errors import MISSING_ENGINE
from edgeq.answers import Probe
from edgeq.building import Prepared
from edgeq.device.connection import HERE, Address, connect
from edgeq.device.device import Device
from edgeq.device.examination import require_fit
from edgeq.document import Document
from edgeq.errors import DeviceError, InputError, Key, Problems, raise_all
from edgeq.evaluation import annotations as coco
from edgeq.evaluation import resolve
from edgeq.evaluation.annotations import Annotations
from edgeq.images import Image, images_of
from edgeq.listing import image_files
from edgeq.recipe import Evaluate, Recipe, Repair, Task
from edgeq.runtimes import runtime
from edgeq.runtimes.presence import presence
from edgeq.target import Target

BENCH_IMAGES = 32

T = TypeVar("T")


@dataclass(frozen=True)
class Evaluation:
    """The annotated images that the recipe names, checked: files by image id, class to category."""

    annotations: Annotations
    files: dict[int, Image]
    categories: dict[int, int]


@dataclass(frozen=True)
class Checked:
    """A recipe and a target that belong together, and the device; nothing was changed yet."""

    prepared: Prepared
    device: Device
    probe: Probe
    evaluation: Evaluation | None
    recipe_name: str
    recipe_sha256: str


def check(
    recipe: str | Path | Recipe, target: str | Target, address: Address = HERE, keep: bool = True
) -> Checked:
    """Check all that can be checked before anything is touched; the device's session is open then.

    Without `keep` not even the agent is written to the device. Raises InputError(s) with every
    problem of recipe, target, model, images and annotations, and DeviceError when the device cannot
    be reached, is of another architecture or keeps another time.
    """
    problems = Problems()
    source, kind, evaluation = _loaded(recipe, target, problems)
    loaded = source.recipe
    device = problems.attempt(lambda: connect(kind, address, keep))
    # Without a device no activation type can be probed; what else is wrong is known all the same.
    version = "11.0" if loaded.quantize.io == "float16" else "10.3"
    stated = kind.model_copy(update={"activation_type": "int8", "engine_version": version})
    files = list(evaluation.files.values()) if evaluation else []
    prepared = problems.attempt(lambda: building.prepare(loaded, stated, None, files))
    problems.attempt(lambda: _check_measure(loaded, kind))
    _raise_located(problems, source)
    assert prepared is not None and device is not None
    try:
        probe = check_device(kind, device)
        prepared = building.for_device(prepared, kind, probe)
    except BaseException:
        with contextlib.suppress(DeviceError):
            device.forget()
        device.close()
        raise
    return Checked(prepared, device, probe, evaluation, source.name, source.sha256)


def _check_measure(recipe: Recipe, target: Target) -> None:
    if recipe.measure.cuda_graph and not runtime(target.runtime).cuda_graphs:
        what = f"is for TensorRT, and target '{target.name}' runs {target.runtime}"
        raise InputError(Key("measure", "cuda_graph"), what, "leave it out")


def prepared_for_build(
    recipe: str | Path | Recipe, target: str | Target, address: Address = HERE
) -> Prepared:
    """Check what a build needs; a device only where the target leaves something to be probed.

    Raises InputError(s), and DeviceError where a device is needed.
    """
    problems = Problems()
    source, kind, evaluation = _loaded(recipe, target, problems)
    if address != HERE or runtime(kind.runtime).needs_probe(kind):
        checked = check(recipe, target, address, keep=False)
        checked.device.close()
        return checked.prepared
    files = list(evaluation.files.values()) if evaluation else []
    prepared = problems.attempt(lambda: building.prepare(source.recipe, kind, None, files))
    _raise_located(problems, source)
    assert prepared is not None
    return prepared


def check_room(checked: Checked) -> None:
    """DeviceError when what the device lacks of the images, and the models, would not fit there.

    These are two, and where they are compiled there four more: fp16's, and the engines.
    """
    images = checked.evaluation.files.values() if checked.evaluation else ()
    placement = checked.prepared.placement
    compiled = runtime(placement.runtime).compiled(placement.form, "int8") is not None
    model_bytes = checked.prepared.recipe.model.stat().st_size
    checked.device.require_room(images, (6 if compiled else 2) * model_bytes)


def _loaded(
    recipe: str | Path | Recipe, target: str | Target, problems: Problems
) -> tuple[Source, Target, Evaluation | None]:
    source = problems.attempt(lambda: _source(recipe))
    kind = target if isinstance(target, Target) else problems.attempt(lambda: targets.load(target))
    evaluation = problems.attempt(lambda: evaluation_of(source.recipe)) if source else None
    if kind is None or source is None:
        _raise_located(problems, source)
        raise AssertionError("unreachable: what is missing was reported")
    return source, kind, evaluation


@dataclass(frozen=True)
class Source:
    """A recipe and where it is from: the file's name, its hash, and its text where it has one."""

    recipe: Recipe
    name: str
    sha256: str
    document: Document | None


def _source(recipe: str | Path | Recipe) -> Source:
    """Read a recipe, once; InputError(s) for what is wrong with it."""
    if isinstance(recipe, Recipe):
        dumped = recipe.model_dump_json().encode()
        return Source(recipe, "recipe", hashlib.sha256(dumped).hexdigest(), None)
    read = document.read(Path(recipe))
    return Source(recipes.of(read), str(recipe), read.sha256, read)


def _raise_located(problems: Problems, source: Source | None = None) -> None:
    """Raise what was found; where it is a key of the recipe, with file and line."""
    if source is not None and source.document is not None:
        for problem in problems.found:
            if isinstance(problem.where, Key):
                problem.where = source.document.at(problem.where.parts)
    raise_all(list({str(problem): problem for problem in problems.found}.values()))


def check_device(target: Target, device: Device) -> Probe:
    """What the device is, as probed. Raises DeviceError when it is not fit or lacks the engine."""
    require_fit(target, device)
    probe = device.probe()
    engine = runtime(target.runtime)
    for module, lack in engine.from_system.items():
        if probe.packages.get(module) is None:
            raise DeviceError(device.address, lack.what, lack.remedy, kind=MISSING_ENGINE)
    missing = [one for one in presence(engine, target, probe) if one.version is None]
    if missing:
        what = f"there {', '.join(f'{one.name} is {one.lack}' for one in missing)}"
        remedy = "; ".join(dict.fromkeys(one.remedy for one in missing))
        raise DeviceError(device.address, what, remedy, kind=MISSING_ENGINE)
    return probe


def build_steps(prepared: Prepared) -> Iterator[str]:
    """What `build` would do, in words."""
    images = len(prepared.calibration)
    if building.is_built(prepared):
        yield "take the artifact from the cache: nothing it depends on has changed"
        return
    if prepared.recipe.repair.equalize:
        yield "equalize the ranges of neighbouring layers"
    if building.is_calibrated(prepared):
        yield f"take the statistics of {images} images from the cache"
    else:
        yield f"run the float model over {images} calibration images"
    if prepared.recipe.quantize.head == "quantize":
        preprocess = prepared.recipe.preprocess
        for mix in building.measured_mixing(prepared.model, prepared.calibration, preprocess):
            yield f"expect a collapse: {mix}"
    quantizer = prepared.recipe.quantize.activations
    yield f"plan with calibrator {quantizer.calibrator} for {prepared.placement.runtime}"
    yield from _repair_steps(prepared.recipe.repair, images)
    yield "write the artifact into the cache"


def _repair_steps(repair: Repair, images: int) -> Iterator[str]:
    images = min(repair.images, images)
    if repair.adaround is not None:
        yield f"choose the rounding of the layers' weights over {images} images (AdaRound)"
    if repair.bias_correction:
        yield f"correct the layers' biases over {images} images"


def steps(checked: Checked) -> Iterator[str]:
    """What `deploy` would do, in words."""
    recipe, device = checked.prepared.recipe, checked.device
    yield from build_steps(checked.prepared)
    yield f"push it to {device.address}:{device.root}, and verify it there"
    placement = checked.prepared.placement
    if runtime(placement.runtime).compiled(placement.form, "int8") is not None:
        yield "build its int8 engine there, and the fp16 engine of the float model to compare with"
    if checked.evaluation is not None:
        images = len(checked.evaluation.files)
        yield f"evaluate {images} images: float and simulated here, int8 on {device.address}"
    yield f"measure for at least {recipe.measure.min_duration_s:g} s on {device.address}"
    gates = [name for name, limit in recipe.gates if limit is not None]
    yield f"judge {', '.join(gates) or 'nothing: the recipe has no gates'}"
    yield "make it the current release if all gates pass, and append the report to the store"


def measure_steps(
    artifact: Path, target: str, images: Path, options: recipes.Measure, address: Address = HERE
) -> Iterator[str]:
    """What `measure` would do, in words; checks artifact, target and images."""
    opened, kind = artifacts.read(artifact), targets.load(target)
    files = image_files(images, str(images))
    with connect(kind, address, keep=False) as device:
        check_device(kind, device)
        yield f"push {opened.id[:12]} to {device.address}:{device.root}, and verify it there"
        count = len(bench_images(files))
        yield f"measure for at least {options.min_duration_s:g} s on {count} images"


def bench_images(files: Sequence[T]) -> list[T]:
    """A few dozen images show every size there is; all would fill a small board's memory."""
    return list(files[:: max(1, len(files) // BENCH_IMAGES)][:BENCH_IMAGES])


def evaluation_of(recipe: Recipe) -> Evaluation | None:
    """The images that a recipe evaluates on, None where it names none; InputError(s) as below."""
    return None if recipe.evaluate is None else annotated(recipe.evaluate, recipe.task)


def annotated(named: Evaluate, task: Task) -> Evaluation:
    """The annotated images that a part of a recipe names; InputError(s) for what is wrong there."""
    loaded = coco.load(named.annotations)
    files = resolve.image_files(loaded, named.images)
    if named.count is not None:
        files = dict(list(files.items())[: named.count])
    categories = task.categories or resolve.categories_by_name(loaded, task.classes)
    known = {category.id for category in loaded.categories}
    unknown = sorted(set(categories.values()) - known)
    if unknown:
        what = f"class is mapped to category {unknown[0]}, which the annotations do not have"
        raise InputError(loaded.where, what, f"they have {sorted(known)[:10]}")
    images = dict(zip(files, images_of(list(files.values())), strict=True))
    return Evaluation(loaded, images, categories)
