"""Compare: is B better or worse than A on this board, or the same, or can that not be told."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from edgeq.agent.errors import NO_RELEASE
from edgeq.agent.names import is_hash
from edgeq.artifact.folder import Artifact
from edgeq.cost.turns import COSTS
from edgeq.device.connection import HERE, Address, connect
from edgeq.device.device import Device
from edgeq.errors import DeviceError, InputError, Problems
from edgeq.evaluation.dataset import Dataset, evaluation_of
from edgeq.evaluation.doubt import doubt
from edgeq.evaluation.matches import Matches, match
from edgeq.progress import Progress, silent
from edgeq.records.answers import Probe
from edgeq.records.baseline import KeptBaseline
from edgeq.records.comparison import Compared, Comparison, MetricName, Side
from edgeq.records.turns import Turns
from edgeq.spec import target as targets
from edgeq.spec.images import Image
from edgeq.spec.recipe import Compare, Measure, Recipe
from edgeq.spec.target import Target
from edgeq.stages.bench import images_to_run, recipe_of, threads
from edgeq.stages.compared import (
    Difference,
    accuracy_differences,
    across,
    cost_differences,
    judged,
    settled,
    size_difference,
    unsettled,
)
from edgeq.stages.fitness import check_device
from edgeq.stages.predict import Manner, predict
from edgeq.stages.surroundings import surroundings
from edgeq.stages.turns import take_turns
from edgeq.verbs.baseline import Named, resolve
from edgeq.versions import version, versions

SEED = 20040
FEWEST_IMAGES = 10
"""Were fewer all worse, chance would do as much once in a hundred times, of both AP."""


@dataclass(frozen=True)
class Question:
    """What is to be compared and on what, checked; no device was asked yet."""

    sides: tuple[Artifact | str, Artifact | str]
    names: tuple[str, str]
    target: Target
    recipe: Recipe | None
    recipe_name: str | None
    dataset: Dataset | None
    images: tuple[Image, ...]
    options: Compare


def compare(
    a: Named,
    b: Named,
    target: str | Target,
    recipe: str | Path | Recipe | None = None,
    options: Compare | None = None,
    progress: Progress = silent,
    address: Address = HERE,
) -> Comparison:
    """Have two artifacts take turns on a device and say of each metric how B stands to A.

    Each is an artifact, or `current` or `previous`, the releases of the board, or the name of a
    baseline. The recipe says on which images, and with its annotations AP is compared too; without
    one `options` have to name images. What `options` set counts more than the recipe's `compare`.
    Nothing is activated. Raises InputError(s) before anything is touched, DeviceError.
    """
    wanted = _wanted((a, b), target, recipe, options)
    with connect(wanted.target, address) as device:
        device.lock(f"compare {wanted.names[0]} and {wanted.names[1]}")
        probe = check_device(wanted.target, device)
        sides = _opened(wanted, device)
        return _compared(wanted, device, probe, sides, progress)


def compare_boards(
    a: Named,
    b: Named,
    target: str | Target,
    addresses: Sequence[Address],
    recipe: str | Path | Recipe | None = None,
    options: Compare | None = None,
    progress: Progress = silent,
) -> list[Comparison | DeviceError]:
    """The same on several boards, one after the other, with p held over all of them.

    In place of a board that failed stands its error. Raises InputError(s) as `compare`.
    """
    found: list[Comparison | DeviceError] = []
    for address in addresses:
        try:
            found.append(compare(a, b, target, recipe, options, progress, address))
        except DeviceError as exc:
            found.append(exc)
        except InputError as exc:
            # What is wrong on every board is so on the first, before anything was measured.
            if not found:
                raise
            found.append(DeviceError(address.host or "local", str(exc)))
    adjusted = iter(across([one for one in found if isinstance(one, Comparison)]))
    return [next(adjusted) if isinstance(one, Comparison) else one for one in found]


def compare_steps(
    a: Named,
    b: Named,
    target: str | Target,
    recipe: str | Path | Recipe | None = None,
    options: Compare | None = None,
    address: Address = HERE,
) -> list[str]:
    """What `compare` would do, in words; all is checked, and the device not touched."""
    wanted = _wanted((a, b), target, recipe, options)
    with connect(wanted.target, address, keep=False) as device:
        check_device(wanted.target, device)
        for side in wanted.sides:
            if isinstance(side, str):
                _release_id(device, side)
        return list(_steps(wanted, device))


def _steps(wanted: Question, device: Device) -> Iterator[str]:
    options = wanted.options
    for name, side in zip(wanted.names, wanted.sides, strict=True):
        if isinstance(side, Artifact):
            yield f"push {name} ({side.id[:12]}) to {device.address}:{device.root}, and verify it"
        else:
            yield f"take the release {name} of {device.address}:{device.root}"
    if wanted.dataset is not None:
        yield f"find instances in {len(wanted.dataset.files)} images with both, for mask and box AP"
    yield (
        f"load both {options.reloads} times, and have them take turns on {len(wanted.images)} "
        f"images for {options.duration_s:g} s in all"
    )
    yield "where B is worse or seems to differ, do that once more, and judge by both"


def _wanted(
    named: tuple[Named, Named],
    target: str | Target,
    recipe: str | Path | Recipe | None,
    options: Compare | None,
) -> Question:
    problems = Problems()
    kind = problems.attempt(lambda: target if isinstance(target, Target) else targets.load(target))
    read = problems.attempt(partial(recipe_of, recipe))
    # What the caller says itself counts; the rest is the recipe's.
    said = {name: getattr(options, name) for name in options.model_fields_set} if options else {}
    options = (read.compare if read else Compare()).model_copy(update=said)
    sides = [problems.attempt(partial(resolve, one)) for one in named]
    dataset = problems.attempt(partial(evaluation_of, read)) if read is not None else None
    chosen: tuple[Image, ...] | None = None
    if options.images is not None or read is not None:
        chosen = problems.attempt(partial(images_to_run, options.images, read, dataset))
    elif recipe is None:
        what = "there are no images to run on"
        problems.found.append(InputError("compare", what, "name --recipe, or --images"))
    problems.raise_all()
    a, b = sides
    assert kind is not None and chosen is not None and a is not None and b is not None
    return Question(
        sides=(a, b),
        names=(_name(named[0]), _name(named[1])),
        target=kind,
        recipe=read,
        recipe_name=None if recipe is None or isinstance(recipe, Recipe) else str(recipe),
        dataset=dataset,
        images=chosen,
        options=options,
    )


def _name(named: Named) -> str:
    if isinstance(named, KeptBaseline):
        return named.baseline.name
    return named.id[:12] if isinstance(named, Artifact) else str(named)


def _opened(wanted: Question, device: Device) -> tuple[Artifact, Artifact]:
    a, b = (
        side if isinstance(side, Artifact) else device.fetch(_release_id(device, side))
        for side in wanted.sides
    )
    return a, b


def _release_id(device: Device, name: str) -> str:
    """The id of a board's release; DeviceError (no-release) where there is none of that name."""
    found = device.status()
    if is_hash(name):
        if any(release.id == name for release in found.releases):
            return name
        what = f"release {name[:12]} of the baseline is neither here nor on the board"
        raise DeviceError(device.address, what, "deploy it again, and set it", kind=NO_RELEASE)
    digest = found.current if name == "current" else found.previous
    if digest is None or not is_hash(digest):
        remedy = "deploy first, or name an artifact"
        raise DeviceError(device.address, f"there is no {name} release", remedy, kind=NO_RELEASE)
    return digest


