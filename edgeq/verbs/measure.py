"""Measure an artifact on a device; nothing is activated."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from edgeq.artifact import archive
from edgeq.artifact.folder import Artifact
from edgeq.device.connection import HERE, Address, connect
from edgeq.progress import Progress, silent
from edgeq.records.measurement import Measurement
from edgeq.spec import recipe as recipes
from edgeq.spec import target as targets
from edgeq.spec.image_list import image_files
from edgeq.spec.images import images_of
from edgeq.spec.target import Target
from edgeq.stages.bench import bench, bench_images
from edgeq.stages.fitness import check_device


def measure(
    artifact: str | Path | Artifact,
    target: str | Target,
    images: str | Path,
    options: recipes.Measure | None = None,
    progress: Progress = silent,
    address: Address = HERE,
) -> Measurement:
    """Push an artifact and measure its latency and memory on the device; nothing is activated.

    `images` is a folder or list of images to measure with. Raises InputError, DeviceError.
    """
    options = options or recipes.Measure()
    opened = artifact if isinstance(artifact, Artifact) else archive.read(Path(artifact))
    kind = target if isinstance(target, Target) else targets.load(target)
    chosen = images_of(bench_images(image_files(Path(images), str(images))))
    with connect(kind, address) as device:
        device.lock(f"measure {opened.id[:12]}")
        probe = check_device(kind, device)
        release = device.push(opened, progress)
        return bench(device, release, chosen, options, kind, probe, progress)


def measure_steps(
    artifact: Path, target: str, images: Path, options: recipes.Measure, address: Address = HERE
) -> Iterator[str]:
    """What `measure` would do, in words; checks artifact, target and images."""
    opened, kind = archive.read(artifact), targets.load(target)
    files = image_files(images, str(images))
    with connect(kind, address, keep=False) as device:
        check_device(kind, device)
        yield f"push {opened.id[:12]} to {device.address}:{device.root}, and verify it there"
        count = len(bench_images(files))
        yield f"measure for at least {options.min_duration_s:g} s on {count} images"
