"""The whole flow: build, push, verify, measure, judge, activate, keep. The Python API.

report = edgeq.deploy("recipe.yaml", "local")
sys.exit(report.exit_code)
"""

from __future__ import annotations

import datetime
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from edgeq import artifact as artifacts
from edgeq import building
from edgeq import recipe as recipes
from edgeq import target as targets
from edgeq.artifact import Artifact
from edgeq.building import Build, Progress
from edgeq.checking import Checked, bench_images, check, check_room, prepared_for_build
from edgeq.device.device import Device, connect, host
from edgeq.evaluation import bootstrap, score
from edgeq.evaluation.divergence import outputs_snr_db
from edgeq.evaluation.matches import Matches, match
from edgeq.listing import image_files
from edgeq.measurement import Column, Divergence, Measurement, Report
from edgeq.prediction import DIVERGENCE_IMAGES, Predictions, compare_outputs, naming_images, predict
from edgeq.recipe import Gates, Recipe
from edgeq.report.files import check_writable, write_json
from edgeq.report.gates import judge
from edgeq.store import open_store
from edgeq.target import Target
from edgeq.version import version, versions


def _silent(stage: str, done: int, total: int) -> None:
    pass


@dataclass
class _Clock:
    """Seconds spent in each stage."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        started = time.monotonic()
        yield
        self.seconds[name] = round(time.monotonic() - started, 3)


def build(
    recipe: str | Path | Recipe,
    target: str | Target,
    output: Path | None = None,
    progress: Progress = _silent,
) -> Build:
    """Build the artifact; with `output` also copy it there, as a folder or a `.edgeq` file.

    Raises InputError(s) for what is wrong with recipe, target, model or images.
    """
    built = building.build(prepared_for_build(recipe, target), progress)
    if output is not None:
        artifacts.copy(built.artifact, output)
    return built


def measure(
    artifact: str | Path | Artifact,
    target: str | Target,
    images: str | Path,
    options: recipes.Measure | None = None,
    progress: Progress = _silent,
) -> Measurement:
    """Push an artifact and measure its latency and memory on the device; nothing is activated.

    `images` is a folder or list of images to measure with. Raises InputError, DeviceError.
    """
    options = options or recipes.Measure()
    opened = artifact if isinstance(artifact, Artifact) else artifacts.read(Path(artifact))
    kind = target if isinstance(target, Target) else targets.load(target)
    files = image_files(Path(images), str(images))
    device = connect(kind)
    probe = device.probe()
    release = device.push(opened)
    return _bench(device, release, files, options, kind, probe, progress)


def deploy(
    recipe: str | Path | Recipe,
    target: str | Target,
    store: str | None = None,
    progress: Progress = _silent,
    report_path: Path | None = None,
) -> Report:
    """Build, push, verify, measure and judge; the release becomes current if all gates pass.

    The report is appended to the store (`store` is a URL, by default EDGEQ_STORE) and written to
    `report_path`, if given. Raises InputError(s) before anything is touched, DeviceError when the
    device fails.
    """
    clock = _Clock()
    with clock.stage("check"):
        checked = check(recipe, target)
        shelf = open_store(store)
        if report_path is not None:
            check_writable(report_path)
        check_room(checked)
    with clock.stage("build"):
        built = building.build(checked.prepared, progress)
    device = checked.device
    with clock.stage("push"):
        device.push(built.artifact)
    with clock.stage("evaluate"):
        columns, divergence = _evaluate(checked, built, progress)
    with clock.stage("bench"):
        columns = _measured(checked, columns, built, progress)
    gates = _gates(checked)
    verdicts = judge(gates, columns, built.artifact.size_bytes, divergence)
    report = Report(
        id=uuid.uuid4().hex[:12],
        created_at=datetime.datetime.now(datetime.UTC),
        edgeq_version=version(),
        recipe=checked.recipe_name,
        recipe_sha256=checked.recipe_sha256,
        model_sha256=checked.prepared.model.sha256,
        target=checked.prepared.target.name,
        device=device.address,
        artifact_id=built.artifact.id,
        artifact_bytes=built.artifact.size_bytes,
        columns=columns,
        divergence=divergence,
        verdicts=verdicts,
        notes=_notes(checked, built),
        layers_quantized=built.plan.layers_quantized,
        layers_float=_layers_float(built),
        stage_seconds=clock.seconds,
        versions=versions(),
        probe=checked.probe,
    )
    if report.exit_code != 0:
        note = f"release {built.artifact.id[:12]} lies on the device, but was not made current"
        report = report.model_copy(update={"notes": (*report.notes, note)})
    # What was measured is safe before anything changes on the device.
    if report_path is not None:
        write_json(report, report_path)
    shelf.add(report)
    if report.exit_code == 0:
        device.releases.activate(built.artifact.id)
    return report


def _evaluate(
    checked: Checked, built: Build, progress: Progress
) -> tuple[tuple[Column, ...], Divergence | None]:
    """The three columns: float and simulation on the host, the artifact on the device."""
    reference = building.float_artifact(checked.prepared)
    sizes = {
        "float": reference.size_bytes,
        "simulated": None,
        "device": built.artifact.manifest.files[built.artifact.manifest.runtime.model].bytes,
    }
    where = {"float": "host", "simulated": "host", "device": checked.device.address}
    found = _predicted(checked, built, reference, progress)
    matches = {name: _matches(checked, predictions) for name, predictions in found.items()}
    columns = []
    for name in ("float", "simulated", "device"):
        drops: dict[str, Any] = {}
        scored = matches.get(name)
        if scored is not None and name != "float":
            for kind in ("mask", "box"):
                progress(f"resample {name}", 0, 1)
                drops[f"{kind}_ap_drop"] = bootstrap.drop(matches["float"], scored, kind)
                progress(f"resample {name}", 1, 1)
        accuracy = score.accuracy(scored) if scored is not None else None
        columns.append(
            Column(
                name=name, where=where[name], accuracy=accuracy, model_bytes=sizes[name], **drops
            )
        )
    if not found:
        return tuple(columns), None
    simulated, device = columns[1].accuracy, columns[2].accuracy
    gap = None
    if simulated and device and simulated.mask.ap is not None and device.mask.ap is not None:
        gap = simulated.mask.ap - device.mask.ap
    snr = outputs_snr_db(compare_outputs(found["simulated"], found["device"]))
    return tuple(columns), Divergence(mask_ap=gap, snr_db=snr)


def _predicted(
    checked: Checked, built: Build, reference: Artifact, progress: Progress
) -> dict[str, Predictions]:
    if checked.evaluation is None:
        return {}
    files, here = checked.evaluation.files, host()
    count = checked.prepared.recipe.measure.threads or building.threads()
    simulated = "disabled"
    return {
        "float": predict(here, reference, files, "all", count, progress, "float"),
        "simulated": predict(
            here, built.artifact, files, simulated, count, progress, "simulated", DIVERGENCE_IMAGES
        ),
        "device": predict(
            checked.device,
            built.artifact,
            files,
            "all",
            _threads(checked.prepared.recipe.measure, checked.prepared.target, checked.probe),
            progress,
            "device",
            DIVERGENCE_IMAGES,
            remember=False,
        ),
    }


def _matches(checked: Checked, predictions: Predictions) -> Matches:
    evaluation = checked.evaluation
    assert evaluation is not None
    ids = list(evaluation.files)
    return match(evaluation.annotations, predictions.images, evaluation.categories, ids)


def _measured(
    checked: Checked, columns: tuple[Column, ...], built: Build, progress: Progress
) -> tuple[Column, ...]:
    """The columns with the bench of the device; of the float model too where the host is it."""
    prepared, device = checked.prepared, checked.device
    files = list(checked.evaluation.files.values()) if checked.evaluation else prepared.calibration
    runs = {"device": built.artifact}
    if prepared.target.transport == "local":
        runs = {"float": building.float_artifact(prepared), **runs}
    measured = {}
    for name, artifact in runs.items():
        release = device.push(artifact)
        report = partial(_labelled, progress, name)
        measured[name] = _bench(
            device,
            release,
            list(files),
            prepared.recipe.measure,
            prepared.target,
            checked.probe,
            report,
        )
    return tuple(
        column.model_copy(update={"measurement": measured.get(column.name)}) for column in columns
    )


def _labelled(progress: Progress, name: str, stage: str, done: int, total: int) -> None:
    progress(f"{stage} {name}", done, total)


def _bench(
    device: Device,
    release: str,
    files: list[Path],
    options: recipes.Measure,
    target: Target,
    probe: dict[str, Any],
    progress: Progress,
) -> Measurement:
    chosen = bench_images(files)
    device.releases.prepare()
    paths = device.releases.put_files(chosen)
    job = {
        "release": release,
        "images": [paths[file] for file in chosen],
        **options.model_dump(exclude={"threads"}),
        "threads": _threads(options, target, probe),
    }
    with naming_images(paths):
        result = device.bench(job, progress)
    fields = {name: result[name] for name in Measurement.model_fields if name in result}
    emulated = bool(probe["emulated"]["emulated"])
    return Measurement.model_validate({**fields, "emulated": emulated})


def _threads(options: recipes.Measure, target: Target, probe: dict[str, Any]) -> int:
    available = probe["cpu"]["cores_available"] or 1
    return options.threads or target.threads or int(available)


def _gates(checked: Checked) -> Gates:
    """The recipe's gates; the target's memory limit is one too."""
    gates = checked.prepared.recipe.gates
    limit = checked.prepared.target.limits.memory_bytes
    if limit is None:
        return gates
    return gates.model_copy(
        update={"peak_memory_bytes": min(gates.peak_memory_bytes or limit, limit)}
    )


def _layers_float(built: Build) -> int:
    from edgeq.graph.layers import HEAVY

    decisions = built.plan.decisions.values()
    return sum(1 for d in decisions if d.op_type in HEAVY and not d.quantized)


def _notes(checked: Checked, built: Build) -> tuple[str, ...]:
    lint = []
    for mix in built.mixing:
        decision = built.plan.decisions.get(mix.node)
        state = "quantized: expect a collapse" if decision and decision.quantized else "left float"
        lint.append(f"{mix} ({state})")
    return (*checked.prepared.notes, *lint)
