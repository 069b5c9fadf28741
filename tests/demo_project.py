"""A demo project of few images, written once, which tests copy or read."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgeq.demo.project import write_demo

SHORT = "\nmeasure: {warmup_s: 0, max_warmup_s: 0.1, min_duration_s: 0.1, min_count: 5}\n"


@pytest.fixture(scope="session")
def small_demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its folder: 8 images to calibrate with, 6 to evaluate, a short measurement."""
    folder = tmp_path_factory.mktemp("small") / "demo"
    write_demo(folder, calibration_count=8, evaluation_count=6)
    recipe = folder / "recipe.yaml"
    recipe.write_text(recipe.read_text().replace("count: 64", "count: 8") + SHORT)
    return folder
