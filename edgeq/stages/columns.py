"""The columns of a report: what each of float, simulation and device found and cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from edgeq.agent.errors import BAD_ARTIFACT, DIED, ENGINE, OUT_OF_MEMORY
from edgeq.artifact.folder import Artifact
from edgeq.device.connection import host
from edgeq.errors import DeviceError
from edgeq.evaluation import bootstrap, score
from edgeq.evaluation.agreement import agreeing, agreement, own_labels
from edgeq.evaluation.dataset import Dataset
from edgeq.evaluation.deployed import Scored, deployed
from edgeq.evaluation.doubt import doubt
from edgeq.evaluation.evaluator import KINDS
from edgeq.evaluation.matches import Matches, match
from edgeq.evaluation.parts import parts_divergence
from edgeq.progress import Progress
from edgeq.records.measurement import Measurement
from edgeq.records.report import Column, ColumnName, Divergence
from edgeq.spec.recipe import Measure
from edgeq.stages.bench import asked, bench, shortened, shown_images, threads
from edgeq.stages.build import Build
from edgeq.stages.check import Checked
from edgeq.stages.one_file import float_artifact
from edgeq.stages.outputs import decoder_of
from edgeq.stages.predict import DIVERGENCE_IMAGES, Manner, Predictions, predict, raw_outputs
from edgeq.stages.prepare import Prepared, cores
from edgeq.stages.references import float_on_device, fp16_artifact, simulation

_COMPARED = ("simulated", "device")
_UNABLE = (BAD_ARTIFACT, DIED, ENGINE, OUT_OF_MEMORY)
"""What a device says of a float model that it cannot run, which is no fault of the release."""


@dataclass(frozen=True)
class Evaluated:
    """The columns without their measurements, and what each found in the images, if any."""

    columns: tuple[Column, ...]
    divergence: Divergence | None
    found: Mapping[ColumnName, Predictions]


def evaluate(
    checked: Checked, built: Build, here: Mapping[ColumnName, Predictions], progress: Progress
) -> Evaluated:
    """The columns: float and simulation as found on the host, and what the device finds."""
    reference = float_artifact(checked.prepared)
    half = fp16_artifact(checked.prepared, built)
    sizes = {
        "float": reference.size_bytes,
        "simulated": None,
        "fp16": half.size_bytes if half else None,
        "device": built.artifact.manifest.files[built.artifact.manifest.runtime.model].bytes,
    }
    address = checked.device.address
    where: dict[ColumnName, str] = {"float": "host", "simulated": "host"}
    where |= {"fp16": address, "device": address} if half else {"device": address}
    found = _predicted(checked, built, here, half, progress)
    matches = {name: _matches(checked, predictions) for name, predictions in found.items()}
    own = _own_labels(checked, found)
    columns = []
    for name in where:
        drops: dict[str, Any] = {}
        scored = matches.get(name)
        if scored is not None and own is not None and name != "float":
            for done, kind in enumerate(KINDS):
                progress(f"resample {name}", done, len(KINDS) + 1)
                drops[f"{kind}_ap_drop"] = bootstrap.drop(matches["float"], scored, kind)
            progress(f"resample {name}", len(KINDS), len(KINDS) + 1)
            drops["agreement"] = agreement(agreeing(own, found[name].images))
            progress(f"resample {name}", len(KINDS) + 1, len(KINDS) + 1)
        accuracy = score.accuracy(scored) if scored is not None else None
        threshold = checked.prepared.recipe.task.deploy_threshold
        if scored is not None and threshold is not None:
            first, side = (Scored(matches[n], found[n].images) for n in ("float", name))
            drops["deployed"] = deployed(side, threshold, first if name != "float" else None)
        columns.append(
            Column(
                name=name, where=where[name], accuracy=accuracy, model_bytes=sizes[name], **drops
            )
        )
    columns = [_doubted(checked, c, matches, found) if c.name == "float" else c for c in columns]
    if not found:
        return Evaluated(tuple(columns), None, {})
    simulated, device = (next(c for c in columns if c.name == n).accuracy for n in _COMPARED)
    gap = None
    if simulated and device and simulated.mask.ap is not None and device.mask.ap is not None:
        gap = simulated.mask.ap - device.mask.ap
    parts = parts_divergence(
        decoder_of(checked.prepared.recipe),
        raw_outputs(found["simulated"].outputs, found["device"].outputs),
    )
    apart = Divergence(mask_ap=gap, snr_db=parts.snr_db, lacking=parts.lacking)
    return Evaluated(tuple(columns), apart, found)


def _own_labels(checked: Checked, found: Mapping[ColumnName, Predictions]) -> Dataset | None:
    """What the float model finds in the evaluation images, as labels."""
    if checked.evaluation is None:
        return None
    classes = checked.prepared.recipe.task.classes
    return own_labels(found["float"].images, checked.evaluation.files, classes)


def _doubted(
    checked: Checked,
    column: Column,
    matches: Mapping[ColumnName, Matches],
    found: Mapping[ColumnName, Predictions],
) -> Column:
    """The float model's column, with why nothing can be told from it where that is so."""
    evaluation = checked.evaluation
    if evaluation is None:
        return column
    floor, images = evaluation.float_ap_floor, found["float"].images
    kinds, reason = doubt(matches["float"], evaluation.annotations, images, floor)
    return column.model_copy(update={"doubtful": kinds, "doubt": reason})


