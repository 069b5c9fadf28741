"""What a run leaves on the machine it ran from: what no report holds, and a picture needs."""

from __future__ import annotations

from pydantic import Field

from edgeq.records.accuracy import ImagePrediction
from edgeq.records.record import Record
from edgeq.records.report import ColumnName


class SeenImage(Record):
    """An evaluated image: where it lay, and the hash of its content then.

    `stored` says that its pixels were taken as they lie there, whatever EXIF says of turning them.
    """

    id: int
    path: str
    sha256: str
    stored: bool = False


class RangeEnd(Record):
    """Where a tensor's range ends by one calibrator; `chosen` is the plan's, mostly the recipe's.

    A range that was learned, or that is shared or known, is `planned`, and no calibrator's.
    """

    calibrator: str
    low: float
    high: float
    chosen: bool = False


class TensorHistogram(Record):
    """How often an output of a node had which values, and where every range ends.

    The bins are equal, from `low` to `high`.
    """

    node: str
    tensor: str
    low: float
    high: float
    counts: tuple[float, ...]
    ends: tuple[RangeEnd, ...]


class LayerSeen(Record):
    """A node of the model: int8 or float, why, and how its outputs survive being integers.

    `snr_db` is of its worst output: rounding and clipping of that tensor alone, over the
    calibration images; None where it is not quantized, or nothing was lost. `arrived_db` is signal
    to all error that has come together there in the simulation, over a few of them;
    None where it was not computed, or there is none. `device_db` is the same on the device itself.
    """

    node: str
    op_type: str
    quantized: bool
    reason: str
    tensor: str = ""
    snr_db: float | None = None
    arrived_db: float | None = None
    device_db: float | None = None
    is_heavy: bool = False


class RunEvidence(Record):
    """What was found in which images, from what; kept in the cache, under the run's id.

    `predictions` are by column, in the order of `images`. `categories` are COCO category ids by
    class. Without evaluation there are neither images nor predictions. `simulated_errors` and
    `device_errors` say over what the layers' errors were measured there, or why they were not.
    """

    run: str
    recipe_text: str
    plan_json: str
    classes: tuple[str, ...]
    score_threshold: float
    deploy_threshold: float | None = None
    layers: tuple[LayerSeen, ...]
    simulated_errors: str = ""
    device_errors: str = ""
    histograms: tuple[TensorHistogram, ...] = ()
    images: tuple[SeenImage, ...] = ()
    annotations: str = ""
    annotations_sha256: str = ""
    categories: dict[int, int] = Field(default_factory=dict)
    predictions: dict[ColumnName, tuple[ImagePrediction, ...]] = Field(default_factory=dict)
