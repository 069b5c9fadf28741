"""Rank the layers: all of them by the error of the outputs, the worst ones by AP as well."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edgeq.calibration import statistics
from edgeq.calibration.inputs import evenly
from edgeq.device.connection import HERE, Address
from edgeq.errors import InputError, Key
from edgeq.evaluation.agreement import own_labels
from edgeq.evaluation.dataset import Dataset
from edgeq.graph.layers import Layer, layers
from edgeq.progress import Progress, silent
from edgeq.quantization.plan import Plan
from edgeq.records.sensitivity import FloatLayer, LayerSensitivity, Loss, Sensitivity
from edgeq.repair.equalization import equalized
from edgeq.spec.images import Image
from edgeq.spec.recipe import Recipe
from edgeq.spec.target import Target
from edgeq.stages.build import key_of
from edgeq.stages.check import prepared_for_build
from edgeq.stages.prepare import Prepared, cores
from edgeq.tuning import variants
from edgeq.tuning.correlation import spearman
from edgeq.tuning.energies import energies
from edgeq.tuning.journal import Journal
from edgeq.tuning.predicting import FLOAT, predict
from edgeq.tuning.scoring import Drops, drops
from edgeq.tuning.stopping import Budget

IMAGES = 32
TOP = 10


@dataclass(frozen=True)
class Options:
    """`top` layers are scored by AP; `budget_s` None is without end."""

    top: int = TOP
    leave_one_out: bool = False
    budget_s: float | None = None


def sensitivity(
    recipe: str | Path | Recipe,
    target: str | Target,
    images: int = IMAGES,
    options: Options | None = None,
    progress: Progress = silent,
    address: Address = HERE,
) -> Sensitivity:
    """Rank the layers of a recipe's model on so many of its calibration images.

    They are spread evenly; fewer are taken where there are fewer. Raises InputError(s), and
    DeviceError where the target has to be probed on a device.
    """
    prepared = prepared_for_build(recipe, target, address)
    files = spread(prepared.calibration, images)
    name = "recipe" if isinstance(recipe, Recipe) else str(recipe)
    return rank(prepared, files, None, options, progress, name)


def spread(files: Sequence[Image], count: int = IMAGES) -> list[Image]:
    """So many of the images, spread evenly; all where there are fewer."""
    return evenly(files, count)


def rank(
    prepared: Prepared,
    files: Sequence[Image],
    labels: Dataset | None = None,
    options: Options | None = None,
    progress: Progress = silent,
    name: str = "recipe",
) -> Sensitivity:
    """Rank the layers on images; with `labels`, AP is measured on theirs and against them.

    Without labels it is measured on the same images, against what the float model finds. Images
    that were computed before, and finished answers, come from the journal. Raises InputError(s).
    """
    options = options or Options()
    journal = Journal(key_of(prepared))
    asked = {
        "images": [image.key for image in files],
        "labels": None if labels is None else _described(labels),
        "options": [options.top, options.leave_one_out],
        "name": [name, prepared.target.name],
    }
    known = journal.result(asked)
    if known is not None:
        return Sensitivity.model_validate_json(known)
    found = _Ranking(prepared, files, journal, options, progress).run(labels, name)
    if found.complete:
        journal.keep_result(asked, found.model_dump_json())
    return found


def _described(labels: Dataset) -> list[object]:
    annotations = hashlib.sha256(repr(labels.annotations).encode()).hexdigest()
    images = {id_: image.key for id_, image in labels.files.items()}
    return [annotations, images, labels.categories]


class _Ranking:
    """The plans that are compared, by name, and what was found out about them."""

    def __init__(
        self,
        prepared: Prepared,
        files: Sequence[Image],
        journal: Journal,
        options: Options,
        progress: Progress,
    ) -> None:
        # What rounding and biases are corrected by depends on a whole plan; this does not.
        if prepared.recipe.repair.equalize:
            prepared = replace(prepared, model=equalized(prepared.model).model)
        self.prepared, self.files, self.options = prepared, files, options
        self.journal, self.progress = journal, progress
        self.budget = Budget(options.budget_s)
        calibration = prepared.calibration
        seen = statistics.gather(
            prepared.model,
            prepared.wanted,
            calibration,
            prepared.recipe.preprocess,
            cores(),
            lambda done: progress("calibrate", done, len(calibration)),
        )
        self.whole = variants.everything(prepared, seen)
        self.nodes = tuple(self.whole.weights)
        if not self.nodes:
            what = "no layer is quantized, so none can be sensitive"
            raise InputError(Key("quantize"), what, "see 'edgeq inspect' for the reasons")
        self.plans = {f"alone {n}": variants.alone(prepared, seen, n) for n in self.nodes}
        self.plans["everything"] = self.whole
        self.others: dict[str, Plan] = {}
        if options.leave_one_out:
            self.others = {f"all but {n}": variants.all_but(prepared, seen, n) for n in self.nodes}
        self.snr_db: dict[str, float | None] = {}
        self.lost: dict[str, Drops] = {}

    def run(self, labels: Dataset | None, name: str) -> Sensitivity:
        """Compare all, then score the worst; the record of both."""
        images = self._compare("alone", self.plans)
        if self.others:
            images = min(images, self._compare("all but", self.others))
        worst = sorted(self.nodes, key=lambda node: _order(self.snr_db[f"alone {node}"]))
        complete = images == len(self.files)
        near = worst[: self.options.top] if complete else []
        scored = dict(enumerate(self.files)) if labels is None else labels.files
        complete = complete and self._score(near, scored, labels)
        pairs = [
            (-_order(self.snr_db[name]), lost["mask"].estimate)
            for name, lost in self.lost.items()
            if name.startswith("alone ") and lost["mask"] is not None
        ]
        return Sensitivity(
            recipe=name,
            model=self.prepared.model.path.name,
            target=self.prepared.target.name,
            images=images,
            images_asked=len(self.files),
            labels=labels.annotations.where if labels else "the float model's own detections",
            scored_images=len(scored) if self.lost else 0,
            complete=complete,
            everything=self._loss("everything"),
            layers=tuple(self._layers(worst)),
            stays_float=tuple(self._stays_float()),
            spearman=spearman(*zip(*pairs, strict=True)) if pairs else None,
            correlated=len(pairs),
        )

    def _compare(self, kind: str, plans: Mapping[str, Plan]) -> int:
        """On how many images they were compared."""
        found = energies(
            self.prepared,
            plans,
            self.files,
            kind,
            self.journal,
            self.budget,
            lambda done: self.progress(f"compare {kind}", done, len(self.files)),
        )
        self.snr_db.update(zip(plans, found.snr_db(), strict=True))
        return found.images

    def _score(
        self, near: Sequence[str], files: Mapping[int, Image], labels: Dataset | None
    ) -> bool:
        """Whether all of the nearest could be scored within the budget."""
        if not near:
            return self.options.top == 0
        names = [f"{kind} {node}" for node in near for kind in ("alone", "all but")]
        known = {**self.plans, **self.others}
        plans = {name: known[name] for name in ("everything", *names) if name in known}
        total = (len(plans) + 1) * len(files)
        found = predict(
            self.prepared,
            {FLOAT: None, **plans},
            files,
            self.journal,
            self.budget,
            lambda done: self.progress("predict", done, total),
        )
        reference = found.pop(FLOAT, None)
        if reference is not None and found:
            classes = self.prepared.recipe.task.classes
            against = labels or own_labels(reference, files, classes)
            self.lost = drops(
                against, reference, found, lambda done: self.progress("score", done, len(found))
            )
        return len(self.lost) == len(plans)

    def _loss(self, name: str) -> Loss:
        lost = self.lost.get(name, {})
        return Loss(
            snr_db=self.snr_db[name], mask_ap_drop=lost.get("mask"), box_ap_drop=lost.get("box")
        )

    def _layers(self, worst: Sequence[str]) -> Iterator[LayerSensitivity]:
        shares = self._shares()
        gains = sorted(worst, key=lambda node: -_order(self.snr_db.get(f"all but {node}")))
        for rank, node in enumerate(worst, 1):
            layer, share = shares[node]
            yield LayerSensitivity(
                node=node,
                op_type=layer.op_type,
                macs_share=share,
                rank=rank,
                alone=self._loss(f"alone {node}"),
                all_but_rank=gains.index(node) + 1 if self.others else None,
                all_but=self._loss(f"all but {node}") if self.others else None,
            )

    def _stays_float(self) -> Iterator[FloatLayer]:
        for node, (layer, share) in self._shares().items():
            if node not in self.whole.weights:
                decision = self.whole.decisions[node]
                reason = decision.reason
                if decision.quantized:
                    reason = "multiplies what is computed: it is int8 between layers that are"
                yield FloatLayer(node=node, op_type=layer.op_type, macs_share=share, reason=reason)

    def _shares(self) -> dict[str, tuple[Layer, float]]:
        """Every compute-heavy node with its share of the multiply-adds."""
        found = layers(self.prepared.model)
        total = sum(layer.macs or 0 for layer in found) or 1
        return {layer.name: (layer, (layer.macs or 0) / total) for layer in found}


def _order(snr_db: float | None) -> float:
    """Equal outputs are better than any."""
    return math.inf if snr_db is None else snr_db
