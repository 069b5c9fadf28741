"""What a plan does to the float model's outputs, part by part, on this machine."""

from __future__ import annotations

from edgeq.calibration.inputs import evenly
from edgeq.device.connection import host
from edgeq.evaluation.parts import parts_divergence
from edgeq.progress import Progress
from edgeq.stages.build import Build
from edgeq.stages.one_file import float_artifact
from edgeq.stages.outputs import decoder_of
from edgeq.stages.predict import DIVERGENCE_IMAGES, Manner, predict, raw_outputs
from edgeq.stages.prepare import Prepared, cores
from edgeq.stages.references import simulation

LEAST_DB = 10.0
"""Below this ratio the noise in a part is a third of its values and more."""


def noise_of(prepared: Prepared, built: Build, progress: Progress) -> dict[str, float | None]:
    """The ratio of float to what the simulation does to it, for each part that the decoder tells.

    Over a few calibration images: no labels are needed.
    """
    images = dict(enumerate(evenly(prepared.calibration, DIVERGENCE_IMAGES)))
    exact = Manner(cores(), keep_count=DIVERGENCE_IMAGES)
    simulated = Manner(cores(), "disabled", DIVERGENCE_IMAGES)
    with host() as here:
        found = (
            predict(here, float_artifact(prepared), images, exact, progress, "float"),
            predict(here, simulation(prepared, built), images, simulated, progress, "simulated"),
        )
    return parts_divergence(
        decoder_of(prepared.recipe), raw_outputs(*(one.outputs for one in found))
    ).snr_db
