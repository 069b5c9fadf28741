"""Recipes that differ in how they quantize can all be loaded."""

from __future__ import annotations

from pathlib import Path

import yaml

from edgeq.spec import document
from edgeq.spec import recipe as recipes
from edgeq.spec.quantize import Quantize
from edgeq.spec.recipe import Recipe
from edgeq.spec.repair import Reconstruct, Repair
from edgeq.tuning.changes import calibrators
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
