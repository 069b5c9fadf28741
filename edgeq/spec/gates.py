"""Gates: what a recipe can demand of what was measured, and how each of them is judged.

The fields of `Gates` are the one list of them. Each says in its annotation how it is judged, in
which unit it is shown, and what it needs; adding one is a field here, and its function.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Literal

from pydantic import Field

from edgeq.records.accuracy import Deployed, Interval
from edgeq.records.measurement import Measurement, Stage
from edgeq.records.report import Column, Divergence, Gain, Speedup, Verdict, VerdictStatus
from edgeq.significance.percentiles import needed
from edgeq.spec.values import Bytes, Fraction, Part, PositiveFloat

Unit = Literal["AP", "share", "score", "ms", "bytes", "dB", "ratio"]
Drop = Annotated[float, Field(le=1)]
_NOT_DEPLOYED = "nothing was scored at the deploy threshold"


@dataclass(frozen=True)
class Outcome:
    """What a deploy found out, as far as gates ask for it."""

    columns: tuple[Column, ...]
    artifact_bytes: int
    divergence: Divergence | None = None
    speedup: Speedup | None = None
    gain: Gain | None = None

    @property
    def device(self) -> Column | None:
        """The device's own figures, which alone pass or fail a gate."""
        return next((column for column in self.columns if column.name == "device"), None)

    @property
    def deployed(self) -> Deployed | None:
        """What the device finds at the application's threshold."""
        return self.device.deployed if self.device else None

    def doubt(self, kind: Literal["mask", "box"]) -> str:
        """Why a loss of this AP says nothing; empty where it does."""
        return next((c.doubt for c in self.columns if kind in c.doubtful), "")

    @property
    def measurement(self) -> Measurement | None:
        """What was timed on the device."""
        return self.device.measurement if self.device else None


@dataclass(frozen=True)
class Gate:
    """How one gate is judged, from its name, its limit and the evidence.

    The limit is an upper one unless it is to be reached `at_least`. A gate that `needs_annotations`
    is refused in a recipe that evaluates nothing, one that `needs_threshold` in one that does not
    say at which score the application keeps a detection. `percentile` is the one that it is about,
    which takes its number of samples.
    """

    judge: Callable[[str, float, Outcome], Verdict]
    unit: Unit
    at_least: bool = False
    needs_annotations: bool = False
    needs_threshold: bool = False
    percentile: int | None = None


def judge(
    gates: Gates,
    columns: Sequence[Column],
    artifact_bytes: int,
    divergence: Divergence | None,
    speedup: Speedup | None = None,
    gain: Gain | None = None,
) -> tuple[Verdict, ...]:
    """A verdict for every gate that the recipe sets, in the order of the fields.

    Only the device's own figures pass or fail a gate. Latency and memory of an unstable
    measurement, and latency of an emulated device, are never judged: the reason says why.
    """
    evidence = Outcome(tuple(columns), artifact_bytes, divergence, speedup, gain)
    registered = all_gates()
    limits = {name: limit for name, limit in gates if limit is not None}
    return tuple(registered[name].judge(name, limit, evidence) for name, limit in limits.items())


def _drop(kind: Literal["mask", "box"], gate: str, limit: float, evidence: Outcome) -> Verdict:
    doubt = evidence.doubt(kind)
    if doubt:
        return _not_judged(gate, limit, doubt)
    device = evidence.device
    drop = None
    if device is not None:
        drop = device.mask_ap_drop if kind == "mask" else device.box_ap_drop
    if drop is None:
        reason = "no device was measured" if device is None else "there is no accuracy to compare"
        return _not_measured(gate, limit, reason)
    return _resolved(_at_most(gate, limit, drop.estimate), drop, limit)


