"""Build a release several times on its device, and see how far the engines lie apart."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from edgeq.artifact import archive
from edgeq.artifact.folder import Artifact
from edgeq.artifact.manifest import Compile
from edgeq.device.connection import HERE, Address, connect
from edgeq.device.device import Device
from edgeq.errors import DeviceError, InputError, Problems
from edgeq.evaluation.dataset import Dataset, evaluation_of
from edgeq.progress import Progress, silent
from edgeq.records.builds import Builds
from edgeq.significance.pairs import differ
from edgeq.spec import target as targets
from edgeq.spec.images import Image
from edgeq.spec.recipe import Measure, Recipe
from edgeq.spec.target import Target
from edgeq.stages.bench import images_to_run, recipe_of
from edgeq.stages.builds import Builder, build_to_build
from edgeq.stages.fitness import check_device
from edgeq.versions import version

FEWEST, MOST = 2, 20


@dataclass(frozen=True)
class _Wanted:
    artifact: Artifact
    compiled: Compile
    target: Target
    dataset: Dataset | None
    files: Mapping[int, Image]
    options: Measure


def measure_builds(
    artifact: str | Path | Artifact,
    target: str | Target,
    builds: int,
    recipe: str | Path | Recipe,
    options: Measure | None = None,
    progress: Progress = silent,
    address: Address = HERE,
) -> Builds:
    """Have a device build so many engines of an artifact, and tell how they differ.

    A builder chooses by measuring, so that two builds of one model compute in other ways. Each
    engine finds what is in the recipe's images, which gives its AP where they are annotated, and
    is measured twice, as `options` have it. Nothing is activated, and the engines are removed.
    Raises InputError(s) before anything is touched, DeviceError.
    """
    wanted = _wanted(artifact, target, builds, recipe)
    with connect(wanted.target, address) as device:
        device.lock(f"build {wanted.artifact.id[:12]} {builds} times")
        probe = check_device(wanted.target, device)
        # The rest is the recipe's, but for what would be done for each build and thrown away.
        given = options or Measure()
        said = {name: getattr(given, name) for name in given.model_fields_set}
        options = wanted.options.model_copy(update={**said, "soak": None, "streams": ()})
        what = Builder(device, probe, wanted.target, wanted.artifact, wanted.compiled, options)
        runs = build_to_build(what, builds, wanted.files, wanted.dataset, progress)
        notes = _removed(device)
    there, back = zip(*(run.median_ms for run in runs), strict=True)
    if not wanted.dataset:
        notes.append("AP is not measured: no annotated images were named")
    if probe.emulated.emulated:
        notes.append("emulated: these times say nothing of a real device")
    return Builds(
        created_at=datetime.datetime.now(datetime.UTC),
        edgeq_version=version(),
        artifact_id=wanted.artifact.id,
        target=wanted.target.name,
        device=device.address,
        images=len(wanted.files),
        runs=runs,
        p=differ(there, back),
        notes=tuple(notes),
    )


def _removed(device: Device) -> list[str]:
    """Have the engines removed; what hours of work found is not lost where that fails."""
    try:
        device.collect()
    except DeviceError as exc:
        return [f"the engines lie there until the next deploy: {exc.what}"]
    return []


def measure_builds_steps(
    artifact: str | Path | Artifact,
    target: str | Target,
    builds: int,
    recipe: str | Path | Recipe,
    address: Address = HERE,
) -> Iterator[str]:
    """What `measure_builds` would do, in words; all is checked, and the device not touched."""
    wanted = _wanted(artifact, target, builds, recipe)
    with connect(wanted.target, address, keep=False) as device:
        check_device(wanted.target, device)
        where = f"{device.address}:{device.root}"
        yield f"push {wanted.artifact.id[:12]} to {where}, and verify it there"
        yield f"build {builds} engines beside its own, none of what another one's builder measured"
        what = "mask and box AP" if wanted.dataset else "what they find"
        yield f"run each on {len(wanted.files)} images, for {what}, and measure each twice"
        yield "remove them"


def _wanted(
    artifact: str | Path | Artifact,
    target: str | Target,
    builds: int,
    recipe: str | Path | Recipe,
) -> _Wanted:
    problems = Problems()
    kind = problems.attempt(lambda: target if isinstance(target, Target) else targets.load(target))
    opened = problems.attempt(
        lambda: artifact if isinstance(artifact, Artifact) else archive.read(Path(artifact))
    )
    read = problems.attempt(partial(recipe_of, recipe))
    dataset = problems.attempt(partial(evaluation_of, read)) if read is not None else None
    files: Mapping[int, Image] | None = None
    if dataset is not None:
        files = dataset.files
    elif read is not None and read.evaluate is None:
        chosen = problems.attempt(partial(images_to_run, None, read, None))
        files = None if chosen is None else dict(enumerate(chosen))
    if not FEWEST <= builds <= MOST:
        what = f"{builds} builds cannot be compared"
        problems.found.append(InputError("builds", what, f"ask for {FEWEST} to {MOST}"))
    compiled = None
    if opened is not None:
        compiled = problems.attempt(partial(_compiled, opened))
    problems.raise_all()
    assert kind is not None and opened is not None and compiled is not None
    assert read is not None and files is not None
    return _Wanted(opened, compiled, kind, dataset, files, read.measure)


def _compiled(artifact: Artifact) -> Compile:
    found = artifact.manifest.runtime.compile
    if found is None:
        what = f"artifact {artifact.id[:12]} runs as it is in {artifact.manifest.runtime.name}"
        raise InputError("builds", f"{what}: no device builds anything of it", "leave builds out")
    return found
