"""Train: the whole quantized network at once, for who has data and time, to a new float model."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from edgeq import cache
from edgeq.calibration.inputs import shared
from edgeq.device.connection import HERE, Address
from edgeq.errors import InputError, Problems, check_present
from edgeq.evaluation.dataset import Dataset, annotated, evaluation_of
from edgeq.places import write_whole
from edgeq.progress import Progress, silent
from edgeq.records.files import check_writable
from edgeq.records.training import Training
from edgeq.repair.constants import with_constants
from edgeq.repair.model import Images, key_of
from edgeq.repair.reconstruction.own_loss import OwnLoss, own_loss
from edgeq.runtimes.qdq import write_qdq
from edgeq.spec import document
from edgeq.spec.images import Image
from edgeq.spec.target import Target
from edgeq.stages.check import prepared_for_build
from edgeq.stages.held_out import split
from edgeq.stages.plan import Planned, planned
from edgeq.stages.prepare import Prepared, cores
from edgeq.stages.reconstructed import LEAST_RISE, agreed, float_finds, mean

ITERATIONS = 500
SHARE_OF_ITERATIONS, SHARE_OF_RATE = 0.1, 0.01
"""Of the training that made the float model, after Wu et al. 2020 (arXiv 2004.09602)"""


@dataclass(frozen=True)
class Curriculum:
    """How long is trained, how fast, for what, and on how many crops of calibration images.

    `original_iterations` and `original_rate` (of Adam, or of what is like it) are those that made
    the float model. `loss` names a function of the user's own over labels, as `module:function` or
    `file.py:function`; the recipe's `tune` images are trained on then.
    """

    iterations: int | None = None
    original_iterations: int | None = None
    original_rate: float | None = None
    loss: str | None = None
    crops: int = 256
    seed: int = 0
    overwrite: bool = False

    @property
    def length(self) -> int:
        """How many iterations these are."""
        if self.original_iterations is not None:
            return max(1, round(SHARE_OF_ITERATIONS * self.original_iterations))
        return self.iterations or ITERATIONS

    @property
    def rate(self) -> float | None:
        """Of weights, to begin with; None where the original one is unknown."""
        return None if self.original_rate is None else SHARE_OF_RATE * self.original_rate


def train(
    recipe: Path,
    target: str | Target,
    output: Path,
    curriculum: Curriculum | None = None,
    progress: Progress = silent,
    address: Address = HERE,
) -> Training:
    """Train the quantized network as a whole, and write a float model that quantizes better.

    `output` is an ONNX file with the names and shapes of the recipe's model, which `model:` may
    name instead. A run that was killed goes on where it was. Raises InputError(s) before any work.
    """
    asked, begun = curriculum or Curriculum(), time.monotonic()
    problems = Problems()
    problems.attempt(lambda: _check(asked, output))
    problems.attempt(lambda: check_present("torch", "train"))
    function = problems.attempt(lambda: own_loss(asked.loss or "")) if asked.loss else None
    prepared = problems.attempt(lambda: prepared_for_build(recipe, target, address))
    dataset = parts = None
    if prepared is not None:
        problems.attempt(lambda: _check_other(prepared, output))
        problems.attempt(lambda: _check_repairs(prepared, recipe))
        if asked.loss is not None:
            dataset = problems.attempt(lambda: _labels(prepared, recipe))
        unseen, where = _unseen(prepared, dataset), _at(recipe, "calibration", "images")
        parts = problems.attempt(lambda: split(unseen, where))
    problems.raise_all()
    assert prepared is not None and parts is not None
    held, rest = parts
    labels = None if dataset is None or function is None else Labelled(dataset, function)
    start = planned(prepared, progress)
    own = float_finds(prepared, held, progress)
    layers, count = _write(prepared, start, labels or rest, asked, output, progress)
    retrained = prepared.recipe.model_copy(update={"model": output})
    again = prepared_for_build(retrained, target, address)
    made = planned(again, progress)
    before = agreed(prepared, own, write_qdq(start.model, start.plan), progress, "before")
    after = agreed(again, own, write_qdq(made.model, made.plan), progress, "trained")
    return Training(
        recipe=str(recipe),
        target=prepared.target.name,
        output=str(output),
        loss=asked.loss,
        iterations=asked.length,
        rate=asked.rate,
        unit="steps of quantization" if asked.rate is None else "of the weights",
        layers=layers,
        images=count,
        held_out=len(held),
        before=before,
        after=after,
        better=mean(after) - mean(before) > LEAST_RISE,
        seconds=time.monotonic() - begun,
        notes=start.notes,
    )


def _check(asked: Curriculum, output: Path) -> None:
    problems = Problems()
    problems.attempt(lambda: check_writable(output))
    if output.exists() and not asked.overwrite and not output.is_dir():
        what = "is there already"
        problems.found.append(InputError(str(output), what, "name another, or add --overwrite"))
    if asked.iterations is not None and asked.original_iterations is not None:
        what = "is given beside --original-iterations, of which it would be a tenth"
        problems.found.append(InputError("--iterations", what, "leave one out"))
    if asked.original_rate is not None and not asked.original_rate > 0:
        what = f"is {asked.original_rate:g}, of which nothing is learned"
        problems.found.append(InputError("--original-rate", what, "give one above 0"))
    problems.raise_all()


def _at(recipe: Path, *keys: str) -> str:
    return document.read(recipe).at(keys)


def _check_other(prepared: Prepared, output: Path) -> None:
    """InputError where the output would take the place of the model that is trained from."""
    if output.exists() and output.samefile(prepared.model.path):
        what = "is the recipe's own model, which reports compare with, and which is gone then"
        raise InputError(str(output), what, "name another file")


def _check_repairs(prepared: Prepared, recipe: Path) -> None:
    """InputError for repairs: they are made when the trained model is built."""
    if prepared.recipe.repair.is_wanted:
        what = "repair: is not trained through: a build repairs the model that it is given"
        remedy = "leave it out of the recipe to train by"
        raise InputError(_at(recipe, "repair"), what, remedy)


def _labels(prepared: Prepared, file: Path) -> Dataset:
    """The annotated images that a loss of the user's own is over."""
    recipe = prepared.recipe
    if recipe.tune is None:
        what = "names no annotated images, which a loss of your own is over"
        raise InputError(str(file), what, "add 'tune:' with images and annotations")
    found = annotated(recipe.tune, recipe.task)
    evaluation = evaluation_of(recipe)
    pairs = shared(found.files.values(), evaluation.files.values() if evaluation else ())
    if pairs:
        what = f"tune: {len(pairs)} images are evaluated on, too, such as {pairs[0][0].path.name}"
        remedy = "split them: what was trained on is no judge"
        raise InputError(_at(file, "tune", "images"), what, remedy)
    return found


