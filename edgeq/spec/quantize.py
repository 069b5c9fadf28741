"""How to quantize: a recipe's part, or one of the built-in ones by its name."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import (
    Field,
    model_validator,
)

from edgeq import places
from edgeq.calibrators import calibrators
from edgeq.errors import Invalid
from edgeq.spec import document
from edgeq.spec.values import (
    AS_TUPLE,
    OneOf,
    Or,
    Part,
)

Granularity = Literal["per-tensor", "per-channel"]


Scheme = Literal["target", "scale", "affine"]


InputOutput = Literal["float32", "float16", "int8"]


HeadPolicy = Literal["float-tail", "float-head", "quantize"]


CalibratorName = Annotated[str, OneOf(calibrators)]


class Quantizer(Part):
    """How one kind of tensor is quantized."""

    granularity: Granularity
    scheme: Scheme = "target"
    """scale: symmetric around zero; affine: with a zero point; target: what the engine does best"""
    calibrator: CalibratorName = "max"
    percentile: Annotated[float, Field(gt=50, le=100)] | None = None
    """share of the absolute values that is kept, for calibrator percentile, such as 99.99"""

    @model_validator(mode="after")
    def _parameter_belongs_to_its_calibrator(self) -> Quantizer:
        for name, calibrator in calibrators().items():
            key = calibrator.parameter
            if key is None:
                continue
            given = getattr(self, key) is not None
            if given and self.calibrator != name:
                what = f"{key} is given for calibrator '{self.calibrator}'"
                remedy = f"write 'calibrator: {name}' or leave it out"
                raise Invalid(what, remedy, key)
            if not given and self.calibrator == name:
                what = f"calibrator {name} needs its value"
                raise Invalid(what, f"add '{key}: {calibrator.example}'", "calibrator")
        return self

    @property
    def parameter(self) -> float | None:
        """The value that the calibrator has for itself; None where it has none."""
        key = calibrators()[self.calibrator].parameter
        return None if key is None else getattr(self, key)


class Weights(Quantizer):
    """Weights: symmetric, [-127, 127]."""

    granularity: Granularity = "per-channel"


class Activations(Quantizer):
    """Activations: one scale a tensor."""

    granularity: Granularity = "per-tensor"


class Override(Part):
    """What differs for the layers that a pattern names; 'float' leaves them unquantized."""

    weights: Weights | None = None
    activations: Activations | None = None
    float: bool = False

    @model_validator(mode="before")
    @classmethod
    def _float_alone(cls, value: object) -> object:
        if isinstance(value, str) and value != "float":
            raise Invalid(f"'{value}' is unknown", "write 'float', or 'weights:', 'activations:'")
        return {"float": True} if value == "float" else value

    @model_validator(mode="after")
    def _says_one_thing(self) -> Override:
        ways = self.weights is not None or self.activations is not None
        if self.float == ways:
            if ways:
                raise Invalid("says both, float and how to quantize", "keep one")
            raise Invalid("says nothing", "write 'float', or 'weights:', 'activations:'")
        return self


class Quantize(Part):
    """How to quantize: given in the recipe, or the name of one of the built-in recipes/."""

    weights: Weights = Weights()
    activations: Activations = Activations()
    overrides: dict[str, Annotated[Override, Or({"const": "float"})]] = Field(default={})
    """node pattern (exact name, glob or op:Type) to what differs there"""
    exclude: Annotated[tuple[str, ...], AS_TUPLE] = ()
    """node patterns that stay float"""
    io: InputOutput = "float32"
    """type of the model's input and outputs; float16 where what is not quantized is too (TensorRT
    11); int8: the image is fed in int8, and outputs that the plan has in int8 stay so (LiteRT)"""
    head: HeadPolicy = "float-tail"
    """float-tail: what follows the head's reshape stays float; float-head: so do the layers
    that feed it; quantize: everything"""

    @property
    def calibrators(self) -> set[str]:
        """Of activations, wherever they are quantized."""
        others = [one.activations for one in self.overrides.values() if one.activations]
        return {quantizer.calibrator for quantizer in (self.activations, *others)}


def builtin_names() -> list[str]:
    """Names of the built-in ways to quantize, from recipes/."""
    return sorted(file.stem for file in places.builtin("recipes").glob("*.yaml"))


def builtin_quantize(name: str) -> Quantize:
    """The `quantize` block of that name from recipes/; Invalid with the names there are."""
    if name not in builtin_names():
        raise Invalid(f"quantize '{name}' is unknown", document.nearest(name, builtin_names()))
    source = document.read(places.builtin("recipes") / f"{name}.yaml")
    return document.validate(source, Quantize)
