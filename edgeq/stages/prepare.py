"""Prepare: everything about recipe, target and model that is checked before any work."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from edgeq.artifact.manifest import Input
from edgeq.calibration import statistics
from edgeq.calibration.inputs import choose, shared
from edgeq.errors import InputError, Key, Problems, check_present
from edgeq.graph.model import Model
from edgeq.graph.tail import Tail, find_tail
from edgeq.quantization.coverage import Coverage, coverage
from edgeq.quantization.decide import Choices, explain, resolve_choices
from edgeq.quantization.planner import check
from edgeq.quantization.rules import Placement
from edgeq.records.answers import Probe
from edgeq.runtimes import runtime
from edgeq.spec.image_list import image_files, passed_over
from edgeq.spec.images import Image, images_of
from edgeq.spec.recipe import Calibration, Preprocess, Recipe
from edgeq.spec.target import Target
from edgeq.stages.exported import check_exported
from edgeq.stages.held_out import split
from edgeq.stages.outputs import check_decoder, load_model

FEW_IMAGES = 16


@dataclass(frozen=True)
class Prepared:
    """Everything that was checked before any work: what a build starts from."""

    recipe: Recipe
    target: Target
    model: Model
    tail: Tail
    choices: Choices
    placement: Placement
    calibration: tuple[Image, ...]
    notes: tuple[str, ...]

    @property
    def left_out(self) -> frozenset[str]:
        """Nodes that no quantized tensor can lie behind, which need not be looked at."""
        return frozenset() if self.recipe.quantize.head == "quantize" else self.tail.nodes

    @property
    def wanted(self) -> list[str]:
        """Tensors whose statistics a plan may need."""
        return statistics.wanted_tensors(self.model, self.left_out)


def prepare(
    recipe: Recipe,
    target: Target,
    probe: Probe | None,
    evaluation: Sequence[Image] = (),
) -> Prepared:
    """Check everything that can be checked before work; all problems together.

    `probe` is what the agent found on the device, None without one; `evaluation` the images that
    calibration should not have seen. Raises InputError(s); `where` of what concerns a key of the
    recipe is that key, dotted.
    """
    engine = runtime(target.runtime)
    placement, note = engine.placement(target, probe)
    problems = Problems()
    problems.attempt(lambda: check(recipe.quantize, placement))
    named, key = recipe.calibration, Key("calibration", "images")
    images = problems.attempt(
        lambda: images_of(choose(image_files(named.images, key, named.recursive), named.count))
    )
    if recipe.repair.reconstruct is not None:
        problems.attempt(lambda: check_present("torch", "train"))
        problems.attempt(lambda: None if images is None else split(images))
    model = problems.attempt(lambda: load_model(recipe))
    choices = problems.attempt(lambda: resolve_choices(model, recipe.quantize)) if model else None
    if model is not None:
        problems.attempt(lambda: image_size(model))
        problems.attempt(lambda: check_decoder(model, recipe))
        differing = problems.attempt(lambda: check_exported(model, recipe)) or []
        problems.attempt(lambda: engine.check(model, placement))
    problems.raise_all()
    if images is None or model is None or choices is None:
        raise AssertionError("unreachable: what is missing was reported")
    tail = find_tail(model)
    covered = coverage(model, explain(model, tail, choices, placement))
    _refuse_nothing_quantized(model, choices, covered)
    notes = [said for said in (note, *model.notes, *differing, covered.warning()) if said]
    notes += _calibration_notes(named, len(images))
    pairs = shared(images, evaluation)
    if pairs:
        what = f"{len(pairs)} calibration images are evaluation images too, such as"
        notes.append(f"{what} {pairs[0][0].path.name}: the drop looks smaller than it is")
    return Prepared(recipe, target, model, tail, choices, placement, images, tuple(notes))


def _refuse_nothing_quantized(model: Model, choices: Choices, covered: Coverage) -> None:
    """InputError where no layer would be int8, whoever wants it so: that release is the float one.

    A deploy measures the float model on the device anyway.
    """
    if covered.weights_int8:
        return
    if not covered.layers:
        what = "no layer is quantized: the model has no convolution and no matrix product"
        raise InputError(str(model.path), what, "name a model that has some")
    floats = covered.layers - covered.layers_int8
    what = f"no layer is quantized: {floats} stay float, {covered.why_float()}"
    if any(name in choices.excluded for name in (node.name for node in model.nodes)):
        remedy = "take patterns out of 'exclude' and 'overrides'; the float model needs no edgeq"
        raise InputError(Key("quantize"), what, remedy)
    raise InputError(
        str(model.path), what, "'edgeq inspect' shows layer by layer what speaks against it"
    )


def _calibration_notes(named: Calibration, count: int) -> Iterator[str]:
    """What makes ranges of images less than they look."""
    left = passed_over(named.images, named.recursive)
    if left:
        yield f"calibration passed over {'; '.join(left)}"
    if count < FEW_IMAGES:
        few = "1 image" if count == 1 else f"{count} images"
        yield f"calibrated on {few}: ranges of fewer than {FEW_IMAGES} may miss what comes later"


def for_device(prepared: Prepared, target: Target, probe: Probe) -> Prepared:
    """What was prepared, for what a device has; InputError when that cannot read the model."""
    engine = runtime(target.runtime)
    placement, note = engine.placement(target, probe)
    check(prepared.recipe.quantize, placement)
    engine.check(prepared.model, placement)
    notes = (note, *prepared.notes) if note else prepared.notes
    return replace(prepared, target=target, placement=placement, notes=notes)


def image_size(model: Model) -> tuple[int, int]:
    """Height and width of the one image that a model takes; InputError when it takes another."""
    shape = next(iter(model.inputs.values()), ())
    # torchvision's detectors take their image without the batch of one.
    if len(model.inputs) == 1 and shape[-3:-2] == (3,) and shape[:-3] in ((), (1,)):
        if not model.is_float(next(iter(model.inputs))):
            what = "takes an image that is not 32-bit float"
            raise InputError(str(model.path), what, "export it in float32")
        return shape[-2], shape[-1]
    taken = ", ".join(f"'{name}' {list(shape)}" for name, shape in model.inputs.items())
    what = f"takes {taken or 'nothing'}; one RGB image [1, 3, height, width] is expected"
    raise InputError(str(model.path), what, "export it with the image as its only input")


def input_of(preprocess: Preprocess) -> Input:
    """The recipe's preprocessing, as the agent needs it."""
    return Input.model_validate(preprocess.model_dump())


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
