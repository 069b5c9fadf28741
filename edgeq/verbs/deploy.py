"""The whole flow: build, push, verify, measure, judge, activate, keep. The Python API.

report = edgeq.deploy("recipe.yaml", "local")
sys.exit(report.exit_code)
"""

from __future__ import annotations

import datetime
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from edgeq.artifact import signing
from edgeq.cost.gain import gain
from edgeq.cost.profile import speedup
from edgeq.device import trust
from edgeq.device.connection import HERE, Address
from edgeq.progress import Progress, silent
from edgeq.quantization.coverage import between
from edgeq.records.files import check_writable, write_json
from edgeq.records.report import Column, ColumnName, Divergence, Report
from edgeq.runtimes import runtime
from edgeq.spec.gates import Gates, judge
from edgeq.spec.recipe import Recipe
from edgeq.spec.target import Target
from edgeq.stages import build as building
from edgeq.stages import evidence
from edgeq.stages.build import Build
from edgeq.stages.check import Checked, check, check_possible_room, check_room
from edgeq.stages.columns import evaluate, measured, predicted_here
from edgeq.stages.device_errors import device_errors
from edgeq.stages.predict import Predictions
from edgeq.stages.seen import remarks, seen
from edgeq.store import open_store
from edgeq.verbs.build import steps_of
from edgeq.versions import version, versions


@dataclass
class Stopwatch:
    """Seconds spent in each stage."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add what the block takes to a stage's time."""
        started = time.monotonic()
        yield
        spent = time.monotonic() - started
        self.seconds[name] = round(self.seconds.get(name, 0.0) + spent, 3)


def deploy(
    recipe: str | Path | Recipe,
    target: str | Target,
    store: str | None = None,
    progress: Progress = silent,
    report_path: Path | None = None,
    address: Address = HERE,
    sign: Path | None = None,
) -> Report:
    """Build, push, verify, measure and judge; the release becomes current if all gates pass.

    `address` says where a target over SSH is, `sign` is an SSH key to sign the release with. The
    report is appended to the store (`store` is a URL, by default EDGEQ_STORE) and written to
    `report_path`, if given. Raises InputError(s) before anything is touched, DeviceError when the
    device fails.
    """
    clock = Stopwatch()
    with clock.stage("check"):
        checked = check(recipe, target, address)
    with checked.device as device:
        with clock.stage("check"):
            shelf = open_store(store)
            if report_path is not None:
                check_writable(report_path)
            demanded = trust.signers(checked.prepared.target)
            trust.require_key(checked.prepared.target, device, sign)
            check_possible_room(checked)
        with clock.stage("build"):
            built = building.build(checked.prepared, progress)
            if sign is not None:
                built = replace(built, artifact=signing.sign(built.artifact, sign))
        with clock.stage("evaluate"):
            here = predicted_here(checked.prepared, checked.evaluation, built, progress)
        tried = attempt(checked, built, here, progress, clock)
        report = tried.report
        # What was measured is safe before anything changes on the device.
        if report_path is not None:
            write_json(report, report_path)
        shelf.add(report)
        promote(checked, report, demanded)
        # A page can do without it: whatever an engine or the memory says here, what was measured
        # and activated stays as it is.
        with suppress(Exception):
            on_device = device_errors(checked, built, progress)
            evidence.keep(evidence.gathered(report.id, checked, built, tried.found, on_device))
    return report


@dataclass(frozen=True)
class Attempt:
    """What a deploy came to, and what each column found in the evaluation images."""

    report: Report
    found: Mapping[ColumnName, Predictions]


def attempt(
    checked: Checked,
    built: Build,
    here: Mapping[ColumnName, Predictions],
    progress: Progress = silent,
    clock: Stopwatch | None = None,
) -> Attempt:
    """Try what was built on one device: push, verify, measure and judge; nothing is activated.

    `here` is what was predicted on this machine, which is the same for every device. The device is
    locked from here on, until its session ends. Raises DeviceError when it fails, or is taken.
    """
    clock = clock or Stopwatch()
    device = checked.device
    with clock.stage("push"):
        device.lock(f"deploy {checked.recipe_name}")
        check_room(checked)
        device.push(built.artifact, progress)
    with clock.stage("evaluate"):
        evaluated = evaluate(checked, built, here, progress)
        calibrated = seen(checked.prepared, built, checked.evaluation)
    with clock.stage("bench"):
        columns = measured(checked, evaluated.columns, built, progress)
    report = _report(checked, built, columns, evaluated.divergence, clock)
    notes = (*report.notes, *remarks(calibrated))
    report = report.model_copy(update={"calibration": calibrated, "notes": notes})
    return Attempt(report, evaluated.found)


