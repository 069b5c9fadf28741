"""What all boards of a roll-out have in common, and is computed once."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path

from edgeq.artifact import signing
from edgeq.artifact.folder import Artifact
from edgeq.device.connection import host
from edgeq.device.device import Device
from edgeq.errors import Problems
from edgeq.progress import silent
from edgeq.records.report import ColumnName
from edgeq.records.rollout import Reference
from edgeq.rollout.once import Once, Proven
from edgeq.spec.fleet.fleet import FleetDevice
from edgeq.spec.images import Image
from edgeq.spec.target import Target
from edgeq.stages import build as building
from edgeq.stages.apart import built_apart
from edgeq.stages.build import Build
from edgeq.stages.check import Checked, Inputs, check_inputs
from edgeq.stages.columns import predicted_here
from edgeq.stages.predict import DIVERGENCE_IMAGES, Manner, Predictions, predict
from edgeq.stages.prepare import cores
from edgeq.stages.references import simulation

_COMPARED_AT_ONCE = 2
"""Boards whose raw outputs are in memory, where they are of tens of megabytes."""


class Work:
    """A recipe for the targets of a fleet; any thread may ask. `sign` is a key to sign with."""

    def __init__(self, recipe: Path, sign: Path | None) -> None:
        self.recipe = recipe
        self._sign = sign
        self._inputs: dict[str, Inputs] = {}
        self._built: Once[str, Build] = Once()
        self._here: Once[str, dict[ColumnName, Predictions]] = Once()
        self._simulated: Once[str, Predictions] = Once()
        self._compiled: Proven[str, None] = Proven()
        # A build, or a model's predictions, fill the memory and the cores by themselves.
        self._computing = threading.Lock()
        self.references: Proven[str, Reference] = Proven()
        self.comparing = threading.Semaphore(_COMPARED_AT_ONCE)
        """whoever holds raw outputs of a board in memory"""

    def check(self, targets: Iterable[Target]) -> str:
        """Check the recipe against each of these targets; a hash of all that was read for it.

        Before `on`. Raises InputError(s) with all that is wrong.
        """
        problems = Problems()
        for kind, target in {_kind(target): target for target in targets}.items():
            made = problems.attempt(partial(check_inputs, self.recipe, target))
            if made is not None:
                self._inputs[kind] = made
        problems.raise_all()
        read = {one.source.sha256 for one in self._inputs.values()}
        keys = {building.key_of(one.prepared) for one in self._inputs.values()}
        return hashlib.sha256("".join([*sorted(read), *sorted(keys)]).encode()).hexdigest()

    def on(self, device: FleetDevice, board: Device) -> Checked:
        """The recipe for a board, which is looked at. Raises InputError, DeviceError."""
        return self._inputs[_kind(device.target)].on(board, device.target)

    def build(self, checked: Checked) -> Build:
        """The artifact that a board gets, signed where there is a key."""

        def make() -> Build:
            with self._computing:
                built = built_apart(checked.prepared)
                if self._sign is None:
                    return built
                return replace(built, artifact=signing.sign(built.artifact, self._sign))

        return self._built.get(building.key_of(checked.prepared), make)

    def verify(self, target: Target, board: Device, artifact: Artifact) -> None:
        """Have a board verify a release. Raises DeviceError.

        Where boards share engines one builds alone, and those that wait for it take what it built.
        """
        verify = partial(board.verify, artifact)
        is_new = False
        if target.share_engines and artifact.manifest.runtime.compile is not None:
            _, is_new = self._compiled.get(artifact.id, verify)
        if not is_new:
            verify()

    def predicted(self, checked: Checked, built: Build) -> dict[ColumnName, Predictions]:
        """What float model and simulation find here."""

        def make() -> dict[ColumnName, Predictions]:
            with self._computing:
                return predicted_here(checked.prepared, checked.evaluation, built, silent)

        return self._here.get(built.artifact.id, make)

    def simulated(self, checked: Checked, built: Build) -> Predictions:
        """What the simulation finds here in the images that every board is asked about."""

        def make() -> Predictions:
            count = checked.prepared.recipe.measure.threads or cores()
            manner = Manner(count, "disabled", DIVERGENCE_IMAGES)
            with self._computing, host() as here:
                model = simulation(checked.prepared, built)
                return predict(here, model, golden_images(checked), manner, silent, "simulated")

        return self._simulated.get(built.artifact.id, make)


def golden_images(checked: Checked) -> dict[int, Image]:
    """A few images by their ids, in which every board has to find the same."""
    if checked.evaluation is not None:
        return dict(list(checked.evaluation.files.items())[:DIVERGENCE_IMAGES])
    return dict(enumerate(checked.prepared.calibration[:DIVERGENCE_IMAGES], 1))


def _kind(target: Target) -> str:
    """What of a target a model is prepared for, which boards of other names or folders share."""
    return target.model_dump_json(exclude=building.WITHOUT_EFFECT)
