"""What was measured: on the device (cost) and against the annotations (loss), and the report.

Pure records, JSON in and out (`model_dump_json`, `model_validate_json`); nothing is computed here
but what follows from the raw samples.
"""

from __future__ import annotations

import datetime
import math
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, computed_field

Stage = Literal["preprocess", "inference", "postprocess"]
Status = Literal["passed", "failed", "unstable", "not measured"]


class Record(BaseModel):
    """Base of the records: frozen, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def percentile(samples: tuple[int, ...], q: float) -> float:
    """The nearest-rank `q`-th percentile (0 < q <= 100), in the unit of the samples."""
    if not samples:
        return math.nan
    ordered = sorted(samples)
    return float(ordered[max(0, math.ceil(len(ordered) * q / 100) - 1)])


class Power(Record):
    """Means over the timed part in mW, and the energy of one inference in mJ.

    `total_mw` is the sum of `total_rails`, `idle_mw` the same before the engine was loaded.
    `energy_mj` is (total - idle) * duration / inferences, `energy_with_idle_mj` is
    total * duration / inferences.
    """

    source: str
    rails_mw: dict[str, float]
    total_rails: tuple[str, ...]
    total_mw: float | None
    idle_mw: float | None
    energy_mj: float | None
    energy_with_idle_mj: float | None
    samples: int


class Measurement(Record):
    """One bench on one device: raw samples, memory, and the conditions they were taken under."""

    preprocess_ns: tuple[int, ...]
    inference_ns: tuple[int, ...]
    postprocess_ns: tuple[int, ...]
    load_ns: int
    first_inference_ns: int
    warmup_count: int
    duration_ns: int
    throughput_per_s: float
    threads: int
    rss_before_load_bytes: int
    rss_after_load_bytes: int
    peak_rss_bytes: int
    peak_rss_source: str
    environment_before: dict[str, Any]
    environment_warm: dict[str, Any] = {}
    environment_after: dict[str, Any]
    power_mode: str | None = None
    power: Power | None = None
    power_missing: str = ""
    gpu_hz: int | None = None
    gpu_ns: tuple[int, ...] = ()
    """by the GPU's own clock, without the copies; empty where there is none"""
    engine_facts: dict[str, Any] | None = None
    """what an engine says of itself: TensorRT memory, layers and the time of each, LiteRT what ran
    outside of XNNPACK"""
    memory_available_before_load_bytes: int | None = None
    memory_available_after_load_bytes: int | None = None
    memory_available_lowest_bytes: int | None = None
    unstable: tuple[str, ...] = ()
    emulated: bool = False

    def samples_ns(self, stage: Stage) -> tuple[int, ...]:
        """The raw latency samples of one stage."""
        return {
            "preprocess": self.preprocess_ns,
            "inference": self.inference_ns,
            "postprocess": self.postprocess_ns,
        }[stage]

    def latency_ms(self, q: float, stage: Stage = "inference") -> float:
        """The `q`-th percentile of one stage's latency, in milliseconds."""
        return percentile(self.samples_ns(stage), q) / 1e6


class AveragePrecision(Record):
    """COCO average precision of one kind (mask or box); None where nothing is annotated.

    `ap` is the mean over IoU 0.50:0.95 and classes (COCO's primary metric); `small`, `medium` and
    `large` are the same by object area (below 32², to 96², above).
    """

    ap: float | None
    ap50: float | None
    ap75: float | None
    small: float | None
    medium: float | None
    large: float | None
    by_class: dict[str, float | None]


class Interval(Record):
    """A point estimate with a paired bootstrap confidence interval."""

    estimate: float
    low: float
    high: float
    confidence: float = 0.95
    resamples: int


class Accuracy(Record):
    """Mask and box AP of one set of predictions on one annotated set."""

    mask: AveragePrecision
    box: AveragePrecision
    images: int
    instances: int


class SlowerLayer(Record):
    """A layer of the model that takes longer in int8; milliseconds of one inference."""

    name: str
    int8_ms: float
    fp16_ms: float


class Speedup(Record):
    """int8 against fp16 on one device: median inference, and the passes that only reformat.

    None where the engines were not profiled. `slower` is sorted, the worst first.
    """

    int8_ms: float
    fp16_ms: float
    reformat_int8_ms: float | None = None
    reformat_fp16_ms: float | None = None
    slower: tuple[SlowerLayer, ...] = ()

    @property
    def ratio(self) -> float:
        """How many times faster int8 is."""
        return self.fp16_ms / self.int8_ms


ColumnName = Literal["float", "simulated", "fp16", "device"]


class Column(Record):
    """One column of the report: float on the host, the simulated plan, or the device.

    fp16 is the float model on the device, where its engine computes in float16.
    """

    name: ColumnName
    where: str
    accuracy: Accuracy | None = None
    mask_ap_drop: Interval | None = None
    box_ap_drop: Interval | None = None
    measurement: Measurement | None = None
    model_bytes: int | None = None


class RunLength(Record):
    """A mask as COCO's compressed run-length encoding; `size` is (height, width)."""

    size: tuple[int, int]
    counts: str


class ImagePrediction(Record):
    """What one engine found on one image, best score first.

    `boxes` are (x, y, width, height) in image pixels, `labels` are class indices of the model.
    """

    id: int
    height: int
    width: int
    boxes: tuple[tuple[float, float, float, float], ...]
    labels: tuple[int, ...]
    scores: tuple[float, ...]
    masks: tuple[RunLength, ...]


class Trial(Record):
    """What one way to quantize came to; drops are float minus int8 on the same images.

    `changes` are the keys of the recipe that differ from the one that was given, with their values.
    `final` says that these are the evaluation images, not those that choices are made on.
    """

    stage: str
    name: str
    final: bool = False
    changes: dict[str, Any]
    mask_ap: float | None
    box_ap: float | None
    mask_ap_drop: Interval | None
    box_ap_drop: Interval | None
    layers_quantized: int
    layers_float: int
    artifact: str
    seconds: float


class Divergence(Record):
    """How far the device's outputs are from the simulation's: the engine's own doing.

    `snr_db` per output is 10 log10(power of the simulation / power of the difference), infinite
    (None) where they are bit for bit equal; `mask_ap` is simulated minus device.
    """

    mask_ap: float | None
    snr_db: dict[str, float | None]


class Verdict(Record):
    """One gate of the recipe against what was measured."""

    gate: str
    limit: float
    measured: float | None
    status: Status
    reason: str = ""


class Report(Record):
    """Everything one deploy found out."""

    model_config = ConfigDict(frozen=True, extra="ignore")  # computed fields come back in its JSON

    id: str
    created_at: datetime.datetime
    edgeq_version: str
    recipe: str
    recipe_sha256: str
    model_sha256: str
    target: str
    device: str
    artifact_id: str
    artifact_bytes: int
    columns: tuple[Column, ...]
    divergence: Divergence | None = None
    speedup: Speedup | None = None
    verdicts: tuple[Verdict, ...] = ()
    notes: tuple[str, ...] = ()
    layers_quantized: int
    layers_float: int
    stage_seconds: dict[str, float]
    versions: dict[str, str]
    probe: dict[str, Any] = {}

    def column(self, name: str) -> Column | None:
        """The column of that name, None when it was not measured."""
        return next((column for column in self.columns if column.name == name), None)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def exit_code(self) -> int:
        """0 all gates passed, 1 a gate failed, 4 a gate could not be judged."""
        states = {verdict.status for verdict in self.verdicts}
        if "failed" in states:
            return 1
        return 4 if states & {"unstable", "not measured"} else 0
