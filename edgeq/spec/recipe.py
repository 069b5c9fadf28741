"""The recipe: what to quantize and how, which data, what is acceptable. Loaded from YAML once."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from edgeq.errors import InputError, InputErrors, Invalid
from edgeq.spec import document
from edgeq.spec.gates import Gates, all_gates
from edgeq.spec.image_list import image_files
from edgeq.spec.quantize import Quantize, builtin_quantize
from edgeq.spec.repair import Repair
from edgeq.spec.values import (
    AS_TUPLE,
    FILE_NAME,
    FilePath,
    FolderPath,
    Fraction,
    ImagePath,
    OneOf,
    Or,
    Part,
    Percent,
    PositiveFloat,
    PositiveInt,
    Seconds,
    text_of,
)


def _decoders() -> Iterable[str]:
    from edgeq.agent.vision.decode import DECODERS  # which brings numpy and OpenCV

    return DECODERS


Decoder = Annotated[str, OneOf(_decoders)]


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """JSON takes the last of equal keys, and says nothing."""
    twice = [key for key, count in Counter(key for key, _ in pairs).items() if count > 1]
    if twice:
        raise ValueError(f"'{twice[0]}' is given twice")
    return dict(pairs)


class Task(Part):
    """How the model's outputs become instances."""

    decoder: Decoder
    """layout of the outputs"""
    classes: Annotated[tuple[str, ...], AS_TUPLE, Field(min_length=1), FILE_NAME]
    """class names in the model's order, or a text file with one a line"""
    score_threshold: Fraction = 0.001
    deploy_threshold: Fraction | None = None
    """score from which on your application keeps a detection: accuracy is told there, too"""
    iou_threshold: Fraction = 0.6
    """overlap above which non-maximum suppression drops the lower score"""
    max_detections: PositiveInt = 100
    multi_label: bool = True
    """every class above the threshold counts, not only the best one of a candidate"""
    mask_threshold: Annotated[float, Field(gt=0, lt=1)] = 0.5
    categories: Annotated[dict[int, int] | None, FILE_NAME] = None
    """class index to COCO category id, or a JSON file; default: equal names"""
    ignore_unmatched: bool = False
    """classes and annotated categories without a partner are left out instead of refused"""

    @field_validator("classes", mode="before")
    @classmethod
    def _classes_from_file(cls, value: object, info: ValidationInfo) -> object:
        if isinstance(value, str):
            return [name.strip() for name in text_of(value, info).splitlines() if name.strip()]
        return value

    @field_validator("categories", mode="before")
    @classmethod
    def _categories_from_file(cls, value: object, info: ValidationInfo) -> object:
        if isinstance(value, str):
            text = text_of(value, info)
            try:
                value = json.loads(text, object_pairs_hook=_each_once)
            except (ValueError, RecursionError) as exc:
                raise Invalid(f"'{value}' is not JSON ({exc})", "map class to category") from exc
        if isinstance(value, dict):  # a mapping's keys come as text from YAML and JSON
            return {int(k) if str(k).isdecimal() else k: v for k, v in value.items()}
        return value

    @model_validator(mode="after")
    def _threshold_keeps_what_was_found(self) -> Task:
        low = self.score_threshold
        if self.deploy_threshold is not None and self.deploy_threshold < low:
            what = f"deploy_threshold is {self.deploy_threshold:g}, below score_threshold {low:g}"
            remedy = "what it would keep is not found: lower score_threshold"
            raise Invalid(what, remedy, "deploy_threshold")
        return self

    @model_validator(mode="after")
    def _categories_name_classes(self) -> Task:
        unknown = [i for i in self.categories or {} if not 0 <= i < len(self.classes)]
        if unknown:
            what = f"categories names class {unknown[0]} of {len(self.classes)}"
            raise Invalid(what, "class indices start at 0", "categories", unknown[0])
        return self


Orientation = Literal["exif", "stored"]


