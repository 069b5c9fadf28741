"""What a deploy leaves for who looks at its report later."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgeq.cache import Cache
from edgeq.evaluation import annotations as coco
from edgeq.evaluation.matches import match
from edgeq.evaluation.score import accuracy
from edgeq.quantization.plan import Plan
from edgeq.records.report import Report
from edgeq.spec.images import hash_of
from edgeq.stages import evidence
from edgeq.store import open_store


@pytest.fixture
def report(before: str) -> Report:
    """That of the demo's deploy, whose evidence lies in this test's own folder."""
    [found] = open_store().reports()
    assert found.artifact_id == before
    return found


def test_its_predictions_score_as_the_report_says(report: Report, small_demo: Path) -> None:
    found = evidence.kept(report.id)
    assert found is not None
    labels = coco.load(Path(found.annotations))

    for column in report.columns:
        matches = match(
            labels,
            found.predictions[column.name],
            found.categories,
            [image.id for image in found.images],
        )
        assert accuracy(matches) == column.accuracy


def test_images_recipe_and_plan_are_those_of_the_run(report: Report, small_demo: Path) -> None:
    found = evidence.kept(report.id)
    assert found is not None

    assert found.recipe_text == (small_demo / "recipe.yaml").read_text()
    assert Plan.from_json(found.plan_json).layers_quantized == report.layers_quantized
    for image in found.images:
        assert hash_of(Path(image.path)) == image.sha256


def test_layers_and_histograms_say_what_is_lost(report: Report) -> None:
    found = evidence.kept(report.id)
    assert found is not None
    int8 = [layer for layer in found.layers if layer.is_heavy and layer.quantized]

    assert len(int8) == report.layers_quantized
    assert all(layer.snr_db is not None and 10 < layer.snr_db < 80 for layer in int8)
    known = sorted(layer.snr_db for layer in found.layers if layer.snr_db is not None)
    by_tensor = {layer.tensor: layer.snr_db for layer in found.layers}
    assert [by_tensor[one.tensor] for one in found.histograms] == known[: len(found.histograms)]
    for one in found.histograms:
        assert {end.calibrator.split()[0] for end in one.ends} == {
            *("entropy", "max", "mse", "percentile")
        }
        assert [end.calibrator for end in one.ends if end.chosen] == ["percentile 99.99"]


def test_evidence_of_another_form_is_none(report: Report) -> None:
    Cache("evidence").write(report.id, b"damaged")

    assert evidence.kept(report.id) is None
    assert evidence.kept("0" * 12) is None