def _agreement(gate: str, limit: float, evidence: Outcome) -> Verdict:
    """On the worse of mask and box, which need no labels: only what the float model finds."""
    device = evidence.device
    if device is None or device.accuracy is None:
        reason = "no device was measured" if device is None else "nothing was predicted to compare"
        return _not_measured(gate, limit, reason)
    if device.agreement is None:
        reason = "the float model itself finds nothing in the evaluation images to agree with"
        return _not_judged(gate, limit, reason)
    kind, found = device.agreement.worse
    verdict = _resolved(_at_least(gate, limit, found.estimate), found, limit)
    return verdict.model_copy(update={"reason": "; ".join(filter(None, (kind, verdict.reason)))})


Figure = Literal["precision", "recall", "f1"]


def _deployed_drop(
    kind: Literal["mask", "box"], figure: Figure, gate: str, limit: float, evidence: Outcome
) -> Verdict:
    doubt = evidence.doubt(kind)
    if doubt:
        return _not_judged(gate, limit, doubt)
    deployed = evidence.deployed
    if deployed is None:
        return _not_measured(gate, limit, _NOT_DEPLOYED)
    at = deployed.mask if kind == "mask" else deployed.box
    drop: Interval | None = getattr(at, f"{figure}_drop")
    if drop is None:
        reason = f"float or device finds nothing at score {deployed.threshold:g} to take it of"
        return _not_measured(gate, limit, reason)
    return _resolved(_at_most(gate, limit, drop.estimate), drop, limit)


def _score_shift(gate: str, limit: float, evidence: Outcome) -> Verdict:
    deployed = evidence.deployed
    if deployed is None:
        return _not_measured(gate, limit, _NOT_DEPLOYED)
    shift = deployed.score_shift
    if shift is None:
        reason = f"none of {deployed.matched_of} objects of the float model is found on the device"
        return _not_measured(gate, limit, reason)
    verdict = _at_most(gate, limit, abs(shift.estimate))
    return _resolved(verdict, shift, math.copysign(limit, shift.estimate))


def _threshold_drop(gate: str, limit: float, evidence: Outcome) -> Verdict:
    doubt = evidence.doubt("mask")
    if doubt:
        return _not_judged(gate, limit, doubt)
    deployed = evidence.deployed
    if deployed is None:
        return _not_measured(gate, limit, _NOT_DEPLOYED)
    drop = deployed.threshold_drop
    if drop is None:
        reason = "no threshold gives the float model's recall back"
        return Verdict(gate=gate, limit=limit, measured=None, status="failed", reason=reason)
    return _resolved(_at_most(gate, limit, drop.estimate), drop, limit)


def _resolved(verdict: Verdict, drop: Interval, limit: float) -> Verdict:
    """The verdict, with a word where more images could turn it over."""
    if not drop.low <= limit <= drop.high:
        return verdict
    reason = (
        f"not resolved: the limit lies inside the {drop.confidence:.0%} interval, "
        f"{drop.low:.4f} to {drop.high:.4f}; more images narrow it"
    )
    return verdict.model_copy(update={"reason": reason})


def _latency(
    stage: Stage, percentile: int, gate: str, limit_ms: float, evidence: Outcome
) -> Verdict:
    """On the upper bound of the percentile: what passes is below the limit, not likely so."""
    measurement = evidence.measurement
    if measurement is None:
        return _not_measured(gate, limit_ms, "no device was measured")
    if measurement.emulated:
        return _not_measured(gate, limit_ms, "emulated")
    latency_ms = measurement.latency_ms(percentile, stage)
    if math.isnan(latency_ms):
        return _not_measured(gate, limit_ms, "no inference was timed")
    bound_ms, count = measurement.bound_ms(percentile, stage), len(measurement.inference_ns)
    if bound_ms is None:
        reason = (
            f"unresolved: p{percentile} needs {needed(percentile)} samples, {count} were taken; "
            "raise measure.max_duration_s"
        )
        return _stable(_not_measured(gate, limit_ms, reason), measurement)
    said = f"p{percentile} of {count} is {latency_ms:.4g} ms, at most {bound_ms:.4g} ms by 99%"
    verdict = _at_most(gate, limit_ms, bound_ms).model_copy(update={"reason": said})
    return _stable(verdict, measurement)


