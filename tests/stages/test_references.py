"""What int8 is compared with on the device: the float model in the same engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgeq.calibration.inputs import evenly
from edgeq.device.connection import host
from edgeq.evaluation.parts import parts_divergence
from edgeq.progress import silent
from edgeq.spec import recipe as recipes
from edgeq.spec import target as targets
from edgeq.spec.recipe import Measure
from edgeq.stages.bench import shortened
from edgeq.stages.build import build
from edgeq.stages.one_file import float_artifact
from edgeq.stages.outputs import decoder_of
from edgeq.stages.predict import Manner, predict, raw_outputs
from edgeq.stages.prepare import prepare
from edgeq.stages.references import float_on_device

from .projects import project
from .test_outputs import V8, yolo


@pytest.mark.parametrize(
    ("target", "runtime", "layout"),
    [("arm-cpu-ort", "onnxruntime", "nchw"), ("arm-cpu-tflite", "litert", "nhwc")],
)
def test_float_model_runs_in_the_devices_own_engine(
    target: str, runtime: str, layout: str, tmp_path: Path
) -> None:
    recipe = recipes.load(project(tmp_path, yolo(), V8))
    prepared = prepare(recipe, targets.load(target), None)

    made = float_on_device(prepared, build(prepared))

    assert made.manifest.runtime.name == runtime
    assert made.manifest.preprocess.layout == layout
    images = dict(enumerate(evenly(prepared.calibration, 2)))
    manner = Manner(1, keep_count=2, is_known=False)
    with host() as here:
        found = [
            predict(here, model, images, manner, silent, "float")
            for model in (float_artifact(prepared), made)
        ]
    ratios = parts_divergence(
        decoder_of(recipe), raw_outputs(*(one.outputs for one in found))
    ).snr_db
    assert set(ratios) == {"boxes", "scores", "coefficients", "prototypes"}
    assert all(ratio is None or ratio > 90 for ratio in ratios.values())


def test_comparison_is_short_and_never_longer_than_asked_for() -> None:
    assert shortened(Measure()).min_count == 20 and shortened(Measure()).min_duration_s == 2
    asked = Measure(warmup_s=0, min_duration_s=0.1, max_duration_s=5, min_count=5, threads=1)
    assert shortened(asked) == asked