def predicted_here(
    prepared: Prepared, evaluation: Dataset | None, built: Build, progress: Progress
) -> dict[ColumnName, Predictions]:
    """What the float model and the simulation find on this machine; no device is needed for it.

    Empty where the recipe evaluates nothing.
    """
    if evaluation is None:
        return {}
    files = evaluation.files
    count = prepared.recipe.measure.threads or cores()
    simulated = Manner(count, "disabled", DIVERGENCE_IMAGES)
    reference, model = float_artifact(prepared), simulation(prepared, built)
    with host() as here:
        return {
            "float": predict(here, reference, files, Manner(count), progress, "float"),
            "simulated": predict(here, model, files, simulated, progress, "simulated"),
        }


def _predicted(
    checked: Checked,
    built: Build,
    here: Mapping[ColumnName, Predictions],
    half: Artifact | None,
    progress: Progress,
) -> dict[ColumnName, Predictions]:
    if checked.evaluation is None:
        return {}
    files = checked.evaluation.files
    count = threads(checked.prepared.recipe.measure, checked.prepared.target, checked.probe)
    manner = Manner(count, is_known=False)
    device, found = checked.device, dict(here)
    if half is not None:
        found["fp16"] = predict(device, half, files, manner, progress, "fp16")
    kept = replace(manner, keep_count=DIVERGENCE_IMAGES)
    found["device"] = predict(device, built.artifact, files, kept, progress, "device")
    return found


def _matches(checked: Checked, predictions: Predictions) -> Matches:
    evaluation = checked.evaluation
    assert evaluation is not None
    ids = list(evaluation.files)
    return match(evaluation.annotations, predictions.images, evaluation.categories, ids)


def measured(
    checked: Checked, columns: tuple[Column, ...], built: Build, progress: Progress
) -> tuple[Column, ...]:
    """The columns with the bench of the device: int8, and the float model in the same engine.

    Where the device cannot run the float model, its column says why.
    """
    prepared, device = checked.prepared, checked.device
    options = asked(prepared.recipe)
    chosen = shown_images(checked.evaluation, prepared.calibration)

    def run(name: ColumnName, artifact: Artifact, options: Measure) -> Measurement:
        release, report = device.push(artifact), partial(_labelled, progress, name)
        return bench(device, release, chosen, options, prepared.target, checked.probe, report)

    found: dict[str, dict[str, Any]] = {}
    half = fp16_artifact(prepared, built)
    if half is not None:
        found["fp16"] = {"measurement": run("fp16", half, prepared.recipe.measure)}
    else:
        try:
            exact = run("float", float_on_device(prepared, built), shortened(options))
            found["float"] = {"measurement": exact}
            if prepared.target.transport != "local":
                found["float"]["where"] = f"host, timed on {device.address}"
        except DeviceError as exc:
            if exc.kind not in _UNABLE:
                raise
            found["float"] = {"unmeasured": f"the float model on the device: {exc.what}"}
    found["device"] = {"measurement": run("device", built.artifact, options)}
    return tuple(column.model_copy(update=found.get(column.name, {})) for column in columns)


def _labelled(progress: Progress, name: str, stage: str, done: int, total: int) -> None:
    progress(f"{stage} {name}", done, total)
