"""A board's gold artifact: measured again and again, it tells whether the board is what it was."""

from __future__ import annotations

import datetime
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from edgeq.artifact import archive
from edgeq.device.connection import HERE, Address
from edgeq.errors import InputError
from edgeq.evaluation.dataset import evaluation_of
from edgeq.progress import Progress, silent
from edgeq.records.health import Health, HealthFigure
from edgeq.records.measurement import Stage
from edgeq.significance.usual import usual_range
from edgeq.spec import target as targets
from edgeq.spec.recipe import Recipe
from edgeq.spec.target import Target
from edgeq.stages.bench import images_to_run, recipe_of
from edgeq.store import health, open_store
from edgeq.verbs.baseline import baseline
from edgeq.verbs.measure import measure

_CONFIDENCE, _LEAST = 0.99, 0.05
_STAGES: tuple[Stage, ...] = ("inference", "frame")


def check_gold(
    gold: str,
    target: str | Target,
    recipe: str | Path | Recipe,
    store: str | None = None,
    progress: Progress = silent,
    address: Address = HERE,
) -> Health:
    """Measure a baseline's artifact on a board, and hold it against how that did there before.

    The recipe says on which images and how. What is found is appended to the store, where the next
    check finds it. What was unstable or off does not count: where a board has changed for good, a
    newer run as the baseline begins a new history. Raises InputError(s), DeviceError.
    """
    opened = open_store(store)
    kept = baseline(gold, store)
    kind = target if isinstance(target, Target) else targets.load(target)
    meant = kept.baseline.report
    if meant.target != kind.name:
        what = f"is of target {meant.target}, and this board is {kind.name}"
        raise InputError(f"baseline '{gold}'", what, "name one for each target: 'gold-{target}'")
    if kept.folder is None:
        what = "its artifact is not on this machine"
        raise InputError(f"baseline '{gold}'", what, "deploy it again, and set the baseline again")
    artifact = archive.read(kept.folder)
    read = recipe_of(recipe)
    assert read is not None
    images = images_to_run(None, read, evaluation_of(read))
    found = measure(artifact, kind, None, read.measure, progress, address, read)
    described = [
        meant.id,
        artifact.id,
        found.threads,
        read.measure.model_dump(mode="json", include={"soak", "cuda_graph", "power_mode"}),
        *(image.key for image in images),
    ]
    made = Health(
        created_at=datetime.datetime.now(datetime.UTC),
        target=kind.name,
        device=address.host or "local",
        gold=gold,
        artifact_id=artifact.id,
        workload=hashlib.sha256(json.dumps(described).encode()).hexdigest(),
        figures={stage: HealthFigure(measured_ms=found.latency_ms(50, stage)) for stage in _STAGES},
        unstable=found.unstable,
    )
    judged = _judged(made, health.usual(opened, made.device, made.workload))
    health.keep(opened, judged)
    return judged


def _judged(made: Health, earlier: Sequence[Health]) -> Health:
    """With where each figure usually lies."""
    figures = {}
    for name, one in made.figures.items():
        known = [past.figures[name].measured_ms for past in earlier]
        usual = usual_range(known, _CONFIDENCE, _LEAST)
        figures[name] = one.model_copy(update={"usual_ms": usual, "earlier": len(known)})
    return made.model_copy(update={"figures": figures})