def _unseen(prepared: Prepared, dataset: Dataset | None) -> tuple[Image, ...]:
    """Calibration images that are not trained on with labels."""
    seen = {image.sha256 for image in dataset.files.values()} if dataset else set()
    return tuple(image for image in prepared.calibration if image.sha256 not in seen)


@dataclass(frozen=True)
class Labelled:
    """Annotated images, and a loss over them."""

    dataset: Dataset
    loss: OwnLoss

    @property
    def sha256(self) -> str:
        """The hash of the labels, and of which pixels and classes they are of."""
        files = {id_: image.key for id_, image in self.dataset.files.items()}
        whole = repr((self.dataset.annotations, sorted(self.dataset.categories.items()), files))
        return hashlib.sha256(whole.encode()).hexdigest()


def _write(
    prepared: Prepared,
    start: Planned,
    source: Sequence[Image] | Labelled,
    asked: Curriculum,
    output: Path,
    progress: Progress,
) -> tuple[int, int]:
    """Train and write; how many layers changed, and on how many images."""
    from edgeq.repair.reconstruction import end_to_end, lessons
    from edgeq.repair.reconstruction.trained import subject_of

    model, plan, preprocess = start.model, start.plan, prepared.recipe.preprocess
    if isinstance(source, Labelled):
        lesson = lessons.labelled(model, plan, source.dataset, preprocess, source.loss.function)
        files, text = tuple(source.dataset.files.values()), source.loss.sha256
        labels = source.sha256
    else:
        files, text, labels = tuple(source), "", ""
        images = Images(files, preprocess)
        lesson = lessons.distilled(subject_of(model, plan, asked.crops, asked.seed, images))
    known = key_of(model, plan, prepared.recipe.repair, files, preprocess)
    about = asdict(replace(asked, overwrite=False))
    key = cache.key({"trained whole": known, "asked": about, "loss": text, "labels": labels})
    quantized = end_to_end.Quantized(model, plan, write_qdq(model, plan))
    course = end_to_end.Course(asked.length, asked.rate, asked.seed)
    constants = end_to_end.learned(quantized, lesson, course, key, cores(), progress)
    made = with_constants(model, constants, f"trained {key}")
    write_whole(output, made.proto.SerializeToString(deterministic=True))
    return len({name for name, _ in constants}), len(files)