def _timed(stage: Stage, percentile: int) -> Gate:
    return Gate(partial(_latency, stage, percentile), "ms", percentile=percentile)


def _memory(gate: str, limit_bytes: float, evidence: Outcome) -> Verdict:
    measurement = evidence.measurement
    if measurement is None:
        return _not_measured(gate, limit_bytes, "no device was measured")
    return _stable(_at_most(gate, limit_bytes, measurement.peak_rss_bytes), measurement)


def _size(gate: str, limit_bytes: float, evidence: Outcome) -> Verdict:
    return _at_most(gate, limit_bytes, evidence.artifact_bytes)


def _gain(beside: Literal["fp16", "float"], gate: str, limit: float, evidence: Outcome) -> Verdict:
    speedup = evidence.speedup if beside == "fp16" else evidence.gain
    both = [
        c.measurement for c in evidence.columns if c.name in (beside, "device") and c.measurement
    ]
    if speedup is None:
        return _not_measured(gate, limit, f"the device has no {beside} model to compare with")
    if any(measurement.emulated for measurement in both):
        return _not_measured(gate, limit, "emulated")
    verdict = _at_least(gate, limit, speedup.ratio)
    for measurement in both:
        verdict = _stable(verdict, measurement)
    return verdict


def _divergence_mask_ap(gate: str, limit: float, evidence: Outcome) -> Verdict:
    doubt = evidence.doubt("mask")
    if doubt:
        return _not_judged(gate, limit, doubt)
    divergence = evidence.divergence
    if divergence is None or divergence.mask_ap is None:
        return _not_measured(gate, limit, "simulation and device were not both scored")
    return _at_most(gate, limit, abs(divergence.mask_ap))


def _divergence_snr(gate: str, limit_db: float, evidence: Outcome) -> Verdict:
    divergence = evidence.divergence
    if divergence is None or not divergence.snr_db:
        return _not_measured(gate, limit_db, "raw outputs of the device were not compared")
    worst_db, output = min(
        (math.inf if snr_db is None else snr_db, name) for name, snr_db in divergence.snr_db.items()
    )
    if math.isinf(worst_db):
        return Verdict(
            gate=gate, limit=limit_db, measured=None, status="passed", reason="bit for bit equal"
        )
    verdict = _at_least(gate, limit_db, worst_db)
    return verdict.model_copy(update={"reason": f"part '{output}'"})


def _at_most(gate: str, limit: float, measured: float) -> Verdict:
    status: VerdictStatus = "passed" if measured <= limit else "failed"
    return Verdict(gate=gate, limit=limit, measured=measured, status=status)


def _at_least(gate: str, limit: float, measured: float) -> Verdict:
    status: VerdictStatus = "passed" if measured >= limit else "failed"
    return Verdict(gate=gate, limit=limit, measured=measured, status=status)


def _stable(verdict: Verdict, measurement: Measurement) -> Verdict:
    """The verdict, withdrawn when the measurement behind it was not steady."""
    if not measurement.unstable:
        return verdict
    reason = "; ".join(measurement.unstable)
    return verdict.model_copy(update={"status": "unstable", "reason": reason})


def _not_judged(gate: str, limit: float, reason: str) -> Verdict:
    return Verdict(gate=gate, limit=limit, measured=None, status="not judged", reason=reason)


def _not_measured(gate: str, limit: float, reason: str) -> Verdict:
    return Verdict(gate=gate, limit=limit, measured=None, status="not measured", reason=reason)


_at_threshold = partial(Gate, unit="share", needs_annotations=True, needs_threshold=True)