def _compared(
    wanted: Question,
    device: Device,
    probe: Probe,
    sides: tuple[Artifact, Artifact],
    progress: Progress,
) -> Comparison:
    recipe, options = wanted.recipe, wanted.options
    measure = recipe.measure if recipe else Measure()
    count = threads(measure, wanted.target, probe)
    releases = device.push(sides[0], progress), device.push(sides[1], progress)
    notes: list[str] = []
    meaningless: dict[MetricName, str] = {}
    differences = [size_difference(sides[0].size_bytes, sides[1].size_bytes, options)]
    if wanted.dataset is not None and recipe is not None:
        differences += _accuracy(
            wanted, wanted.dataset, device, count, sides, meaningless, progress
        )
    else:
        notes.append("accuracy was not compared: no annotated images were named")
    observed = {"images": len(wanted.dataset.files) if wanted.dataset else 0}

    def turns(seed: int) -> list[Turns]:
        manner = (count, measure.power_mode)
        loads = take_turns(device, releases, wanted.images, options, manner, seed, progress)
        _require_sides(loads, sides, device.address)
        return loads

    def verdicts(loads: list[Turns]) -> tuple[Compared, ...]:
        costs, reasons = cost_differences(loads, options), _in_wrong_mode(loads)
        counts = {**observed, **{one.grows_with: len(loads) for one in costs}}
        return judged([*costs, *differences], counts, {**meaningless, **reasons})

    loads = turns(SEED)
    found = verdicts(loads)
    again = unsettled(found, _in_wrong_mode(loads))
    if again:
        more = turns(SEED + 1)
        loads = [*loads, *more]
        differing = cost_differences(more, options)
        found = settled(found, differing, verdicts(loads), _in_wrong_mode(loads))
        notes.append(
            f"measured once more, as it was worse or seemed to differ: {', '.join(again)}; what is "
            "told of that is of both measurements, the rest of the first"
        )
    if not any(one.metric == "energy" for one in found):
        notes.append("energy was not compared: no rails can be read there")
    return Comparison(
        id=uuid.uuid4().hex[:12],
        created_at=datetime.datetime.now(datetime.UTC),
        edgeq_version=version(),
        recipe=wanted.recipe_name,
        target=wanted.target.name,
        device=device.address,
        emulated=bool(probe.emulated.emulated),
        a=_side_of(wanted.names[0], sides[0], loads, 0),
        b=_side_of(wanted.names[1], sides[1], loads, 1),
        metrics=found,
        differences=tuple(surroundings(sides, loads)),
        notes=tuple(notes),
        reloads=len(loads),
        pairs=sum(len(load.sides[0].inference_ns) for load in loads),
        measured_s=sum(load.duration_ns for load in loads) / 1e9,
        versions=versions(),
    )


