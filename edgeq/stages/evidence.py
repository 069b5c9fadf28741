"""Evidence: what a deploy leaves in the cache for who looks at its report later."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from edgeq import cache
from edgeq.errors import EdgeqError
from edgeq.records.evidence import RunEvidence, SeenImage
from edgeq.records.report import ColumnName
from edgeq.stages.build import Build
from edgeq.stages.check import Checked
from edgeq.stages.histograms import layers_seen, worst_histograms
from edgeq.stages.layer_errors import LayerErrors, layer_errors, unmeasured
from edgeq.stages.plan import known_statistics
from edgeq.stages.predict import Predictions

CACHE = cache.Cache("evidence")


def gathered(
    run: str,
    checked: Checked,
    built: Build,
    found: Mapping[ColumnName, Predictions],
    on_device: LayerErrors,
) -> RunEvidence:
    """The evidence of a run; what its columns found in the images is `found`."""
    prepared = checked.prepared
    recipe, evaluation = prepared.recipe, checked.evaluation
    statistics = known_statistics(prepared)
    try:
        simulated = layer_errors(prepared, built)
    # A deploy that is done does not fail for what a page would show beside it.
    except EdgeqError as exc:
        simulated = unmeasured(str(exc))
    both = simulated.arrived_db, on_device.arrived_db
    layers = layers_seen(prepared, built.plan, statistics, *both)
    about = RunEvidence(
        run=run,
        recipe_text=checked.recipe_text,
        plan_json=built.plan.to_json(),
        classes=recipe.task.classes,
        score_threshold=recipe.task.score_threshold,
        deploy_threshold=recipe.task.deploy_threshold,
        layers=layers,
        simulated_errors=simulated.said,
        device_errors=on_device.said,
        histograms=worst_histograms(prepared, built.plan, statistics, layers),
    )
    if evaluation is None:
        return about
    annotations = Path(evaluation.annotations.where)
    evaluated = {
        "images": tuple(
            SeenImage(
                id=id_,
                path=str(image.path.absolute()),
                sha256=image.sha256,
                stored=image.stored,
            )
            for id_, image in evaluation.files.items()
        ),
        "annotations": str(annotations.absolute()),
        "annotations_sha256": evaluation.annotations.sha256,
        "categories": evaluation.categories,
        "predictions": {name: predictions.images for name, predictions in found.items()},
    }
    return about.model_copy(update=evaluated)


def keep(evidence: RunEvidence) -> None:
    """Into the cache, under the run's id; a disk without room for it costs the run nothing."""
    with suppress(OSError):
        CACHE.write(evidence.run, zlib.compress(evidence.model_dump_json().encode(), 6))


def kept(run: str) -> RunEvidence | None:
    """That of a run; None where the cache has none, or an edgeq of another form wrote it."""
    try:
        content = CACHE.read(run)
        if content is None:
            return None
        return RunEvidence.model_validate_json(zlib.decompress(content))
    # In a foreign report.json the id of the run may be anything, and no key.
    except (ValueError, zlib.error):
        return None
