"""Builds: one release compiled several times on its device, each engine beside the others."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from edgeq.artifact.folder import Artifact
from edgeq.artifact.manifest import Compile
from edgeq.device.device import Device
from edgeq.evaluation.dataset import Dataset
from edgeq.evaluation.matches import match
from edgeq.evaluation.score import accuracy
from edgeq.evaluation.unchanged import changed
from edgeq.progress import Progress
from edgeq.records.accuracy import ImagePrediction
from edgeq.records.answers import EngineAnswer, Probe
from edgeq.records.builds import BuildRun
from edgeq.records.measurement import Measurement
from edgeq.spec.images import Image
from edgeq.spec.recipe import Measure
from edgeq.spec.target import Target
from edgeq.stages.bench import bench, bench_images, threads
from edgeq.stages.predict import Manner, predict


@dataclass(frozen=True)
class Builder:
    """What is compiled where, and measured how."""

    device: Device
    probe: Probe
    target: Target
    artifact: Artifact
    compiled: Compile
    options: Measure


def build_to_build(
    what: Builder,
    count: int,
    files: Mapping[int, Image],
    dataset: Dataset | None,
    progress: Progress,
) -> tuple[BuildRun, ...]:
    """So many engines of one release, what each finds in the images, and what it takes.

    With annotated images their AP too. The engines lie on the device until its next collection.
    Raises DeviceError.
    """
    release = what.device.push(what.artifact, progress)
    engines = []
    for number in range(1, count + 1):
        told = partial(_told, progress, f"engine {number} of {count}")
        draw = random.SystemRandom().randrange(1, 1 << 31)
        engines.append(what.device.engines.build_anew(release, what.compiled, draw, told))
    found = [_predicted(what, release, engine, files, progress) for engine in engines]
    times = _times(what, release, engines, bench_images(list(files.values())), progress)
    runs = []
    for engine, images, (there, back) in zip(engines, found, times, strict=True):
        aps = {}
        if dataset is not None:
            matches = match(dataset.annotations, images, dataset.categories, list(files))
            scored = accuracy(matches)
            aps = {"mask_ap": scored.mask.ap, "box_ap": scored.box.ap}
        runs.append(
            BuildRun(
                fingerprint=engine.fingerprint,
                build_s=engine.build_s,
                engine_bytes=engine.engine_bytes,
                median_ms=(there.latency_ms(50), back.latency_ms(50)),
                changed=None if engine is engines[0] else changed(found[0], images),
                unstable=tuple(dict.fromkeys([*there.unstable, *back.unstable])),
                **aps,
            )
        )
    return tuple(runs)


def _predicted(
    what: Builder,
    release: str,
    engine: EngineAnswer,
    files: Mapping[int, Image],
    progress: Progress,
) -> Sequence[ImagePrediction]:
    what.device.engines.use(release, engine)
    count = threads(what.options, what.target, what.probe)
    manner = Manner(count, is_known=False)
    return predict(what.device, what.artifact, files, manner, progress, "predict").images


def _times(
    what: Builder,
    release: str,
    engines: Sequence[EngineAnswer],
    images: Sequence[Image],
    progress: Progress,
) -> list[tuple[Measurement, Measurement]]:
    """Each engine twice, on the way there and on the way back: what drifts meets all alike."""

    def measured(engine: EngineAnswer) -> Measurement:
        what.device.engines.use(release, engine)
        return bench(what.device, release, images, what.options, what.target, what.probe, progress)

    there = [measured(engine) for engine in engines]
    back = [measured(engine) for engine in reversed(engines)]
    return list(zip(there, reversed(back), strict=True))


def _told(progress: Progress, label: str, stage: str, done: int, total: int) -> None:
    progress(f"{stage} {label}", done, total)
