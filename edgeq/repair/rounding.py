"""AdaRound: which weights to round up and which down, so that the layer's output changes least.

Nagel et al. 2020, Up or down? Adaptive rounding for post-training quantization (arXiv 2004.10568),
sections 3.3 and 3.4: each weight gets a variable V with h(V) = clip(sigmoid(V) (zeta - gamma) +
gamma, 0, 1) added to its floor; Adam minimises the squared error of the layer's output plus lambda
sum(1 - |2 h(V) - 1|^beta), where beta falls and so drives every h to 0 or 1. The error is quadratic
in the weights, so what is optimized are not batches of inputs but their Gram matrix, which is all
of them at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeq.quantization.neighbours import Neighbours

Doubles = NDArray[np.float64]

ZETA, GAMMA = 1.1, -0.1
LAMBDA = 0.3
BETA = 20.0, 2.0
WARM_UP = 0.2
"""Share of the iterations without the regularizer."""
LEARNING_RATE = 0.02
DECAY = 0.9, 0.999
EPSILON = 1e-8


@dataclass(frozen=True)
class Problem:
    """Weights of one layer in steps of their scales [groups, outputs, k], and what they meet.

    The error of integers q is e G e^T - 2 e p^T (+ a constant) by output, with e = q - weights,
    Gram matrix G [groups, k, k] of the inputs and p [groups, outputs, k], the product of the inputs
    with what is to be made up for. `steps` bounds the integers, `neighbours`, if any, bound pairs.
    """

    weights: Doubles
    gram: Doubles
    pull: Doubles
    steps: int
    neighbours: Neighbours | None = None

    def error(self, integers: Doubles) -> Doubles:
        """The squared error of each output [groups, outputs], but for a constant."""
        e = integers - self.weights
        return np.asarray((e * (e @ self.gram - 2 * self.pull)).sum(axis=-1))

    @property
    def nearest(self) -> Doubles:
        """Every weight rounded to the nearest integer."""
        return np.asarray(np.clip(np.rint(self.weights), -self.steps, self.steps))


def adaround(problem: Problem, iterations: int) -> Doubles:
    """The integers; an output's are those of the nearest rounding where these are no worse.

    A weight at the end of the integers' range stays there, as the scale depends on it. So do two
    neighbours that would sum to more than they may, which the nearest never do.
    """
    nearest = problem.nearest
    found = _optimized(problem, iterations)
    fixed = np.abs(problem.weights) > problem.steps - 0.5
    found = np.where(fixed, nearest, np.clip(found, -problem.steps, problem.steps))
    if problem.neighbours is not None:
        found = np.where(problem.neighbours.over(found), nearest, found)
    better = problem.error(found) < problem.error(nearest)
    return np.where(better[..., np.newaxis], found, nearest)


def _optimized(problem: Problem, iterations: int) -> Doubles:
    floor = np.floor(problem.weights)
    rest = (problem.weights - floor).astype(np.float32)
    # Per weight the error is then that of inputs of unit power, whatever scales they have.
    power = max(float(np.einsum("gkk->", problem.gram)) / np.prod(problem.gram.shape[:2]), 1e-30)
    gram = (problem.gram / power).astype(np.float32)
    pull = (problem.pull / power).astype(np.float32)
    span = np.float32(ZETA - GAMMA)
    start = (rest - np.float32(GAMMA)) / span
    v = np.log(start / (1 - start))
    first, second = np.zeros_like(v), np.zeros_like(v)
    warm = int(WARM_UP * iterations)
    for step in range(iterations):
        gate = 1 / (1 + np.exp(-v))
        raised = gate * span + np.float32(GAMMA)
        h = np.clip(raised, 0, 1)
        slope = 2 * ((h - rest) @ gram - pull)
        if step >= warm:
            beta = _annealed((step - warm) / max(iterations - warm, 1))
            away = 2 * h - 1
            power_of = np.exp((beta - 1) * np.log(np.maximum(np.abs(away), np.float32(1e-12))))
            slope -= np.float32(2 * LAMBDA) * beta * power_of * np.sign(away)
        slope *= span * gate * (1 - gate) * ((raised > 0) & (raised < 1))
        first += np.float32(1 - DECAY[0]) * (slope - first)
        second += np.float32(1 - DECAY[1]) * (slope * slope - second)
        unbiased = 1 - DECAY[0] ** (step + 1), 1 - DECAY[1] ** (step + 1)
        length = np.sqrt(second / np.float32(unbiased[1])) + np.float32(EPSILON)
        v -= np.float32(LEARNING_RATE / unbiased[0]) * first / length
    return np.asarray(floor + (v >= 0))


def _annealed(done: float) -> np.float32:
    """Beta after a share of the iterations: along half a cosine from its first to its last."""
    return np.float32(BETA[1] + (BETA[0] - BETA[1]) * 0.5 * (1 + np.cos(np.pi * done)))
