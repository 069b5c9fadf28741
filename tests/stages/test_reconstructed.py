"""Reconstruction in a build: judged by images of its own, kept or left out, and told."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from edgeq.artifact.folder import Artifact
from edgeq.errors import InputError
from edgeq.evaluation.agreement import own_labels
from edgeq.evaluation.dataset import Dataset
from edgeq.records.accuracy import ImagePrediction
from edgeq.spec import recipe as recipes
from edgeq.spec import target as targets
from edgeq.spec.images import Image
from edgeq.spec.quantize import Activations, Quantize
from edgeq.spec.repair import Reconstruct, Repair
from edgeq.stages import reconstructed
from edgeq.stages.build import build
from edgeq.stages.held_out import split
from edgeq.stages.plan import planned
from edgeq.stages.prepare import Prepared, prepare
from edgeq.verbs.build import steps_of

QUICK = Repair(reconstruct=Reconstruct(iterations=2, crops=4))


def prepared(folder: Path, repair: Repair = QUICK) -> Prepared:
    recipe = recipes.load(folder / "recipe.yaml").model_copy(update={"repair": repair})
    return prepare(recipe, targets.load("jetson-orin"), None)


def test_images_to_judge_by_are_none_of_those_that_are_trained_on(small_demo: Path) -> None:
    images = prepared(small_demo).calibration
    held, rest = split(images)
    assert (len(held), len(rest)) == (4, 4)
    assert {*held}.isdisjoint(rest) and {*held, *rest} == {*images}
    with pytest.raises(InputError, match="7 calibration images are too few") as caught:
        split(images[:7])
    assert str(caught.value.where) == "repair.reconstruct"


@pytest.mark.parametrize("least", [-1.0, 1.0])
def test_trained_weights_are_kept_where_agreement_rises_enough(
    least: float, small_demo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconstructed, "LEAST_RISE", least)
    stages: set[str] = set()
    built = build(prepared(small_demo), lambda stage, done, total: stages.add(stage))
    assert "reconstruct" in stages
    [trained, judged] = [note for note in built.notes if "agreement" in note or "trained" in note]
    assert trained.startswith("reconstruction trained ") and "on 4 crops" in trained
    plain = build(prepared(small_demo, Repair()))
    if least < 0:
        assert judged.startswith("kept: agreement with float went from ")
        assert model_of(built.artifact) != model_of(plain.artifact)
    else:
        assert judged.startswith("left out, as agreement with float went from ")
        assert "4 images that were held out" in judged
        assert model_of(built.artifact) == model_of(plain.artifact)
    again = build(prepared(small_demo))
    assert (again.cached, again.notes) == (True, built.notes)


def test_learned_ranges_are_in_the_plan_where_they_are_kept(
    small_demo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconstructed, "LEAST_RISE", -1.0)
    quantize = Quantize(activations=Activations(calibrator="max"))
    plain, learned = (
        planned(by(quantize, small_demo, options))
        for options in (None, Reconstruct(iterations=2, crops=4))
    )
    scales = plain.plan.tensors
    differing = [name for name, scale in learned.plan.tensors.items() if scale != scales[name]]
    [note] = [note for note in learned.notes if note.startswith("reconstruction trained ")]
    assert differing and f" and {len(differing)} ranges in " in note


def by(quantize: Quantize, folder: Path, options: Reconstruct | None) -> Prepared:
    recipe = recipes.load(folder / "recipe.yaml")
    changed = {"repair": Repair(reconstruct=options), "quantize": quantize}
    return prepare(recipe.model_copy(update=changed), targets.load("jetson-orin"), None)


def model_of(artifact: Artifact) -> bytes:
    return artifact.path(artifact.manifest.runtime.model).read_bytes()


def test_missing_torch_is_told_before_any_work(
    small_demo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import importlib.util

    find: Callable[[str], ModuleSpec | None] = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda n: None if n == "torch" else find(n))
    with pytest.raises(
        InputError, match=r"torch: is not installed; run: pip install 'edgeq\[train"
    ):
        prepared(small_demo)


def test_dry_run_names_the_training(small_demo: Path) -> None:
    told = list(steps_of(prepared(small_demo)))
    assert (
        "train blocks of layers towards the float model: minutes; kept if it agrees better" in told
    )


def test_float_model_that_finds_nothing_judges_nothing(
    small_demo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconstructed, "own_labels", nothing)
    with pytest.raises(InputError, match=r"finds nothing above 0\.25 on those held out"):
        build(prepared(small_demo))


def nothing(
    found: Sequence[ImagePrediction], files: Mapping[int, Image], classes: Sequence[str]
) -> Dataset:
    labels = own_labels(found, files, classes)
    return replace(labels, annotations=replace(labels.annotations, instances=()))
