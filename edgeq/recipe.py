"""The recipe: what to quantize and how, which data, what is acceptable. Loaded from YAML once."""

from __future__ import annotations

import difflib
import json
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from edgeq import document, places
from edgeq.errors import InputError, raise_all

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")

Decoder = Literal["yolov5-seg", "yolov8-seg", "end2end-seg", "mask-rcnn"]
Granularity = Literal["per-tensor", "per-channel"]
Scheme = Literal["target", "scale", "affine"]
CalibratorName = Literal["max", "entropy", "percentile", "mse"]
HeadPolicy = Literal["float-tail", "float-head", "quantize"]

_UNITS = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20}
_UNITS["gib"] = 2**30


def _bytes(value: object) -> object:
    if not isinstance(value, str):
        return value
    match = re.fullmatch(r"\s*([0-9.]+)\s*([A-Za-z]*)\s*", value)
    if not match or match[2].lower() not in _UNITS:
        raise ValueError(f"'{value}' is no size; write a number of bytes, or '4 MiB', '300 MB'")
    return int(float(match[1]) * _UNITS[match[2].lower()])


def _existing(value: object, info: ValidationInfo) -> Path:
    """The path relative to the recipe's folder; it has to exist."""
    if not isinstance(value, str | Path):
        raise ValueError(f"'{value}' is no path; write the name of a file or folder")
    folder: Path = (info.context or {}).get("folder", Path())
    path = folder / Path(value).expanduser()
    if not path.exists():
        raise ValueError(f"'{value}' does not exist; {_neighbour(path)}")
    return path


def _neighbour(path: Path) -> str:
    if not path.parent.is_dir():
        return f"there is no folder {path.parent}"
    names = [entry.name for entry in path.parent.iterdir()]
    close = difflib.get_close_matches(path.name, names, n=1)
    return f"did you mean '{close[0]}'?" if close else f"nothing like it in {path.parent}"


Bytes = Annotated[int, BeforeValidator(_bytes), Field(gt=0)]
ExistingPath = Annotated[Path, BeforeValidator(lambda v, info: str(_existing(v, info)))]
ImagePath = Annotated[
    Path,
    BeforeValidator(lambda v, info: str(_existing(v, info))),
    Field(description="a folder of images, or a text file that lists one path a line"),
]
Fraction = Annotated[float, Field(ge=0, le=1)]
PositiveFloat = Annotated[float, Field(gt=0, allow_inf_nan=False)]
PositiveInt = Annotated[int, Field(gt=0)]


class _Part(BaseModel):
    """Base of the recipe's parts: frozen, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Task(_Part):
    """How the model's outputs become instances."""

    decoder: Decoder
    """layout of the outputs"""
    classes: Annotated[tuple[str, ...], Field(min_length=1)]
    """class names in the model's order, or a text file with one a line"""
    score_threshold: Fraction = 0.001
    iou_threshold: Fraction = 0.6
    """overlap above which non-maximum suppression drops the lower score"""
    max_detections: PositiveInt = 100
    multi_label: bool = True
    """every class above the threshold counts, not only the best one of a candidate"""
    mask_threshold: Fraction = 0.5
    categories: dict[int, int] | None = None
    """class index to COCO category id, or a JSON file; default: equal names"""

    @field_validator("classes", mode="before")
    @classmethod
    def _classes_from_file(cls, value: object, info: ValidationInfo) -> object:
        if isinstance(value, str):
            value = _existing(value, info).read_text(encoding="utf-8").splitlines()
            value = [name.strip() for name in value if name.strip()]
        return tuple(value) if isinstance(value, list) else value

    @field_validator("categories", mode="before")
    @classmethod
    def _categories_from_file(cls, value: object, info: ValidationInfo) -> object:
        if isinstance(value, str):
            path = _existing(value, info)
            try:
                value = json.loads(path.read_text(encoding="utf-8"))
            except ValueError as exc:
                raise ValueError(f"'{value}' is not JSON ({exc}); map class to category") from exc
        if isinstance(value, dict):  # a mapping's keys come as text from YAML and JSON
            return {int(k) if str(k).isdigit() else k: v for k, v in value.items()}
        return value

    @model_validator(mode="after")
    def _categories_name_classes(self) -> Task:
        unknown = [i for i in self.categories or {} if not 0 <= i < len(self.classes)]
        if unknown:
            raise ValueError(
                f"categories names class {unknown[0]}, but there are only {len(self.classes)} "
                f"classes; class indices start at 0"
            )
        return self


