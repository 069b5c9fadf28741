"""Training of the whole network, from a recipe to a float model that a recipe may name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from edgeq.errors import InputError, InputErrors
from edgeq.evaluation.dataset import evaluation_of
from edgeq.graph.load import load
from edgeq.repair.reconstruction.own_loss import OwnLoss
from edgeq.report.terminal.training import training_text
from edgeq.spec.recipe import load as load_recipe
from edgeq.verbs.train import ITERATIONS, Curriculum, Labelled, train

pytest.importorskip("torch")


@pytest.mark.usefixtures("edgeq_home")
def test_trained_model_has_the_names_and_shapes_of_the_recipes_own(
    small_demo: Path, tmp_path: Path
) -> None:
    output, recipe = tmp_path / "trained.onnx", small_demo / "recipe.yaml"
    stages: set[str] = set()
    quick = Curriculum(original_iterations=20, original_rate=0.01, crops=4)
    result = train(
        recipe, "jetson-orin", output, quick, lambda stage, done, total: stages.add(stage)
    )
    assert "train" in stages
    before, after = load(small_demo / "model.onnx"), load(output)
    assert (after.inputs, after.outputs) == (before.inputs, before.outputs)
    made = before.producers  # a layer may get a bias, which is no tensor that is made
    assert {name: after.shapes[name] for name in made} == {
        name: before.shapes[name] for name in made
    }
    assert [node.name for node in after.nodes] == [node.name for node in before.nodes]
    assert (result.iterations, result.rate, result.images, result.held_out) == (2, 1e-4, 4, 4)
    assert result.layers > 0 and result.exit_code == (0 if result.better else 1)
    text = training_text(result)
    assert "trained" in text and str(output) in text
    with pytest.raises(InputError, match="is there already"):
        train(recipe, "jetson-orin", output, quick)


def test_all_that_is_wrong_is_told_before_any_work(small_demo: Path, tmp_path: Path) -> None:
    recipe = small_demo / "repaired.yaml"
    recipe.write_text((small_demo / "recipe.yaml").read_text() + "\nrepair: {equalize: true}\n")
    (tmp_path / "there.onnx").touch()
    asked = Curriculum(iterations=5, original_iterations=50, loss="loss.py")
    with pytest.raises(InputErrors) as caught:
        train(recipe, "jetson-orin", tmp_path / "there.onnx", asked)
    recipe.unlink()
    told = [str(problem) for problem in caught.value.problems]
    for part in (
        "there.onnx: is there already; name another, or add --overwrite",
        "--iterations: is given beside --original-iterations",
        "--loss: 'loss.py' names no function",
        "repair: is not trained through",
        "names no annotated images, which a loss of your own is over",
    ):
        assert any(part in one for one in told), told


def test_the_model_that_is_trained_from_is_never_written_over(small_demo: Path) -> None:
    with pytest.raises(InputError, match="is the recipe's own model"):
        train(
            small_demo / "recipe.yaml",
            "jetson-orin",
            small_demo / "model.onnx",
            Curriculum(iterations=1, overwrite=True),
        )


def test_other_labels_are_another_training(small_demo: Path) -> None:
    found = evaluation_of(load_recipe(small_demo / "recipe.yaml"))
    assert found is not None
    first, *others = found.annotations.instances
    moved = replace(first, category_id=first.category_id + 1)
    fewer = replace(found, annotations=replace(found.annotations, instances=tuple(others)))
    other = replace(found, annotations=replace(found.annotations, instances=(moved, *others)))
    files = {id_: replace(image, stored=True) for id_, image in found.files.items()}
    turned = replace(found, files=files)
    classes = replace(found, categories={index + 1: id_ for index, id_ in found.categories.items()})
    loss = OwnLoss(len, "")
    sides = (found, fewer, other, turned, classes)
    assert len({Labelled(one, loss).sha256 for one in sides}) == len(sides)


def test_schedule_is_a_share_of_the_original_one() -> None:
    assert (Curriculum().length, Curriculum().rate) == (ITERATIONS, None)
    paper = Curriculum(original_iterations=3000, original_rate=0.01)
    assert paper.length == 300
    assert paper.rate == pytest.approx(1e-4)