def _in_wrong_mode(loads: Sequence[Turns]) -> dict[MetricName, str]:
    """Why what the board takes is not judged: it was in another power mode than asked for."""
    wrong = list(dict.fromkeys(reason for load in loads for reason in load.wrong_mode))
    return {name: "; ".join(wrong) for name in COSTS} if wrong else {}


def _require_sides(loads: Sequence[Turns], sides: tuple[Artifact, Artifact], where: str) -> None:
    """DeviceError unless the device ran what it was asked to run."""
    for load in loads:
        told = tuple(side.release for side in load.sides)
        if told != tuple(side.id for side in sides):
            what = f"it compared {', '.join(t[:12] for t in told)}, which nobody asked for"
            raise DeviceError(where, what, "run it again; report it if it stays")


def _side_of(name: str, artifact: Artifact, loads: Sequence[Turns], index: int) -> Side:
    engine = loads[0].sides[index].engine
    return Side(
        named=name,
        artifact_id=artifact.id,
        artifact_bytes=artifact.size_bytes,
        engine=f"{engine.name} {engine.version}",
    )


def _accuracy(
    wanted: Question,
    dataset: Dataset,
    device: Device,
    count: int,
    sides: tuple[Artifact, Artifact],
    meaningless: dict[MetricName, str],
    progress: Progress,
) -> list[Difference]:
    assert wanted.recipe is not None
    classes = wanted.recipe.task.classes
    for name, side in zip(wanted.names, sides, strict=True):
        if side.manifest.task.classes != classes:
            what = f"finds the classes {', '.join(side.manifest.task.classes)[:200]}"
            raise InputError(name, f"{what}; the recipe's are others", "name the recipe of both")
    manner = Manner(count, is_known=False)
    found: list[Matches] = []
    for label, side in zip(("A", "B"), sides, strict=True):
        images = predict(device, side, dataset.files, manner, progress, f"predict {label}").images
        found.append(match(dataset.annotations, images, dataset.categories, list(dataset.files)))
        if label == "A":
            floor = dataset.float_ap_floor
            kinds, why = doubt(found[0], dataset.annotations, images, floor, who="A")
            names: Mapping[Any, MetricName] = {"mask": "mask AP", "box": "box AP"}
            meaningless |= {names[kind]: why for kind in kinds}
    differences = accuracy_differences(found[0], found[1], wanted.options)
    count = len(dataset.files)
    if count < FEWEST_IMAGES:
        reason = f"{count} annotated images are too few: evaluate at least {FEWEST_IMAGES}"
        meaningless |= {one.metric: reason for one in differences if any(one.loss[:3])}
    return differences