class Preprocess(_Part):
    """From an image file to the input tensor: letterbox, colour order, (pixel*scale-mean)/std."""

    size: tuple[PositiveInt, PositiveInt]
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
        if isinstance(value, int):
            return (value, value)
        return tuple(value) if isinstance(value, list) else value


class Calibration(_Part):
    """The images that the ranges are taken from; no labels are needed."""

    images: ImagePath
    count: PositiveInt | None = None
    """how many of them, spread evenly over the sorted names; default: all"""


class Quantizer(_Part):
    """How one kind of tensor is quantized."""

    granularity: Granularity
    scheme: Scheme = "target"
    """scale: symmetric around zero; affine: with a zero point; target: what the engine does best"""
    calibrator: CalibratorName = "max"
    percentile: Annotated[float, Field(gt=50, le=100)] | None = None
    """share of the absolute values that is kept, for calibrator percentile, such as 99.99"""

    @model_validator(mode="after")
    def _percentile_belongs_to_its_calibrator(self) -> Quantizer:
        if self.percentile is not None and self.calibrator != "percentile":
            raise ValueError(
                f"percentile is given for calibrator '{self.calibrator}'; "
                "write 'calibrator: percentile' or leave it out"
            )
        if self.percentile is None and self.calibrator == "percentile":
            raise ValueError("calibrator percentile needs its value; add 'percentile: 99.99'")
        return self


class Weights(Quantizer):
    """Weights: symmetric, [-127, 127]."""

    granularity: Granularity = "per-channel"


class Activations(Quantizer):
    """Activations: one scale a tensor."""

    granularity: Granularity = "per-tensor"


class Override(_Part):
    """What differs for the layers that a pattern names; 'float' leaves them unquantized."""

    weights: Weights | None = None
    activations: Activations | None = None
    float: bool = False

    @model_validator(mode="before")
    @classmethod
    def _float_alone(cls, value: object) -> object:
        return {"float": True} if value == "float" else value


class Quantize(_Part):
    """How to quantize: given in the recipe, or the name of one of the built-in recipes/."""

    weights: Weights = Weights()
    activations: Activations = Activations()
    overrides: dict[str, Override] = {}
    """node pattern (exact name, glob or op:Type) to what differs there"""
    exclude: tuple[str, ...] = ()
    """node patterns that stay float"""
    head: HeadPolicy = "float-tail"
    """float-tail: what follows the head's reshape stays float; float-head: so do the layers
    that feed it; quantize: everything"""


class Evaluate(_Part):
    """The annotated images that the loss is measured on."""

    images: ImagePath
    annotations: ExistingPath
    """COCO JSON"""
    count: PositiveInt | None = None
    """only the first images of the annotations; default: all"""


class Measure(_Part):
    """How long to measure on the device."""

    warmup_s: Annotated[float, Field(ge=0)] = 1.0
    max_warmup_s: PositiveFloat = 15.0
    min_duration_s: PositiveFloat = 5.0
    max_duration_s: PositiveFloat = 120.0
    min_count: PositiveInt = 50
    threads: PositiveInt | None = None
    """default: the target's"""


