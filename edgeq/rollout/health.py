"""Does a release still see as well, and as fast, on this board? Asked before it becomes current.

The first board that gets an artifact is judged as a deploy is, by the recipe's gates. All find in
a few images what that one found, and take turns with the release that they ran before.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from edgeq.agent.errors import BAD_ARTIFACT, DIED, NO_FILE, OUT_OF_MEMORY
from edgeq.artifact.folder import Artifact
from edgeq.cost.turns import COSTS, in_wrong_mode, typical
from edgeq.device.device import Device
from edgeq.errors import DeviceError, EdgeqError
from edgeq.evaluation.parts import PartsDivergence, parts_divergence
from edgeq.progress import silent
from edgeq.records.measurement import Measurement
from edgeq.records.report import Report
from edgeq.records.rollout import Reference
from edgeq.rollout.failures import UNLIKE, WORSE
from edgeq.rollout.work import Work, golden_images
from edgeq.spec.fleet.fleet import FleetDevice
from edgeq.spec.strategy import Strategy
from edgeq.stages.bench import bench, shortened, shown_images, threads
from edgeq.stages.build import Build
from edgeq.stages.check import Checked
from edgeq.stages.judged_turns import judged_turns
from edgeq.stages.outputs import decoder_of
from edgeq.stages.predict import DIVERGENCE_IMAGES, Manner, answered, raw_outputs
from edgeq.verbs.deploy import attempt

SURE_DB = 40.0
"""Outputs as near to the simulation's as this are the same for every purpose."""
APART_DB = 10.0
"""Ten times the noise power of the first board: another engine may round otherwise, by far less."""
LEAST_DB = 5.0
"""Noise of a third of the signal's power is none of rounding, on the first board neither."""
LACKING = 0.2
"""Of the detections of a model that chooses them itself, so many more may be others."""


def proven(work: Work, checked: Checked, built: Build, keep: Callable[[Report], None]) -> Reference:
    """What the artifact's outputs are where it was judged, which is here if nobody was before.

    The report of that is kept. Raises DeviceError: worse where a gate of the recipe fails, unlike
    where the outputs are others.
    """
    artifact = built.artifact

    def prove() -> Reference:
        report = attempt(checked, built, work.predicted(checked, built)).report
        keep(report)
        _require_gates(report, checked.device)
        found = _golden(work, checked, built)
        _require_alike(found, None, checked.device)
        return Reference(artifact_id=artifact.id, snr_db=found.snr_db, lacking=found.lacking)

    reference, is_new = work.references.get(artifact.id, prove)
    if not is_new:
        _require_alike(_golden(work, checked, built), reference, checked.device)
    return reference


def healthy(
    strategy: Strategy,
    device: FleetDevice,
    checked: Checked,
    artifact: Artifact,
    before: str | None,
) -> dict[str, float]:
    """Log ratios to the release before, by metric; none without one, or where it is the same.

    Raises DeviceError (worse) where the board is slower or fuller by more than the strategy has it,
    or does not keep up with its frame rate.
    """
    board = checked.device
    earlier = None if before in (None, artifact.id) else _fetched(board, str(before))
    if earlier is None:
        if device.frame_rate is not None:
            _require_rate(_measured(checked, artifact).latency_ms(50, "frame"), device, board)
        return {}
    measure = checked.prepared.recipe.measure
    manner = threads(measure, checked.prepared.target, checked.probe), measure.power_mode
    releases = board.push(earlier), board.push(artifact)
    images, options = (
        shown_images(checked.evaluation, checked.prepared.calibration),
        strategy.board.options,
    )
    try:
        found = judged_turns(board, releases, images, options, manner, silent)
    except DeviceError as exc:
        if exc.kind not in (OUT_OF_MEMORY, DIED):
            raise
        # It ran by itself a moment ago; the memory of both together is no fault of the release.
        what = f"it cannot run the release beside the one before: {exc.what}"
        raise DeviceError(board.address, what, "free memory there, and retry") from exc
    wrong = in_wrong_mode(found.loads)
    if wrong:
        what = f"its times say nothing: {next(iter(wrong.values()))}"
        raise DeviceError(board.address, what, "set the power mode that the recipe names")
    worse = [
        f"{one.metric} {one.change.estimate:+.1%} (limit {one.limit:+.1%})"
        for one in found.metrics
        if one.outcome == "worse" and one.change is not None
    ]
    if worse:
        what = f"the release does worse than {earlier.id[:12]} did: {', '.join(worse)}"
        raise DeviceError(board.address, what, kind=WORSE)
    _require_rate(typical(found.loads, COSTS["frame"].figures)[1] / 1e6, device, board)
    return {
        one.metric: math.log1p(one.change.estimate)
        for one in found.metrics
        if one.change is not None
    }


