"""Recipes that differ in how they quantize can all be loaded."""

from __future__ import annotations

from pathlib import Path

import yaml

from edgeq.spec import document
from edgeq.spec import recipe as recipes
from edgeq.spec.quantize import Quantize
from edgeq.spec.recipe import Recipe
from edgeq.spec.repair import AdaRound, Reconstruct, Repair
from edgeq.tuning.changes import calibrators, reconstructions
from edgeq.tuning.rewrite import rewritten

from ..runtimes.builds import placement


def test_ranges_are_learned_from_no_other_calibrator_than_max(small_demo: Path) -> None:
    file = small_demo / "recipe.yaml"
    changed = {"quantize": Quantize(), "repair": Repair(reconstruct=Reconstruct(ranges=True))}
    recipe = recipes.load(file).model_copy(update=changed)
    tried = dict(calibrators(recipe, placement()))
    for name, one in tried.items():
        assert one.repair.reconstruct is not None
        assert one.repair.reconstruct.ranges is (True if name.startswith("max") else None)
        text = rewritten(file.read_text(), one, [])
        assert yaml.safe_load(text)["repair"] is not None
        assert document.validate(document.parse(text, file), Recipe) == one


def test_reconstruction_is_tried_from_max_first_and_then_from_what_was_best(
    small_demo: Path,
) -> None:
    file = small_demo / "recipe.yaml"
    start = recipes.load(file)
    best = start.model_copy(update={"repair": Repair(adaround=AdaRound())})

    tried = dict(reconstructions(best))

    learned, own = tried.values()
    assert learned.quantize.activations.calibrator == "max" and learned.repair.adaround is None
    assert own == best.model_copy(update={"repair": own.repair}) and own.repair.adaround
    assert all(one.repair.reconstruct == Reconstruct() for one in tried.values())
    assert list(dict(reconstructions(learned)).values()) == [learned]
    for one in tried.values():
        text = rewritten(file.read_text(), one, [])
        assert document.validate(document.parse(text, file), Recipe) == one
