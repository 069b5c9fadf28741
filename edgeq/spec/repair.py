"""What is done to the model before it is quantized: a recipe's part."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import (
    Field,
    field_validator,
    model_validator,
)

from edgeq.spec.values import (
    Or,
    Part,
    PositiveInt,
)


class AdaRound(Part):
    """How long rounding is optimized, by adaptive rounding (Nagel et al. 2020)."""

    iterations: PositiveInt = 1500
    """steps of the optimizer, for each layer"""


class Reconstruct(Part):
    """How blocks of layers are trained to put out what the float ones do (Li et al. 2021)."""

    weights: bool = True
    """learn weights; without them biases alone, which brings most of the gain in less time"""
    biases: bool = True
    """learn biases"""
    ranges: bool | None = None
    """learn the ranges of activations, too; default: where their calibrator is max"""
    iterations: PositiveInt = 150
    """steps of the optimizer, for each block of about seven layers"""
    crops: PositiveInt = 128
    """parts of calibration images that blocks are trained on"""

    @model_validator(mode="after")
    def _learns_something(self) -> Self:
        if not (self.weights or self.biases or self.ranges):
            raise ValueError("learns neither weights nor biases; leave 'reconstruct' out")
        return self


class Repair(Part):
    """What is done to the model so that it loses less when it is quantized; nothing by default.

    Names and shapes stay, so that everything else in the recipe means what it meant.
    """

    equalize: bool = False
    """scale channels of neighbouring layers to equal ranges, where ReLU, LeakyReLU or nothing
    stands between them (Nagel et al. 2019)"""
    bias_correction: bool = False
    """let each layer's bias make up for the mean that quantization shifts its output by (Nagel et
    al. 2019)"""
    adaround: Annotated[AdaRound | None, Or({"type": "boolean"})] = None
    """true, or how long: choose by the layer's output which weights are rounded up and which
    down, instead of each to the nearest"""
    reconstruct: Annotated[Reconstruct | None, Or({"type": "boolean"})] = None
    """true, or how: train weights and biases, block after block, with the float model as the
    teacher; needs edgeq[train], and is kept only where the quantized model then agrees better"""
    seed: Annotated[int, Field(ge=0)] = 0
    """which places of the images adaround looks at, and which crops reconstruct trains on"""
    images: PositiveInt = 16
    """how many of the calibration images are looked at, spread evenly; all if there are fewer"""

    @field_validator("adaround", "reconstruct", mode="before")
    @classmethod
    def _by_default(cls, value: object) -> object:
        if isinstance(value, bool):
            return {} if value else None
        return value

    @property
    def is_wanted(self) -> bool:
        """Whether anything is to be repaired."""
        return self.equalize or self.needs_plan or self.reconstruct is not None

    @property
    def needs_plan(self) -> bool:
        """Whether any repair makes up for what a plan's integers lose."""
        return self.bias_correction or self.adaround is not None