class Gates(Part):
    """What is acceptable; a gate that is left out is not judged."""

    mask_ap_drop: Annotated[
        Drop | None, Gate(partial(_drop, "mask"), "AP", needs_annotations=True)
    ] = None
    """float minus device, absolute"""
    box_ap_drop: Annotated[
        Drop | None, Gate(partial(_drop, "box"), "AP", needs_annotations=True)
    ] = None
    agreement: Annotated[
        Fraction | None, Gate(_agreement, "AP", at_least=True, needs_annotations=True)
    ] = None
    """AP against what the float model itself finds, the worse of mask and box, at least"""
    mask_precision_drop: Annotated[
        Drop | None, _at_threshold(partial(_deployed_drop, "mask", "precision"))
    ] = None
    """at `task.deploy_threshold` and IoU .5, float minus device, absolute"""
    mask_recall_drop: Annotated[
        Drop | None, _at_threshold(partial(_deployed_drop, "mask", "recall"))
    ] = None
    mask_f1_drop: Annotated[Drop | None, _at_threshold(partial(_deployed_drop, "mask", "f1"))] = (
        None
    )
    box_precision_drop: Annotated[
        Drop | None, _at_threshold(partial(_deployed_drop, "box", "precision"))
    ] = None
    box_recall_drop: Annotated[
        Drop | None, _at_threshold(partial(_deployed_drop, "box", "recall"))
    ] = None
    box_f1_drop: Annotated[Drop | None, _at_threshold(partial(_deployed_drop, "box", "f1"))] = None
    score_shift: Annotated[Fraction | None, _at_threshold(_score_shift, unit="score")] = None
    """median change of the score of an object that float and device find, either way"""
    threshold_drop: Annotated[Drop | None, _at_threshold(_threshold_drop, unit="score")] = None
    """how far the threshold has to be lowered to find as many masks as the float model"""
    latency_p50_ms: Annotated[PositiveFloat | None, _timed("inference", 50)] = None
    """inference on the device"""
    latency_p90_ms: Annotated[PositiveFloat | None, _timed("inference", 90)] = None
    latency_p99_ms: Annotated[PositiveFloat | None, _timed("inference", 99)] = None
    frame_p50_ms: Annotated[PositiveFloat | None, _timed("frame", 50)] = None
    """preprocess, inference and postprocess of one image together"""
    frame_p90_ms: Annotated[PositiveFloat | None, _timed("frame", 90)] = None
    frame_p99_ms: Annotated[PositiveFloat | None, _timed("frame", 99)] = None
    peak_memory_bytes: Annotated[Bytes | None, Gate(_memory, "bytes")] = None
    """peak resident memory of the agent on the device; '300 MiB' is understood"""
    artifact_bytes: Annotated[Bytes | None, Gate(_size, "bytes")] = None
    divergence_mask_ap: Annotated[
        PositiveFloat | None, Gate(_divergence_mask_ap, "AP", needs_annotations=True)
    ] = None
    """simulated and device mask AP may differ by this much"""
    divergence_snr_db: Annotated[float | None, Gate(_divergence_snr, "dB", at_least=True)] = None
    """the device's raw outputs against the simulation's, at least"""
    int8_speedup_over_fp16: Annotated[
        PositiveFloat | None, Gate(partial(_gain, "fp16"), "ratio", at_least=True)
    ] = None
    """fp16's median inference over int8's on the device, at least; where the engine has fp16"""
    int8_speedup_over_float: Annotated[
        PositiveFloat | None, Gate(partial(_gain, "float"), "ratio", at_least=True)
    ] = None
    """float's median inference over int8's on the device, at least; where the engine has no fp16"""


def all_gates() -> dict[str, Gate]:
    """Every gate by its name, in the order of the fields; TypeError for one that nobody judges."""
    found = {}
    for name, field in Gates.model_fields.items():
        said = [part for part in field.metadata if isinstance(part, Gate)]
        if len(said) != 1:
            raise TypeError(f"gate {name} says {len(said)} times how it is judged")
        found[name] = said[0]
    return found


def percentiles(gates: Gates) -> tuple[int, ...]:
    """The percentiles that gates of this recipe are about."""
    registered = all_gates()
    asked = {registered[name].percentile for name, limit in gates if limit is not None}
    return tuple(sorted(q for q in asked if q is not None))
