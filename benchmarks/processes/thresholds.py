"""Ranges from histograms beside ranges from the raw values, tensor by tensor."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.processes.exact import Exact, squared_error
from benchmarks.processes.exchange import answer, arguments
from benchmarks.processes.plans import CALIBRATORS, Calibrated, calibrated
from edgeq.calibration.collect import Tap
from edgeq.calibration.inputs import tensors
from edgeq.calibrators.base import calibrate
from edgeq.calibrators.mse import mse
from edgeq.spec.images import images_of
from edgeq.spec.recipe import Preprocess

PERCENTILES = ("99.9", "99.99", "99.999")
GROUP = 24
"""Tensors whose raw values are held at once."""


def main() -> None:
    """Run {model, size, images, threads, affine_every}.

    The answer holds, per figure, relative errors and tensors, the worst first.
    """
    given = arguments()
    size, images = given["size"], given["images"]
    subject = calibrated(Path(given["model"]), size, images, given["threads"])
    names = [*subject.seen.sources, *sorted(subject.seen.rules.rules)]
    found: dict[str, list[tuple[float, str]]] = {}
    raw = _raw(subject, names, images, size, given["threads"])
    for count, (name, values) in enumerate(raw):
        affine = count % given["affine_every"] == 0
        for figure, error in _errors(subject, name, values, affine).items():
            found.setdefault(figure, []).append((error, name))
    answer({"errors": {figure: sorted(errors)[::-1] for figure, errors in found.items()}})


def _raw(
    subject: Calibrated, names: list[str], images: list[str], size: int, threads: int
) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Each tensor with all its values over all images."""
    files = images_of([Path(image) for image in images])
    preprocess = Preprocess(size=(size, size))
    for start in range(0, len(names), GROUP):
        group = names[start : start + GROUP]
        tap = Tap(subject.model, group, threads)
        parts: dict[str, list[NDArray[np.float32]]] = {name: [] for name in group}
        for tensor in tensors(files, preprocess):
            for name, values in tap.run(tensor).items():
                parts[name].append(values.reshape(-1).copy())
        for name in group:
            yield name, np.concatenate(parts.pop(name))


def _errors(
    subject: Calibrated, name: str, values: NDArray[np.float32], affine: bool
) -> dict[str, float]:
    histogram = subject.seen.histogram(name)
    errors = {}
    magnitudes, ascending = np.sort(np.abs(values)), np.sort(values)
    for percentile in PERCENTILES:
        quantizer = CALIBRATORS[f"percentile {percentile}"]
        share = float(percentile) / 100
        found = calibrate(histogram, quantizer, symmetric=True)
        off = [_relative(found.high, _at(magnitudes, share))]
        found = calibrate(histogram, quantizer, symmetric=False)
        off.append(_relative(found.low, min(_at(ascending, (1 - share) / 2), 0.0)))
        off.append(_relative(found.high, max(_at(ascending, (1 + share) / 2), 0.0)))
        errors[f"percentile {percentile}"] = max(off)
    exact = Exact(ascending)
    for symmetric in (True, False) if affine else (True,):
        best = exact.best(symmetric)
        ours = mse(histogram, symmetric)
        least = squared_error(values, best, symmetric)
        if least > 0:
            excess = squared_error(values, (ours.low, ours.high), symmetric) / least - 1
            errors[f"mse {'symmetric' if symmetric else 'affine'}"] = excess
    return errors


def _at(ascending: NDArray[np.float32], share: float) -> float:
    """The least value that `share` of all values do not exceed."""
    # What a product of decimal fractions misses by rounding is not another rank.
    rank = math.ceil(share * len(ascending) - 1e-6)
    return float(ascending[min(max(rank, 1), len(ascending)) - 1])


def _relative(found: float, exact: float) -> float:
    return abs(found - exact) / max(abs(exact), 1e-30)


if __name__ == "__main__":
    main()
