"""Check everything that can be checked before anything is touched."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edgeq.device.connection import HERE, Address, connect
from edgeq.device.device import Device
from edgeq.errors import DeviceError, InputError, Key, Problems, raise_all
from edgeq.evaluation.dataset import Dataset, evaluation_of
from edgeq.records.answers import Probe
from edgeq.runtimes import runtime
from edgeq.spec import document
from edgeq.spec import recipe as recipes
from edgeq.spec import target as targets
from edgeq.spec.document import Document
from edgeq.spec.images import Image
from edgeq.spec.recipe import Recipe
from edgeq.spec.target import Target
from edgeq.stages.fitness import begin_check
from edgeq.stages.prepare import Prepared, for_device, prepare


@dataclass(frozen=True)
class Checked:
    """A recipe and a target that belong together, and the device; nothing was changed yet."""

    prepared: Prepared
    device: Device
    probe: Probe
    evaluation: Dataset | None
    recipe_name: str
    recipe_sha256: str
    recipe_text: str


@dataclass(frozen=True)
class Inputs:
    """A recipe and a target that belong together, checked without any device."""

    source: Source
    prepared: Prepared
    evaluation: Dataset | None

    def on(self, device: Device, target: Target) -> Checked:
        """The same for a device of such a target, which is looked at and not touched.

        Raises InputError for what it cannot read, DeviceError when it is not fit.
        """
        found = begin_check(target, device)()
        prepared = for_device(self.prepared, target, found)
        source = self.source
        return _checked(prepared, device, found, self.evaluation, source)


def check_inputs(recipe: str | Path | Recipe, target: str | Target) -> Inputs:
    """Check all that can be checked without a device; what many of them have in common.

    Raises InputError(s) with every problem of recipe, target, model, images and annotations.
    """
    problems = Problems()
    source, kind, evaluation = _loaded(recipe, target, problems)
    prepared = _prepare_unprobed(source.recipe, kind, evaluation, problems)
    _raise_located(problems, source)
    assert prepared is not None
    return Inputs(source, prepared, evaluation)


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
    if device is None or problems.found:
        # Nobody is called for a recipe that is wrong already.
        _prepare_unprobed(loaded, kind, evaluation, problems)
        _raise_located(problems, source)
        raise AssertionError("unreachable: what is missing was reported")
    try:
        # It looks at itself while this side looks at the model.
        probe_or_error = _begin_check(kind, device)
        prepared = _prepare_unprobed(loaded, kind, evaluation, problems)
        found = probe_or_error()
        _raise_located(problems, source)
        assert prepared is not None
        if isinstance(found, DeviceError):
            raise found
        prepared = for_device(prepared, kind, found)
    except BaseException:
        with contextlib.suppress(DeviceError):
            device.forget()
        device.close()
        raise
    return _checked(prepared, device, found, evaluation, source)


def _begin_check(target: Target, device: Device) -> Callable[[], Probe | DeviceError]:
    """What is wrong with a device comes after what is wrong with the inputs: as a value."""
    try:
        answer = begin_check(target, device)
    except DeviceError as exc:
        unfit = exc
        return lambda: unfit

    def finish() -> Probe | DeviceError:
        try:
            return answer()
        except DeviceError as exc:
            return exc

    return finish


def _prepare_unprobed(
    recipe: Recipe, target: Target, evaluation: Dataset | None, problems: Problems
) -> Prepared | None:
    """What can be said of model and images without a device; what is wrong goes to `problems`."""
    # Whatever activation type is probed later: what else is wrong is known all the same.
    version = "11.0" if recipe.quantize.io == "float16" else "10.3"
    stated = target.model_copy(update={"activation_type": "int8", "engine_version": version})
    files = list(evaluation.files.values()) if evaluation else []
    prepared = problems.attempt(lambda: prepare(recipe, stated, None, files))
    problems.attempt(lambda: _check_measure(recipe, target))
    return prepared


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
    prepared = problems.attempt(lambda: prepare(source.recipe, kind, None, files))
    _raise_located(problems, source)
    assert prepared is not None
    return prepared


def check_possible_room(checked: Checked) -> None:
    """DeviceError when what is to come could not fit on the device, whatever was removed there."""
    files = checked.device.files
    files.require_possible_room(*_to_come(checked), checked.device.status())


def check_room(checked: Checked) -> None:
    """DeviceError when what is to come does not fit there; the device has to be locked."""
    checked.device.files.require_room(*_to_come(checked))


def _to_come(checked: Checked) -> tuple[list[Image], int]:
    """The images, and the bytes of the models.

    These are two, and where they are compiled there four more: fp16's, and the engines.
    """
    images = list(checked.evaluation.files.values()) if checked.evaluation else []
    placement = checked.prepared.placement
    compiled = runtime(placement.runtime).compiled(placement.form, "int8") is not None
    model_bytes = checked.prepared.recipe.model.stat().st_size
    return images, (6 if compiled else 2) * model_bytes


def _loaded(
    recipe: str | Path | Recipe, target: str | Target, problems: Problems
) -> tuple[Source, Target, Dataset | None]:
    source = problems.attempt(lambda: _source(recipe))
    kind = target if isinstance(target, Target) else problems.attempt(lambda: targets.load(target))
    evaluation = problems.attempt(lambda: evaluation_of(source.recipe)) if source else None
    if kind is None or source is None:
        _raise_located(problems, source)
        raise AssertionError("unreachable: what is missing was reported")
    return source, kind, evaluation


@dataclass(frozen=True)
class Source:
    """A recipe and where it is from: the file's name, the hash of its text, the text."""

    recipe: Recipe
    name: str
    sha256: str
    text: str
    document: Document | None


def _source(recipe: str | Path | Recipe) -> Source:
    """Read a recipe, once; InputError(s) for what is wrong with it."""
    if isinstance(recipe, Recipe):
        dumped = recipe.model_dump_json()
        return Source(recipe, "recipe", hashlib.sha256(dumped.encode()).hexdigest(), dumped, None)
    read = document.read(Path(recipe))
    return Source(recipes.of(read), str(recipe), read.sha256, read.text, read)


def _checked(
    prepared: Prepared, device: Device, probe: Probe, evaluation: Dataset | None, source: Source
) -> Checked:
    return Checked(
        prepared=prepared,
        device=device,
        probe=probe,
        evaluation=evaluation,
        recipe_name=source.name,
        recipe_sha256=source.sha256,
        recipe_text=source.text,
    )


def _raise_located(problems: Problems, source: Source | None = None) -> None:
    """Raise what was found; where it is a key of the recipe, with file and line."""
    if source is not None and source.document is not None:
        for problem in problems.found:
            if isinstance(problem.where, Key):
                problem.where = source.document.at(problem.where.parts)
    raise_all(list({str(problem): problem for problem in problems.found}.values()))
