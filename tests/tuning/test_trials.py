"""Single trials on the small demo."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgeq.device.connection import host
from edgeq.progress import silent
from edgeq.stages.check import prepared_for_build
from edgeq.tuning import yardstick
from edgeq.tuning.changes import repaired
from edgeq.tuning.trials import Trials


@pytest.mark.usefixtures("spared")
def test_weights_alone_are_those_of_the_repaired_model(small_demo: Path) -> None:
    prepared = prepared_for_build(small_demo / "recipe.yaml", "local")
    corrected = repaired(prepared.recipe, bias_correction=True, images=1)
    with host() as here:
        scale = yardstick.self_labelled(here, prepared, prepared.calibration[:1], silent)
        trials = Trials(here, prepared, scale, None, silent, lambda *_: None)
        names = ("plain", prepared.recipe), ("corrected", corrected)
        found = [trials.weights_alone(name, recipe) for name, recipe in names]

    assert found[0].artifact != found[1].artifact
