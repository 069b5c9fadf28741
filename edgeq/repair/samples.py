"""What the float model's layers put out: the mean of every channel, and samples of every layer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeq.calibration.collect import Tap
from edgeq.graph.model import Model
from edgeq.repair.windows import Windows

SAMPLES = 8192
"""Places of a layer's output that are looked at, over all images; several times as many as a weight
of the usual size has inputs."""

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class SampledLayer:
    """A layer by node name, with the tensor that it writes and the axis of its channels.

    `windows` is None where its rounding is not looked at.
    """

    name: str
    tensor: str
    axis: int
    windows: Windows | None


@dataclass(frozen=True)
class LayerSample:
    """Means [channels] of a float layer's output; its values at some places of every image."""

    mean: Doubles
    places: tuple[NDArray[np.int64], ...]
    values: tuple[Floats, ...]


def channel_mean(values: Floats, axis: int) -> Doubles:
    """The mean of every channel."""
    axes = tuple(i for i in range(values.ndim) if i != axis % values.ndim)
    return np.asarray(values.mean(axis=axes, dtype=np.float64))


def sample(
    model: Model,
    layers: Mapping[str, SampledLayer],
    images: Iterable[Floats],
    count: int,
    seed: int,
    threads: int,
) -> dict[str, LayerSample]:
    """One float pass over `count` images; where to look is drawn anew for each layer and image."""
    tap = Tap(model, [layer.tensor for layer in layers.values()], threads)
    sums: dict[str, Doubles] = {}
    places: dict[str, list[NDArray[np.int64]]] = {name: [] for name in layers}
    values: dict[str, list[Floats]] = {name: [] for name in layers}
    rng = np.random.default_rng(seed)
    for image in images:
        found = tap.run(image)
        for name, layer in layers.items():
            output = found[layer.tensor]
            sums[name] = sums.get(name, 0.0) + channel_mean(output, layer.axis) / count
            if layer.windows is not None:
                there = layer.windows.places(output.shape)
                drawn = rng.choice(there, min(there, -(-SAMPLES // count)), replace=False)
                places[name].append(drawn)
                values[name].append(layer.windows.outputs(output, drawn))
    return {
        name: LayerSample(sums[name], tuple(places[name]), tuple(values[name])) for name in layers
    }
