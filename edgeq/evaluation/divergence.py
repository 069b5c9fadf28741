"""How far one engine's raw outputs are from another's: signal-to-noise ratio in dB."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeq.errors import EdgeqError

WORST_DB = -300.0
"""Stands for no signal at all, or a NaN in it: JSON has no infinity, and None means equal"""

Outputs = Mapping[str, NDArray[Any]]


def snr_db(reference: NDArray[Any], other: NDArray[Any]) -> float | None:
    """10 log10(sum(reference²) / sum((reference - other)²)), None where the two are equal.

    Arrays of one shape, any numbers. Not below `WORST_DB`, which values that are not finite
    get too. Raises EdgeqError when the shapes differ.
    """
    return outputs_snr_db([({"": reference}, {"": other})])[""]


def outputs_snr_db(pairs: Iterable[tuple[Outputs, Outputs]]) -> dict[str, float | None]:
    """The ratio of every named output over all images, from (reference, other) of each image.

    Takes one pair at a time, so a generator keeps no more than one image's outputs in memory.
    Raises EdgeqError when names or shapes differ.
    """
    signal: dict[str, float] = {}
    noise: dict[str, float] = {}
    for reference, other in pairs:
        if reference.keys() != other.keys():
            what = f"outputs {sorted(reference)} are compared with {sorted(other)}"
            raise EdgeqError("divergence", what, "compare two forms of one model")
        for name, expected in reference.items():
            power, difference = _powers(name, expected, other[name])
            signal[name] = signal.get(name, 0.0) + power
            noise[name] = noise.get(name, 0.0) + difference
    return {name: _ratio_db(signal[name], noise[name]) for name in signal}


def _powers(name: str, reference: NDArray[Any], other: NDArray[Any]) -> tuple[float, float]:
    if reference.shape != other.shape:
        what = f"output '{name}' has shape {reference.shape} here and {other.shape} there"
        raise EdgeqError("divergence", what, "compare two forms of one model")
    expected = np.asarray(reference, dtype=np.float64).ravel()
    if np.array_equal(reference, other, equal_nan=True):
        return float(np.vdot(expected, expected)), 0.0
    with np.errstate(invalid="ignore", over="ignore"):
        difference = expected - np.asarray(other, dtype=np.float64).ravel()
        return float(np.vdot(expected, expected)), float(np.vdot(difference, difference))


def _ratio_db(signal: float, noise: float) -> float | None:
    if noise == 0.0:
        return None
    if not (math.isfinite(signal) and math.isfinite(noise)) or signal == 0.0:
        return WORST_DB
    return max(WORST_DB, 10 * (math.log10(signal) - math.log10(noise)))
