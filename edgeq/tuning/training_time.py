"""How long reconstruction is going to take here, before it is begun."""

from __future__ import annotations

from edgeq.graph.layers import layers
from edgeq.spec.repair import Reconstruct
from edgeq.stages.prepare import Prepared, cores

CROP = 256 * 256
"""Pixels of what is trained on"""
CPU_S = 320.0
"""For each billion multiply-adds of a crop, at 150 iterations a block: 181 s were measured for a
model of .57 (docs/decisions/0016)."""


def reconstruction_s(prepared: Prepared, options: Reconstruct) -> float:
    """Seconds, as a rule of thumb: as the model's multiply-adds go, over this machine's cores."""
    height, width = prepared.recipe.preprocess.size
    share = min(1.0, CROP / (height * width))
    macs = sum(layer.macs or 0 for layer in layers(prepared.model)) * share
    return CPU_S * macs / 1e9 * options.iterations / Reconstruct().iterations / cores()
