"""The dossier of a run: what the store, the cache and the folders still have of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from edgeq import reading
from edgeq.errors import EdgeqError, InputError
from edgeq.evaluation import annotations as coco
from edgeq.evaluation.dataset import Dataset
from edgeq.evaluation.insight import look_into
from edgeq.records.accuracy import ImagePrediction
from edgeq.records.dossier import Dossier
from edgeq.records.evidence import RunEvidence
from edgeq.records.insight import Insight
from edgeq.records.report import ColumnName, Report
from edgeq.spec.images import Image
from edgeq.stages import evidence
from edgeq.store import Store, baselines, open_store
from edgeq.verbs.history import METRICS, series

LARGEST = 256 << 20
_LONGEST = 300
_ORDER: tuple[ColumnName, ...] = ("float", "simulated", "fp16", "device")
_GONE = (
    "not on this machine: a run's predictions and statistics are kept in the cache of the machine "
    "that deployed, until 'edgeq cache clear' or the cache's limit takes them"
)


def dossier(runs: Sequence[str | Path], store: str | None = None) -> Dossier:
    """What is known of a run: the first of `runs`, which are beside it, or all of its recipe.

    A run is named by its id in the store, or how that begins, or by its report.json. Raises
    InputError for what names none.
    """
    opened = open_store(store)
    subject, *others = named_runs(runs, opened)
    of_recipe = opened.reports(
        target=subject.target, device=subject.device, limit=_LONGEST, recipes=[subject.recipe]
    )
    beside = others or of_recipe
    found = evidence.kept(subject.id)
    insight, why = (None, _GONE) if found is None else _insight(found)
    shown = {run.id: run for run in (subject, *beside)}
    in_time = sorted({run.id: run for run in (subject, *of_recipe)}.values(), key=_moment)
    real = [run for run in in_time if not _is_emulated(run)]
    return Dossier(
        report=subject,
        evidence=found,
        without_evidence="" if found else _GONE,
        insight=insight,
        without_insight=why,
        runs=tuple(sorted(shown.values(), key=_moment, reverse=True)),
        series=tuple(
            series(name, unit, real if unit == "ms" else in_time) for name, unit in METRICS
        ),
        baselines={
            one.report.id: one.name
            for one in baselines.every(opened)
            if one.report.id in {run.id for run in (*shown.values(), *in_time)}
        },
    )


def named_runs(runs: Sequence[str | Path], opened: Store) -> list[Report]:
    """The runs by their ids in a store, or how those begin, or their report.json.

    Raises InputError for what names none.
    """
    return [_report(opened, str(run)) for run in runs]


def _is_emulated(run: Report) -> bool:
    device = run.column("device")
    return bool(device and device.measurement and device.measurement.emulated)


def _moment(run: Report) -> float:
    return run.created_at.timestamp()


def _report(opened: Store, run: str) -> Report:
    if not (run.endswith(".json") or Path(run).is_file()):
        return opened.report(run)
    try:
        return Report.model_validate_json(reading.content(Path(run), LARGEST))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        told = ": ".join(filter(None, (".".join(map(str, first["loc"])), first["msg"])))
        what = f"is no report that this edgeq can read: {told}"
        raise InputError(run, what, "name a report.json of 'edgeq deploy', or the run's id") from (
            error
        )


def _insight(found: RunEvidence) -> tuple[Insight | None, str]:
    """Where the accuracy goes, or why that cannot be told."""
    if not found.predictions:
        return None, "not measured: the recipe evaluates nothing"
    path = Path(found.annotations)
    try:
        loaded = coco.load(path)
    except EdgeqError as exc:
        return None, f"the annotations cannot be read any more: {exc}"
    if loaded.sha256 != found.annotations_sha256:
        return None, f"{path} is not what it was when this run was judged by it"
    files = {one.id: Image(Path(one.path), one.sha256) for one in found.images}
    columns: dict[str, tuple[ImagePrediction, ...]] = {
        name: found.predictions[name] for name in _ORDER if name in found.predictions
    }
    dataset = Dataset(loaded, files, found.categories)
    return look_into(dataset, columns, found.deploy_threshold), ""
