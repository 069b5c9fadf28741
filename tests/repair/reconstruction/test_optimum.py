"""One layer whose best integers are known: all were tried. Both ways to round are held to it."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgeq.progress import silent
from edgeq.repair.rounding import Problem, adaround
from edgeq.runtimes.qdq import write_qdq
from edgeq.spec.repair import Reconstruct

from ...nets import Net
from .nets import planned

pytest.importorskip("torch")

from edgeq.repair.reconstruction.reconstruct import Subject, reconstruct

STEP = 0.01
SHARES = np.array([1.0, 0.9, 0.8])
"""The three inputs are one, this much of it: what their weights lack adds up"""
WEIGHTS = np.array([[10.45, 20.40, 30.35], [-11.42, -21.35, -29.30], [7.1, -8.9, 12.2]])
"""In steps; rounded to the nearest, the first two outputs lose a whole step"""


@pytest.mark.usefixtures("edgeq_home")
def test_both_ways_to_round_find_the_best_integers(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    levels = rng.integers(0, 26, (16, 1, 8, 8)) * 10  # every share of it is a level, too
    x = (levels * SHARES.reshape(1, 3, 1, 1) / 255).astype(np.float32)
    rows = (x.transpose(0, 2, 3, 1).reshape(-1, 3)).astype(np.float64)
    gram = (rows.T @ rows)[np.newaxis]
    problem = Problem(WEIGHTS[np.newaxis], gram, np.zeros((1, 3, 3)), 127)
    options = np.array(list(itertools.product((0, 1), repeat=3)))
    tried = np.floor(WEIGHTS)[:, np.newaxis] + options
    errors = np.stack([problem.error(tried[:, i][np.newaxis])[0] for i in range(8)])
    best = tried[np.arange(3), errors.argmin(axis=0)]
    assert (best != np.rint(WEIGHTS)).any(axis=1).tolist() == [True, True, False]

    np.testing.assert_array_equal(adaround(problem, 1000)[0], best)

    net = Net(3, 8)
    weight = (WEIGHTS * STEP).astype(np.float32).reshape(3, 3, 1, 1)
    net.node("Conv", ["x", net.constant("w", weight)], "out")
    model = net.model(tmp_path, ["out"])
    plan = planned(model)
    scale = replace(plan.weights["out"], scales=(STEP,) * 3)
    one = replace(plan.tensors["x"], scale=1 / 255, zero_point=0)
    plan = replace(plan, weights={"out": scale}, tensors={**plan.tensors, "x": one})
    found = reconstruct(
        Subject(model, plan, x, rigid=False),
        Reconstruct(biases=False, iterations=60),
        0,
        "key",
        write_qdq,
        1,
        silent,
    )
    learned = np.rint(found.constants["out", 1].reshape(3, 3).astype(np.float64) / STEP)
    np.testing.assert_array_equal(learned, best)
