"""A tuning, a study and a roll-out as they would come out, for their pages."""

from __future__ import annotations

import datetime
from typing import Any

from edgeq.records.rollout import (
    DeviceProgress,
    DeviceState,
    Held,
    RolloutEvent,
    RolloutStatus,
)
from edgeq.records.study import Pattern, Study
from edgeq.records.trial import Trial
from edgeq.records.tuning import Tuning, TuningStage

from ...tuning.trials import interval, latency, trial


def tried(stage: str, name: str, agreed: float, ratio: float | None = None, **keys: Any) -> Trial:
    """A trial that loses what it does not agree with, an eighth of it as AP."""
    lost = (1 - agreed) / 8
    told: dict[str, Any] = {
        "stage": stage,
        "name": name,
        "artifact": f"{stage}{name}".encode().hex()[:64].ljust(64, "0"),
        "mask_ap_drop": interval(lost),
        "box_ap_drop": interval(1.5 * lost),
    }
    return trial(agreed, None if ratio is None else latency(ratio), **{**told, **keys})


def tuned(**changes: Any) -> Tuning:
    """Stages of eight trials, of which two layers in float were taken."""
    start = tried("start", "as it has it", 0.81, 1.0)
    taken = tried("partial", "2 layers in float", 0.906, 1.034, layers_float=4)
    trials = (
        start,
        tried("weights", "per-channel", 0.97, arithmetics=("float",)),
        tried("calibrator", "max", 0.84, 1.0),
        tried("calibrator", "percentile 99.99", 0.872, 1.0),
        tried("calibrator", "percentile 99.9", 0.7, 1.0),
        tried("repair", "biases corrected", 0.88, 1.0),
        tried("partial", "1 layer in float", 0.893, 1.012),
        taken,
        taken.model_copy(update={"final": True}),
    )
    told: dict[str, Any] = {
        "recipe": "recipes/pig.yaml",
        "target": "raspberry-pi-5",
        "compared_on": "128 calibration images",
        "judged_on": "134 annotated images",
        "float_mask_ap": 0.2525,
        "float_box_ap": 0.3018,
        "largest_mask_drop": 0.003,
        "largest_box_drop": 0.003,
        "least_agreement": 0.9,
        "largest_latency": 1.05,
        "stages": (
            _stage(trials[1], taken=False),
            _stage(trials[3]),
            _stage(trials[5], taken=False),
            _stage(taken),
            TuningStage(
                name="adaround",
                trials=0,
                best=None,
                taken=False,
                judged=None,
                seconds=0.0,
                cpu_s=0.0,
            ),
        ),
        "trials": trials,
        "best": trials[-1],
        "met": True,
        "resolved": False,
        "decided_by": "agreement",
        "images_needed": 4300,
        "ended": "the contract is met",
        "reasons": ("Tuned for raspberry-pi-5.", "percentile 99.99 agrees best: 0.872."),
        "needed": (),
        "output": "recipes/pig-tuned.yaml",
    }
    return Tuning(**{**told, **changes})


def _stage(best: Trial, taken: bool = True) -> TuningStage:
    return TuningStage(
        name=best.stage,
        trials=3,
        best=best,
        taken=taken,
        judged=best if taken else None,
        seconds=75.0,
        cpu_s=130.0,
    )


def studied() -> Study:
    """Per-tensor weights collapse, 99.9 clips, and four layers carry half of the loss."""
    best = tried("activations", "percentile 99.99, affine", 0.88)
    return Study(
        recipe="recipes/pig.yaml",
        target="raspberry-pi-5",
        images="134 annotated images",
        float_mask_ap=0.2525,
        float_box_ap=0.3018,
        weights=(
            tried("weights", "per-channel, max", 0.97),
            tried("weights", "per-tensor, max", 0.2),
        ),
        activations=(
            tried("activations", "max, affine", 0.84),
            best,
            tried("activations", "percentile 99.9, affine", 0.7),
            tried("activations", "mse, affine", 0.87),
        ),
        partial=(
            best,
            *(
                tried("partial", f"{n} in float", 0.88 + 0.02 * at, layers_float=2 + n)
                for at, n in enumerate((1, 2, 4, 8), 1)
            ),
        ),
        order=tuple(f"/model.{n}/conv/Conv" for n in range(20)),
        patterns=(
            Pattern(pattern="max collapses", appears=False, figures="mask AP -0.0200"),
            Pattern(pattern="weights collapse per-tensor", appears=True, figures="mask AP -0.1000"),
        ),
    )


NOON = datetime.datetime(2026, 11, 20, 12, tzinfo=datetime.UTC)
STEPS: tuple[DeviceState, ...] = (
    *("checking", "pushing", "verifying", "measuring", "activating", "soaking"),
)
_WAVES = (("canary", 3), ("10%", 7), ("all", 12))


def rolled_out() -> tuple[RolloutStatus, list[RolloutEvent]]:
    """Three waves of which the last was stopped: two bad, one put off, one far slower."""
    events: list[RolloutEvent] = []
    devices: list[DeviceProgress] = []
    number = 0
    for wave, (_, count) in enumerate(_WAVES):
        for place in range(count):
            begun = NOON + datetime.timedelta(minutes=60 * wave + 3 * place)
            devices.append(_device(number, wave, begun, events))
            number += 1
    last = max(event.at for event in events)
    whole = (("running", NOON, ""), ("stopping", last, "too many"), ("stopped", last, "too many"))
    events += [
        RolloutEvent.model_validate({"rollout": "3f2a", "at": at, "state": state, "reason": why})
        for state, at, why in whole
    ]
    status = RolloutStatus(
        id="3f2a",
        created_at=NOON,
        recipe="recipes/pig.yaml",
        fleet="fleet.yaml",
        state="stopped",
        reason="2 of 18 devices are bad, as no more than 1 may be",
        waves=tuple(name for name, _ in _WAVES),
        held=Held(by="anna@here, process 1", since=NOON, until=NOON, generation=1),
        devices=tuple(devices),
    )
    return status, events


def _device(
    number: int, wave: int, begun: datetime.datetime, events: list[RolloutEvent]
) -> DeviceProgress:
    """Devices 15 and 18 are bad, 16 is put off, the last two were not begun."""
    name, at = f"cam{number:02}", begun
    told: dict[str, Any] = {"device": name, "wave": wave, "place": name}
    if number >= 20:
        return DeviceProgress(**told)
    ending: dict[str, Any] = {"state": "healthy"}
    steps = STEPS
    if number in (15, 18):
        ending = {"state": "failed", "failure": "model", "reason": "does worse: inference +9.0%"}
        steps = STEPS[:4]
    if number == 16:
        ending = {"state": "deferred", "failure": "transient", "reason": "does not answer"}
        steps = STEPS[:1]
    for step in steps:
        events.append(RolloutEvent(rollout="3f2a", at=at, state=step, device=name, wave=wave))
        at += datetime.timedelta(seconds=40 + number)
    events.append(RolloutEvent(rollout="3f2a", at=at, device=name, wave=wave, **ending))
    if ending["state"] == "healthy":
        slower = 0.07 if number == 7 else 0.01 + 0.001 * (number % 5)
        told |= {
            "losses": {"inference": slower, "frame": 0.8 * slower, "peak memory": -0.002},
            "before": "a" * 64,
            "artifact_id": "b" * 64,
            "soaks_until": at,
        }
    return DeviceProgress(**told, **ending, tries=1, updated_at=at)