class Gates(_Part):
    """What is acceptable; a gate that is left out is not judged."""

    mask_ap_drop: Annotated[float, Field(le=1)] | None = None
    """float minus device, absolute"""
    box_ap_drop: Annotated[float, Field(le=1)] | None = None
    latency_p50_ms: PositiveFloat | None = None
    """inference on the device"""
    latency_p90_ms: PositiveFloat | None = None
    latency_p99_ms: PositiveFloat | None = None
    peak_memory_bytes: Bytes | None = None
    """peak resident memory of the agent on the device; '300 MiB' is understood"""
    artifact_bytes: Bytes | None = None
    divergence_mask_ap: PositiveFloat | None = None
    """simulated and device mask AP may differ by this much"""
    divergence_snr_db: float | None = None
    """the device's raw outputs against the simulation's, at least"""


class Recipe(_Part):
    """An edgeq recipe."""

    model: ExistingPath
    """ONNX file"""
    task: Task
    preprocess: Preprocess
    calibration: Calibration
    quantize: Quantize = Quantize()
    evaluate: Evaluate | None = None
    measure: Measure = Measure()
    gates: Gates = Gates()

    @field_validator("quantize", mode="before")
    @classmethod
    def _quantize_by_name(cls, value: object) -> object:
        return builtin_quantize(value) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _accuracy_gates_need_annotations(self) -> Recipe:
        gates = self.gates
        wanted = ("mask_ap_drop", "box_ap_drop", "divergence_mask_ap")
        named = [name for name in wanted if getattr(gates, name) is not None]
        if self.evaluate is None and named:
            raise ValueError(
                f"gate {named[0]} needs annotated images; add 'evaluate:' with images and "
                "annotations"
            )
        return self


def builtin_names() -> list[str]:
    """Names of the built-in ways to quantize, from recipes/."""
    return sorted(file.stem for file in places.builtin("recipes").glob("*.yaml"))


def builtin_quantize(name: str) -> Quantize:
    """The `quantize` block of that name from recipes/; ValueError with the names there are."""
    if name not in builtin_names():
        raise ValueError(f"quantize '{name}' is unknown; {document.nearest(name, builtin_names())}")
    source = document.read(places.builtin("recipes") / f"{name}.yaml")
    return document.validate(source, Quantize)


def load(path: Path) -> Recipe:
    """Read a recipe; all that is wrong with it is reported together, each with its line.

    Raises InputError or InputErrors.
    """
    source = document.read(path)
    recipe = document.validate(source, Recipe)
    problems = []
    try:
        count = recipe.calibration.count
        have = len(image_files(recipe.calibration.images, source.at(("calibration", "images"))))
        if count is not None and count > have:
            what = f"count is {count}, but there are {have} images in {recipe.calibration.images}"
            where = source.at(("calibration", "count"))
            problems.append(InputError(where, what, "add images or lower the count"))
    except InputError as exc:
        problems.append(exc)
    if recipe.evaluate is not None and not recipe.evaluate.images.is_dir():
        where = source.at(("evaluate", "images"))
        problems.append(InputError(where, f"{recipe.evaluate.images} is no folder", "name one"))
    raise_all(problems)
    return recipe


def image_files(source: Path, where: str) -> list[Path]:
    """The images of a folder by name, or of a list file by line; InputError when there are none."""
    if source.is_dir():
        files = sorted(f for f in source.iterdir() if f.suffix.lower() in IMAGE_SUFFIXES)
        if not files:
            raise InputError(
                where, f"no images in {source}", f"wanted: {', '.join(IMAGE_SUFFIXES)}"
            )
        return files
    names = [line.strip() for line in source.read_text(encoding="utf-8").splitlines()]
    files = [source.parent / name for name in names if name]
    missing = [
        InputError(str(source), f"'{f}' does not exist", "") for f in files if not f.exists()
    ]
    raise_all(missing)
    if not files:
        raise InputError(where, f"{source} lists no images", "one path a line is expected")
    return files


def schema() -> dict[str, Any]:
    """The JSON Schema of a recipe file, for editors."""
    described = Recipe.model_json_schema()
    described["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    return described
