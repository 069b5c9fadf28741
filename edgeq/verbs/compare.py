"""Compare: is B better or worse than A on this board, or the same, or can that not be told."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

from edgeq.agent.errors import GARBLED
from edgeq.artifact.folder import Artifact
from edgeq.cost.turns import in_wrong_mode
from edgeq.device.connection import HERE, Address, connect
from edgeq.device.device import Device
from edgeq.errors import DeviceError, InputError
from edgeq.progress import Progress, silent
from edgeq.records.answers import Probe
from edgeq.records.comparison import Comparison, Side
from edgeq.records.turns import Turns
from edgeq.spec.recipe import Compare, Measure, Recipe
from edgeq.spec.target import Target
from edgeq.stages.accuracies import Accuracies, accuracies, require_classes
from edgeq.stages.bench import threads
from edgeq.stages.compared import across, cost_differences, size_difference
from edgeq.stages.fitness import check_device
from edgeq.stages.looks import Grounds, look
from edgeq.stages.surroundings import surroundings
from edgeq.stages.turns import take_turns
from edgeq.store import Store
from edgeq.verbs.baseline import Named
from edgeq.verbs.compare_question import Question, asked, opened, release_id
from edgeq.versions import version, versions

SEED = 20040


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
    wanted = asked((a, b), target, recipe, options)
    with connect(wanted.target, address) as device:
        device.lock(f"compare {wanted.names[0]} and {wanted.names[1]}")
        probe = check_device(wanted.target, device)
        sides = opened(wanted, device)
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


def with_agreement(found: Comparison, shelf: Store) -> Comparison:
    """A comparison whose sides have the agreement of their newest report on such a target."""
    sides = {name: _agreeing(getattr(found, name), found.target, shelf) for name in ("a", "b")}
    return found.model_copy(update=sides)


def _agreeing(side: Side, target: str, shelf: Store) -> Side:
    reports = shelf.reports(target=target, artifact_id=side.artifact_id, limit=1)
    columns = [one for report in reports if (one := report.column("device"))]
    return side.model_copy(update={"agreement": columns[0].agreement}) if columns else side


def compare_steps(
    a: Named,
    b: Named,
    target: str | Target,
    recipe: str | Path | Recipe | None = None,
    options: Compare | None = None,
    address: Address = HERE,
) -> list[str]:
    """What `compare` would do, in words; all is checked, and the device not touched."""
    wanted = asked((a, b), target, recipe, options)
    with connect(wanted.target, address, keep=False) as device:
        check_device(wanted.target, device)
        for side in wanted.sides:
            if isinstance(side, str):
                release_id(device, side)
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
    scored = Accuracies((), {})
    if wanted.dataset is not None and recipe is not None:
        require_classes(wanted.names, sides, recipe.task.classes)
        scored = accuracies(device, sides, wanted.dataset, count, options, progress)
    else:
        notes.append("accuracy was not compared: no annotated images were named")

    def turns(number: int) -> list[Turns]:
        manner = (count, measure.power_mode)
        loads = take_turns(
            device, releases, wanted.images, options, manner, SEED + number, progress
        )
        _require_sides(loads, sides, device.address)
        return loads

    size = size_difference(sides[0].size_bytes, sides[1].size_bytes, options)
    grounds = Grounds[Turns](
        costs=lambda loads: cost_differences(loads, options),
        others=(size, *scored.differences),
        observed={"images": len(wanted.dataset.files) if wanted.dataset else 0},
        meaningless=lambda loads: {**scored.meaningless, **in_wrong_mode(loads)},
    )
    seen = look(turns, grounds)
    loads = seen.loads
    if seen.again:
        notes.append(
            f"measured once more, as it was worse or seemed to differ: {', '.join(seen.again)}; "
            "what is told of that is of both measurements, the rest of the first"
        )
    if not any(one.metric == "energy" for one in seen.metrics):
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
        metrics=seen.metrics,
        differences=tuple(surroundings(sides, loads)),
        notes=tuple(notes),
        reloads=len(loads),
        pairs=sum(len(load.sides[0].inference_ns) for load in loads),
        measured_s=sum(load.duration_ns for load in loads) / 1e9,
        versions=versions(),
    )


def _require_sides(loads: Sequence[Turns], sides: tuple[Artifact, Artifact], where: str) -> None:
    """DeviceError unless the device ran what it was asked to run."""
    for load in loads:
        told = tuple(side.release for side in load.sides)
        if told != tuple(side.id for side in sides):
            what = f"it compared {', '.join(t[:12] for t in told)}, which nobody asked for"
            raise DeviceError(where, what, "run it again; report it if it stays", GARBLED)


def _side_of(name: str, artifact: Artifact, loads: Sequence[Turns], index: int) -> Side:
    engine = loads[0].sides[index].engine
    return Side(
        named=name,
        artifact_id=artifact.id,
        artifact_bytes=artifact.size_bytes,
        engine=f"{engine.name} {engine.version}",
    )