class Preprocess(Part):
    """From an image file to the input tensor: letterbox, colour order, (pixel*scale-mean)/std."""

    size: Annotated[
        tuple[PositiveInt, PositiveInt], AS_TUPLE, Or({"type": "integer", "exclusiveMinimum": 0})
    ]
    """height and width in pixels"""
    letterbox: bool = True
    """keep the aspect ratio and pad; false stretches"""
    pad_value: Annotated[int, Field(ge=0, le=255)] = 114
    color: Literal["rgb", "bgr"] = "rgb"
    scale: PositiveFloat = 1 / 255
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[PositiveFloat, PositiveFloat, PositiveFloat] = (1.0, 1.0, 1.0)

    @field_validator("size", mode="before")
    @classmethod
    def _square(cls, value: object) -> object:
        return [value, value] if isinstance(value, int) else value

    @model_validator(mode="after")
    def _units_are_those_of_scaled_pixels(self) -> Preprocess:
        top = 255 * self.scale
        # A std of 1 divides by nothing, and some count a byte's values as 256.
        for name, values, most in (
            ("mean", self.mean, top),
            ("std", self.std, max(1.0, 256 * self.scale)),
        ):
            if any(not 0 <= value <= most * (1 + 1e-6) for value in values):
                what = f"{name} is {list(values)}, but pixels times scale are 0 to {top:g}"
                remedy = "give it in these units, or set the scale to 1 for those of 0 to 255"
                raise Invalid(what, remedy, name)
        return self


class Calibration(Part):
    """The images that the ranges are taken from; no labels are needed."""

    images: ImagePath
    count: PositiveInt | None = None
    """how many of them, spread evenly over the sorted names; default: all"""
    recursive: bool = False
    """folders within the folder are searched too"""

    @model_validator(mode="after")
    def _images_suffice(self) -> Calibration:
        try:
            have = len(image_files(self.images, "", self.recursive))
        except InputError as exc:
            more = len(exc.problems) - 1 if isinstance(exc, InputErrors) else 0
            what = f"{exc.where}: {exc.what}" if exc.where else exc.what
            what += f" (and {more} more)" if more else ""
            raise Invalid(what, exc.remedy, "images") from exc
        if self.count is not None and self.count > have:
            what = f"count is {self.count}, but there are {have} images in {self.images}"
            raise Invalid(what, "add images or lower the count", "count")
        return self


class Evaluate(Part):
    """The annotated images that the loss is measured on."""

    images: FolderPath
    annotations: FilePath
    """COCO JSON"""
    count: PositiveInt | None = None
    """only the first images of the annotations; default: all"""
    orientation: Orientation | None = None
    """photographs were annotated upright (exif) or as they are stored; default: as sizes tell"""
    float_ap_floor: Fraction = 0.05
    """below this AP of the float model a loss says nothing, and accuracy gates are not judged"""


class Measure(Part):
    """How long to measure on the device."""

    warmup_s: Annotated[float, Field(ge=0)] = 1.0
    max_warmup_s: PositiveFloat = 15.0
    min_duration_s: PositiveFloat = 5.0
    max_duration_s: PositiveFloat = 120.0
    min_count: PositiveInt = 64
    """as many as bound a p90"""
    percentiles: tuple[Literal[50, 90, 99], ...] = ()
    """run on, up to `max_duration_s`, until there are samples enough to bound these; those that
    gates are about are added"""
    threads: PositiveInt | None = None
    """default: the target's"""
    power_mode: Annotated[str, Field(min_length=1)] | None = None
    """a power mode that the board must be in, as nvpmodel names it, such as 15W or MAXN; another
    one makes the measurement unstable"""
    soak: Seconds | None = None
    """run for so long before anything is timed, as '20 min': the figures are then those of the
    device as hot as it gets"""
    streams: Annotated[
        tuple[Annotated[int, Field(ge=1, le=64)], ...], AS_TUPLE, Field(max_length=8)
    ] = ()
    """frames a second of so many streams side by side, such as [1, 2, 4], and of a pipeline"""
    cuda_graph: bool = False
    """launch each inference as one CUDA graph, which saves launching layer by layer (TensorRT)"""

    @model_validator(mode="after")
    def _bounds_are_in_order(self) -> Measure:
        for least, most in (("warmup_s", "max_warmup_s"), ("min_duration_s", "max_duration_s")):
            low, high = getattr(self, least), getattr(self, most)
            if low > high:
                what = f"{least} is {low:g}, but {most} is {high:g}"
                raise Invalid(what, "raise the one or lower the other", least)
        return self


