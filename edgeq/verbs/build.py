"""Build an artifact, and say what a build would do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from edgeq.artifact import archive, signing
from edgeq.device.connection import HERE, Address
from edgeq.errors import InputError
from edgeq.progress import Progress, silent
from edgeq.spec.recipe import Recipe
from edgeq.spec.repair import Repair
from edgeq.spec.target import Target
from edgeq.stages import build as building
from edgeq.stages.build import Build, is_built
from edgeq.stages.check import prepared_for_build
from edgeq.stages.plan import is_calibrated, measured_mixing
from edgeq.stages.prepare import Prepared


def build(
    recipe: str | Path | Recipe,
    target: str | Target,
    output: Path | None = None,
    progress: Progress = silent,
    address: Address = HERE,
    sign: Path | None = None,
) -> Build:
    """Build the artifact; with `output` also copy it there, as a folder or a `.edgeq` file.

    `sign` is an SSH key to sign the copy's manifest with, `address` for a target that has to be
    probed. Raises InputError(s) for what is wrong with recipe, target, model, images or key.
    """
    _check_key(sign, output)
    built = building.build(prepared_for_build(recipe, target, address), progress)
    if sign is not None:
        built = replace(built, artifact=signing.sign(built.artifact, sign))
    if output is not None:
        archive.copy(built.artifact, output)
    return built


def build_steps(
    recipe: str | Path | Recipe,
    target: str | Target,
    output: Path | None = None,
    address: Address = HERE,
    sign: Path | None = None,
) -> list[str]:
    """What `build` would do, in words; everything is checked, and nothing written."""
    _check_key(sign, output)
    steps = list(steps_of(prepared_for_build(recipe, target, address)))
    if output is not None:
        steps.append(f"copy it to {output}" + ("" if sign is None else f", signed with {sign}"))
    return steps


def _check_key(sign: Path | None, output: Path | None) -> None:
    """See that a key can sign, before any work, and that there will be something to carry that."""
    if sign is None:
        return
    if output is None:
        what = "the signature would be kept nowhere, as no copy of the artifact is asked for"
        raise InputError("--sign", what, "say where the signed artifact goes: -o model.edgeq")
    signing.signature(b"", sign)


def steps_of(prepared: Prepared) -> Iterator[str]:
    """What `build` would do, in words."""
    images = len(prepared.calibration)
    yield from (f"note: {note}" for note in prepared.notes)
    if is_built(prepared):
        yield "take the artifact from the cache: nothing it depends on has changed"
        return
    if prepared.recipe.repair.equalize:
        yield "equalize the ranges of neighbouring layers"
    if is_calibrated(prepared):
        yield f"take the statistics of {images} images from the cache"
    else:
        yield f"run the float model over {images} calibration images"
    if prepared.recipe.quantize.head == "quantize":
        preprocess = prepared.recipe.preprocess
        for mix in measured_mixing(prepared.model, prepared.calibration, preprocess):
            yield f"expect a collapse: {mix}"
    quantizer = prepared.recipe.quantize.activations
    yield f"plan with calibrator {quantizer.calibrator} for {prepared.placement.runtime}"
    yield from _repair_steps(prepared.recipe.repair, images)
    yield "write the artifact into the cache"


def _repair_steps(repair: Repair, images: int) -> Iterator[str]:
    images = min(repair.images, images)
    if repair.adaround is not None:
        yield f"choose the rounding of the layers' weights over {images} images (AdaRound)"
    if repair.bias_correction:
        yield f"correct the layers' biases over {images} images"
    if repair.reconstruct is not None:
        yield "train blocks of layers towards the float model: minutes; kept if it agrees better"