def promote(checked: Checked, report: Report, signers: Sequence[str] = ()) -> None:
    """Make what was tried the device's current release if all gates passed; clean up behind it.

    Only after `attempt` in the same session; its signature has to verify against each text of
    `signers`. Raises DeviceError.
    """
    if report.exit_code == 0:
        checked.device.activate(report.artifact_id, signers)
    checked.device.collect()


def deploy_steps(
    recipe: str | Path | Recipe,
    target: str | Target,
    report_path: Path | None = None,
    address: Address = HERE,
    sign: Path | None = None,
) -> list[str]:
    """What `deploy` would do, in words; everything is checked, and the device not touched."""
    checked = check(recipe, target, address, keep=False)
    with checked.device as device:
        if report_path is not None:
            check_writable(report_path)
        trust.require_key(checked.prepared.target, device, sign)
        return list(steps(checked))


def _report(
    checked: Checked,
    built: Build,
    columns: tuple[Column, ...],
    divergence: Divergence | None,
    clock: Stopwatch,
) -> Report:
    gates = _gates(checked)
    gained = speedup(columns, built.plan.weights)
    beside = gain(columns, between(checked.prepared.model, built.plan.decisions))
    verdicts = judge(gates, columns, built.artifact.size_bytes, divergence, gained, beside)
    report = Report(
        id=uuid.uuid4().hex[:12],
        created_at=datetime.datetime.now(datetime.UTC),
        edgeq_version=version(),
        recipe=checked.recipe_name,
        recipe_sha256=checked.recipe_sha256,
        model_sha256=checked.prepared.model.sha256,
        target=checked.prepared.target.name,
        device=checked.device.address,
        artifact_id=built.artifact.id,
        artifact_bytes=built.artifact.size_bytes,
        columns=columns,
        divergence=divergence,
        speedup=gained,
        gain=beside,
        verdicts=verdicts,
        notes=_notes(checked, built),
        layers_quantized=built.plan.layers_quantized,
        layers_float=built.plan.layers_float,
        stage_seconds=clock.seconds,
        versions=versions(),
        probe=checked.probe.model_dump(mode="json"),
        prices=checked.prepared.target.prices,
    )
    if report.exit_code == 0:
        return report
    note = f"release {built.artifact.id[:12]} lies on the device, but was not made current"
    return report.model_copy(update={"notes": (*report.notes, note)})


def _gates(checked: Checked) -> Gates:
    """The recipe's gates; the target's memory limit is one too."""
    gates = checked.prepared.recipe.gates
    limit = checked.prepared.target.limits.memory_bytes
    if limit is None:
        return gates
    return gates.model_copy(
        update={"peak_memory_bytes": min(gates.peak_memory_bytes or limit, limit)}
    )


def _notes(checked: Checked, built: Build) -> tuple[str, ...]:
    lint = []
    for mix in built.mixing:
        decision = built.plan.decisions.get(mix.node)
        state = "quantized: expect a collapse" if decision and decision.quantized else "left float"
        lint.append(f"{mix} ({state})")
    labels = checked.evaluation.notes if checked.evaluation else ()
    return (*checked.prepared.notes, *labels, *lint, *checked.device.notes)


def steps(checked: Checked) -> Iterator[str]:
    """What `deploy` would do, in words."""
    recipe, device = checked.prepared.recipe, checked.device
    yield from steps_of(checked.prepared)
    yield f"push it to {device.address}:{device.root}, and verify it there"
    placement = checked.prepared.placement
    if runtime(placement.runtime).compiled(placement.form, "int8") is not None:
        yield "build its int8 engine there, and the fp16 engine of the float model to compare with"
    else:
        yield f"push the float model to {device.address} too, and measure it there to compare with"
    if checked.evaluation is not None:
        images = len(checked.evaluation.files)
        yield f"evaluate {images} images: float and simulated here, int8 on {device.address}"
    yield f"measure for at least {recipe.measure.min_duration_s:g} s on {device.address}"
    gates = [name for name, limit in recipe.gates if limit is not None]
    yield f"judge {', '.join(gates) or 'nothing: the recipe has no gates'}"
    yield "make it the current release if all gates pass, and append the report to the store"