class Compare(Part):
    """How two artifacts are compared on a device, and how much worse one may be."""

    images: ImagePath | None = None
    """images to run on; default: those of `evaluate`, else of `calibration`"""
    slower_by: Percent = 0.02
    """inference, and the whole frame"""
    larger_by: Percent = 0.02
    """peak memory, and the artifact's files"""
    hungrier_by: Percent = 0.05
    """energy of a frame, where the board has rails that can be read"""
    ap_lower_by: Annotated[float, Field(gt=0, lt=1)] = 0.005
    """mask AP and box AP, absolute"""
    duration_s: PositiveFloat = 60.0
    """of taking turns, all loads together"""
    reloads: Annotated[int, Field(ge=3, le=100)] = 8
    """how often both are loaded anew: where they come to lie in memory differs"""
    warmup_s: Annotated[float, Field(ge=0)] = 0.5
    """after each load"""


_NAME = Or({"type": "string", "description": "one of the built-in recipes/"})


class Recipe(Part):
    """An edgeq recipe."""

    model: FilePath
    """ONNX file"""
    task: Task
    preprocess: Preprocess
    calibration: Calibration
    quantize: Annotated[Quantize, _NAME] = Quantize()
    repair: Repair = Repair()
    evaluate: Evaluate | None = None
    tune: Evaluate | None = None
    """annotated images that `edgeq tune` compares on, others than those of `evaluate`; default: the
    calibration images, with what the float model finds there"""
    measure: Measure = Measure()
    compare: Compare = Compare()
    gates: Gates = Gates()

    @field_validator("quantize", mode="before")
    @classmethod
    def _quantize_by_name(cls, value: object) -> object:
        return builtin_quantize(value) if isinstance(value, str) else value

    @field_validator("repair")
    @classmethod
    def _learned_ranges_begin_with_max(cls, repair: Repair, info: ValidationInfo) -> Repair:
        asked = repair.reconstruct is not None and repair.reconstruct.ranges
        quantize = info.data.get("quantize")
        if asked and quantize is not None and "max" not in quantize.calibrators:
            [name, *_] = sorted(quantize.calibrators)
            what = f"ranges by calibrator {name} are not learned: it clips what max would keep"
            remedy = "write 'calibrator: max' under 'activations', or leave 'ranges' out"
            raise Invalid(what, remedy, "reconstruct", "ranges")
        return repair

    @field_validator("gates")
    @classmethod
    def _accuracy_gates_need_annotations(cls, gates: Gates, info: ValidationInfo) -> Gates:
        wanted = [name for name, gate in all_gates().items() if gate.needs_annotations]
        named = [name for name in wanted if getattr(gates, name) is not None]
        # A wrong `evaluate` is not in the data at all: it is reported by itself.
        if named and info.data.get("evaluate", gates) is None:
            what = f"gate {named[0]} needs annotated images"
            remedy = "add 'evaluate:' with images and annotations"
            raise Invalid(what, remedy, named[0])
        return gates

    @field_validator("gates")
    @classmethod
    def _deploy_gates_need_a_threshold(cls, gates: Gates, info: ValidationInfo) -> Gates:
        wanted = [name for name, gate in all_gates().items() if gate.needs_threshold]
        named = [name for name in wanted if getattr(gates, name) is not None]
        task = info.data.get("task")
        if named and task is not None and task.deploy_threshold is None:
            what = f"gate {named[0]} needs the score at which your application keeps a detection"
            raise Invalid(what, "add 'deploy_threshold:' to 'task:'", named[0])
        return gates


def load(path: Path) -> Recipe:
    """Read a recipe; all that is wrong with it is reported together, each with its line.

    Raises InputError or InputErrors.
    """
    return of(document.read(path))


def of(source: document.Document) -> Recipe:
    """The recipe in a file that was read already; raises as `load`."""
    return document.validate(source, Recipe)


def schema() -> dict[str, Any]:
    """The JSON Schema of a recipe file, for editors."""
    return document.schema(Recipe)
