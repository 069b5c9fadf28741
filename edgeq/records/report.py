"""Everything one deploy found out, with a verdict per gate."""

from __future__ import annotations

import datetime
from typing import Any, Literal

from pydantic import ConfigDict, Field, computed_field

from edgeq.records.accuracy import Accuracy, Agreement, Deployed, Interval
from edgeq.records.calibration import CalibrationSeen
from edgeq.records.measurement import Measurement
from edgeq.records.prices import Prices
from edgeq.records.record import Record

VerdictStatus = Literal["passed", "failed", "not judged", "unstable", "not measured"]


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
    frame_int8_ms: float | None = None
    frame_fp16_ms: float | None = None
    """medians of whole frames; None in reports of before"""
    postprocess_int8_ms: float | None = None

    @property
    def ratio(self) -> float:
        """How many times faster int8 is."""
        return self.fp16_ms / self.int8_ms

    @property
    def frame_ratio(self) -> float | None:
        """The same of whole frames: preprocess, inference and postprocess together."""
        if self.frame_int8_ms is None or self.frame_fp16_ms is None:
            return None
        return self.frame_fp16_ms / self.frame_int8_ms


class Gain(Record):
    """int8 against the float model in the same engine on one device: median inference.

    `blamed` are operators by their type, with how many there are: those that the engine ran outside
    of what is fast in int8, `partitions` into how many pieces they cut the rest, where it tells.
    """

    int8_ms: float
    float_ms: float
    blamed: dict[str, int] = Field(default_factory=dict)
    partitions: int | None = None
    frame_int8_ms: float | None = None
    frame_float_ms: float | None = None
    """medians of whole frames; None in reports of before"""
    postprocess_int8_ms: float | None = None

    @property
    def ratio(self) -> float:
        """How many times faster int8 is."""
        return self.float_ms / self.int8_ms

    @property
    def frame_ratio(self) -> float | None:
        """The same of whole frames: preprocess, inference and postprocess together."""
        if self.frame_int8_ms is None or self.frame_float_ms is None:
            return None
        return self.frame_float_ms / self.frame_int8_ms


ColumnName = Literal["float", "simulated", "fp16", "device"]


class Column(Record):
    """One column of the report: float on the host, the simulated plan, or the device.

    fp16 is the float model on the device, where its engine computes in float16. Where it does not,
    the float column's accuracy is the host's, and its measurement the device's, in its own engine;
    `unmeasured` says why there is none. Of the float model, `doubtful` are the kinds of AP that are
    too low for a loss to say anything, `doubt` says why. `agreement` is with what the float model
    finds in the same images, None where that is nothing. `deployed` is there where the recipe has a
    `task.deploy_threshold`.
    """

    name: ColumnName
    where: str
    accuracy: Accuracy | None = None
    mask_ap_drop: Interval | None = None
    box_ap_drop: Interval | None = None
    agreement: Agreement | None = None
    deployed: Deployed | None = None
    measurement: Measurement | None = None
    model_bytes: int | None = None
    doubtful: tuple[Literal["mask", "box"], ...] = ()
    doubt: str = ""
    unmeasured: str = ""


class Divergence(Record):
    """How far the device's outputs are from the simulation's: the engine's own doing.

    `snr_db` per part that the decoder tells apart (boxes, scores ...) is 10 log10(power of the
    simulation / power of the difference), infinite (None) where they are bit for bit equal;
    `mask_ap` is simulated minus device. Where the model chooses its detections itself, `lacking` is
    the share of them that only one side has; the others are compared.
    """

    mask_ap: float | None
    snr_db: dict[str, float | None]
    lacking: float | None = None


class Verdict(Record):
    """One gate of the recipe against what was measured."""

    gate: str
    limit: float
    measured: float | None
    status: VerdictStatus
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
    gain: Gain | None = None
    calibration: CalibrationSeen | None = None
    verdicts: tuple[Verdict, ...] = ()
    notes: tuple[str, ...] = ()
    layers_quantized: int
    layers_float: int
    stage_seconds: dict[str, float]
    versions: dict[str, str]
    probe: dict[str, Any] = Field(default_factory=dict)
    prices: Prices | None = None

    def column(self, name: str) -> Column | None:
        """The column of that name, None when it was not measured."""
        return next((column for column in self.columns if column.name == name), None)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def exit_code(self) -> int:
        """0 all gates passed, 1 one failed or says nothing, 4 one could not be measured."""
        states = {verdict.status for verdict in self.verdicts}
        if states & {"failed", "not judged"}:
            return 1
        return 4 if states & {"unstable", "not measured"} else 0
