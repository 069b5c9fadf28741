"""The error of every variant's outputs against float, channel by channel, on some images."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from onnx import numpy_helper

from edgeq.calibration.inputs import placed
from edgeq.graph.computation import Computation
from edgeq.graph.merging import Merged
from edgeq.quantization.plan import Plan
from edgeq.runtimes.qdq import qdq_nodes
from edgeq.spec.images import Image
from edgeq.stages.prepare import Prepared, cores
from edgeq.tuning.compared import compared_tensors
from edgeq.tuning.journal import Arrays, Journal
from edgeq.tuning.stopping import Budget

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Energies:
    """Sums of squares over `images`: of the float tensors [C], and of each variant's error [V,C].

    C are the channels of all compared tensors, one after the other.
    """

    images: int
    signal: Floats
    noise: Floats

    def snr_db(self) -> list[float | None]:
        """One figure a variant: signal to noise, None where there is no noise at all.

        The mean over all channels of error to signal, so that a score counts as much as a pixel
        that is a thousand times larger. A channel that is lost counts as lost once: 0 dB means
        that nothing is left anywhere.
        """
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            lost = np.where(self.noise == 0, 0.0, self.noise / self.signal)
        shares = np.fmin(np.where(np.isfinite(lost), lost, 1.0), 1.0).mean(axis=1)
        return [None if share == 0 else 10 * math.log10(1 / share) for share in shares.tolist()]


def energies(
    prepared: Prepared,
    plans: Mapping[str, Plan],
    files: Sequence[Image],
    kind: str,
    journal: Journal,
    budget: Budget,
    progress: Callable[[int], None],
) -> Energies:
    """The energies over at least one image and all that the budget allows or the journal knows.

    `kind` says in the journal which variants these are. Raises InputError for an image that cannot
    be read.
    """
    graph: Computation | None = None
    compared = compared_tensors(prepared.model)
    channels = sum(_channels(prepared, name, axes) for name, axes in compared.items())
    signal, noise = np.zeros(channels), np.zeros((len(plans), channels))
    done = 0
    for image in files:
        found = journal.arrays(image.key, kind)
        if found is not None and found["noise"].shape != noise.shape:
            found = None
        if found is None and done and budget.is_spent:
            continue
        if found is None:
            graph = graph or _graph(prepared, plans, compared)
            found = _measured(graph, placed(image, prepared.recipe.preprocess)[0], len(plans))
            journal.keep_arrays(image.key, kind, found)
        signal += found["signal"]
        noise += found["noise"]
        done += 1
        progress(done)
    return Energies(done, signal, noise)


def _channels(prepared: Prepared, name: str, axes: tuple[int, ...]) -> int:
    shape = prepared.model.shapes[name]
    return int(np.prod([extent for axis, extent in enumerate(shape) if axis not in axes]))


def _graph(
    prepared: Prepared, plans: Mapping[str, Plan], compared: Mapping[str, tuple[int, ...]]
) -> Computation:
    """All variants, each ending in the energies of its errors; those of the float model first."""
    merged = Merged(prepared.model)
    outputs = [_energy(merged, name, axes) for name, axes in compared.items()]
    for plan in plans.values():
        names = merged.add(*qdq_nodes(prepared.model, plan))
        for name, axes in compared.items():
            difference = merged.compute("Sub", [name, names[name]])
            outputs.append(_energy(merged, difference, axes))
    return Computation(merged, outputs, cores())


def _energy(merged: Merged, tensor: str, axes: tuple[int, ...]) -> str:
    if merged.model.opset < 18:
        return merged.compute("ReduceSumSquare", [tensor], axes=axes, keepdims=0)
    listed = merged.constant(numpy_helper.from_array(np.array(axes, np.int64), "summed"))
    return merged.compute("ReduceSumSquare", [tensor, listed], keepdims=0)


def _measured(graph: Computation, tensor: NDArray[np.float32], variants: int) -> Arrays:
    found = [np.asarray(part, np.float64).reshape(-1) for part in graph.run(tensor)]
    rows = np.concatenate(found).reshape(variants + 1, -1)
    return {"signal": rows[0], "noise": rows[1:]}
