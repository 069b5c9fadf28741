"""Repairs through the whole build: part of the recipe, kept in the cache, told in the notes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import onnx
import pytest

from edgeq.spec import recipe as recipes
from edgeq.spec import target as targets
from edgeq.spec.repair import AdaRound, Repair
from edgeq.stages import plan
from edgeq.stages.build import build
from edgeq.stages.one_file import float_artifact
from edgeq.stages.plan import is_calibrated
from edgeq.stages.prepare import Prepared, prepare
from edgeq.stages.references import simulation
from edgeq.verbs.build import steps_of

from ..nets import Net

BIASES = Repair(bias_correction=True, images=1)
QUICK = BIASES.model_copy(update={"adaround": AdaRound(iterations=2)})


def prepared(folder: Path, repair: Repair, target: str = "jetson-orin") -> Prepared:
    recipe = recipes.load(folder / "recipe.yaml").model_copy(update={"repair": repair})
    return prepare(recipe, targets.load(target), None)


def test_recipe_with_repairs_builds_and_is_remembered(
    small_demo: Path,
) -> None:
    before = prepared(small_demo, QUICK)
    stages: set[str] = set()
    built = build(before, lambda stage, done, total: stages.add(stage))
    assert {"calibrate", "repair", "build"} <= stages
    assert not built.cached
    assert any(note.startswith("AdaRound moved ") for note in built.notes)
    assert any("corrected the biases of 7" in note for note in built.notes)
    assert built.artifact.manifest.provenance["repair"] == QUICK.model_dump(mode="json")
    again = build(before)
    assert (again.cached, again.artifact.id, again.notes) == (True, built.artifact.id, built.notes)


@pytest.mark.usefixtures("spared")
def test_another_seed_is_another_artifact(small_demo: Path) -> None:
    first, other = (
        build(prepared(small_demo, BIASES.model_copy(update={"seed": seed}))) for seed in (0, 1)
    )
    assert first.artifact.id != other.artifact.id


def test_same_recipe_makes_the_same_artifact_anew(
    small_demo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for home in ("one", "other"):
        monkeypatch.setenv("EDGEQ_HOME", str(tmp_path / home))
        found.append(build(prepared(small_demo, BIASES)))
    assert not found[1].cached
    assert found[0].artifact.id == found[1].artifact.id


@pytest.mark.usefixtures("spared")
def test_recipe_without_repairs_does_not_know_of_them(small_demo: Path) -> None:
    nothing, idle = (
        build(prepared(small_demo, repair)) for repair in (Repair(), Repair(seed=5, images=3))
    )
    assert nothing.artifact.id == idle.artifact.id and idle.cached
    assert "repair" not in nothing.artifact.manifest.provenance
    planned = plan.planned(prepared(small_demo, Repair()))
    assert planned.model.sha256 == prepared(small_demo, Repair()).model.sha256
    assert planned.notes == ()


@pytest.mark.usefixtures("spared")
def test_repairs_are_kept_where_only_something_else_changed(small_demo: Path) -> None:
    before = prepared(small_demo, BIASES)
    first = plan.planned(before)
    stages: list[str] = []
    again = plan.planned(before, lambda stage, done, total: stages.append(stage))
    assert stages == []
    assert again.model.sha256 == first.model.sha256 != before.model.sha256
    assert again.model.proto == first.model.proto
    assert again.plan == first.plan and again.notes == first.notes


@pytest.mark.usefixtures("spared")
def test_damaged_repairs_are_made_anew(small_demo: Path, edgeq_home: Path) -> None:
    before = prepared(small_demo, BIASES)
    first = plan.planned(before)
    [kept] = (edgeq_home / "cache" / "repairs").iterdir()
    kept.write_bytes(kept.read_bytes()[:1000])
    assert plan.planned(before).model.proto == first.model.proto


def test_float_reference_stays_the_original_model(small_demo: Path) -> None:
    repaired, plain = (
        float_artifact(prepared(small_demo, repair)) for repair in (BIASES, Repair())
    )
    assert repaired.id == plain.id


@pytest.mark.parametrize("target", ["local:litert", "jetson-orin"])
def test_simulation_is_of_the_repaired_model(small_demo: Path, target: str) -> None:
    before = prepared(small_demo, BIASES, target)
    built = build(before)
    simulated = onnx.load(simulation(before, built).path("model.onnx"))
    plain = prepared(small_demo, Repair(), target)
    other = onnx.load(simulation(plain, build(plain)).path("model.onnx"))
    assert [n.name for n in simulated.graph.node] == [n.name for n in other.graph.node]
    assert simulated != other


@pytest.mark.usefixtures("spared")
def test_activations_are_scaled_as_in_float(small_demo: Path) -> None:
    plain, repaired = (plan.planned(prepared(small_demo, r)) for r in (Repair(), BIASES))
    assert repaired.plan.tensors == plain.plan.tensors
    assert repaired.statistics == plain.statistics
    for name, planned in plain.plan.weights.items():
        assert repaired.plan.weights[name].scales == planned.scales


def test_dry_run_names_the_repairs(small_demo: Path) -> None:
    every = QUICK.model_copy(update={"equalize": True})
    told = [step for step in steps_of(prepared(small_demo, every)) if "note:" not in step]
    assert told[0] == "equalize the ranges of neighbouring layers"
    assert "choose the rounding of the layers' weights over 1 images (AdaRound)" in told
    assert "correct the layers' biases over 1 images" in told


@pytest.mark.usefixtures("spared")
def test_silu_net_says_that_it_has_no_pairs(small_demo: Path) -> None:
    built = build(prepared(small_demo, Repair(equalize=True)))
    [note] = [note for note in built.notes if "equalize" in note]
    assert "SiLU (66 times)" in note


def test_equalized_net_is_calibrated_by_its_own_ranges(small_demo: Path, tmp_path: Path) -> None:
    net = Net(channels=3, side=32)
    x = net.node("Relu", [net.conv("x", "first", (8, 3, 3, 3))], "relu")
    model = net.model(tmp_path, [net.conv(x, "second", (4, 8, 3, 3))])
    recipe = recipes.load(small_demo / "recipe.yaml")
    preprocess = recipe.preprocess.model_copy(update={"size": (32, 32)})
    recipe = recipe.model_copy(update={"preprocess": preprocess, "repair": Repair(equalize=True)})
    demo = prepared(small_demo, Repair())
    small = replace(
        demo,
        model=model,
        recipe=recipe,
        tail=replace(demo.tail, nodes=frozenset(), feeders=frozenset()),
        choices=replace(demo.choices, excluded={}, overrides={}),
    )
    assert not is_calibrated(small)
    made = plan.planned(small)
    assert is_calibrated(small)
    assert made.model.sha256 != model.sha256
    assert made.notes[0].startswith("equalized 1 pairs of layers")
    assert (
        made.plan.tensors.keys()
        == plan.planned(
            replace(small, recipe=recipe.model_copy(update={"repair": Repair()}))
        ).plan.tensors.keys()
    )