def _measured(checked: Checked, artifact: Artifact) -> Measurement:
    board, prepared = checked.device, checked.prepared
    options, release = shortened(prepared.recipe.measure), board.push(artifact)
    images = shown_images(checked.evaluation, checked.prepared.calibration)
    return bench(board, release, images, options, prepared.target, checked.probe, silent)


def _fetched(board: Device, before: str) -> Artifact | None:
    """The release before; None where that is damaged, so that there is nothing to compare with."""
    try:
        return board.fetch(before)
    except DeviceError as exc:
        if exc.kind not in (BAD_ARTIFACT, NO_FILE):
            raise
        return None


def _require_gates(report: Report, board: Device) -> None:
    failed = [
        f"{one.gate} {one.status}" + (f" ({one.reason})" if one.reason else "")
        for one in report.verdicts
        if one.status != "passed"
    ]
    if report.exit_code == 1:
        what = f"the release fails the recipe's gates: {', '.join(failed)}"
        raise DeviceError(board.address, what, f"see report {report.id}", kind=WORSE)
    if report.exit_code:
        what = f"the release could not be judged there: {', '.join(failed)}"
        raise DeviceError(board.address, what, f"see report {report.id}")


def _require_rate(frame_ms: float, device: FleetDevice, board: Device) -> None:
    if device.frame_rate is not None and frame_ms * device.frame_rate > 1000.0:
        what = f"it takes {frame_ms:.3g} ms a frame, and {device.frame_rate:g} frames come a second"
        raise DeviceError(board.address, what, kind=WORSE)


def _golden(work: Work, checked: Checked, built: Build) -> PartsDivergence:
    """How near the board's outputs are to the simulation's in a few images, by part."""
    prepared = checked.prepared
    count = threads(prepared.recipe.measure, prepared.target, checked.probe)
    manner = Manner(count, keep_count=DIVERGENCE_IMAGES, is_known=False)
    images = golden_images(checked)
    expected = work.simulated(checked, built).outputs
    found = answered(checked.device, built.artifact, images, manner, silent, "golden")
    with work.comparing:
        outputs = found.outputs()
        try:
            return parts_divergence(decoder_of(prepared.recipe), raw_outputs(expected, outputs))
        except EdgeqError as exc:  # other names or shapes than a release of this model has
            raise DeviceError(checked.device.address, exc.what, kind=UNLIKE) from exc


def _require_alike(found: PartsDivergence, first: Reference | None, board: Device) -> None:
    """DeviceError (unlike) unless outputs are about as near to the simulation's as the first's."""
    remedy = "it computes something else there: see whether its engine is damaged"
    for part, here in found.snr_db.items():
        there = first.snr_db.get(part) if first else LEAST_DB
        limit = max(LEAST_DB, min(SURE_DB if there is None else there, SURE_DB) - APART_DB)
        if here is not None and here < limit:
            what = f"its {part} are {here:.0f} dB from the simulation's, at least {limit:.0f} dB"
            raise DeviceError(board.address, f"{what} are expected", remedy, kind=UNLIKE)
    most = (first.lacking or 0.0 if first else 0.5) + LACKING
    if found.lacking is not None and found.lacking > most:
        what = f"{found.lacking:.0%} of its detections and the simulation's are others"
        raise DeviceError(board.address, f"{what}, at most {most:.0%}", remedy, kind=UNLIKE)
