"""The section of where the accuracy goes: by kind of error, score, class, size and outline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgeq.errors import listed
from edgeq.records.dossier import Dossier
from edgeq.records.evidence import RunEvidence
from edgeq.records.insight import FEWEST_IMAGES, ColumnInsight
from edgeq.report.html.confusion import ConfusionView, confusion_view
from edgeq.report.html.drawing import Chart
from edgeq.report.html.losses import (
    THRESHOLDS,
    WITHOUT_DEVICE,
    curve_chart,
    mistakes_chart,
    portions_chart,
)
from edgeq.report.html.numbers import Numbers
from edgeq.report.outcome import TITLES

_WORST = 10
_NAMED = 8


@dataclass(frozen=True)
class AccuracyView:
    """The charts and tables of the section; `why_none` where nothing can be told."""

    charts: tuple[Chart, ...] = ()
    confusion: ConfusionView | None = None
    outlines: Numbers | None = None
    worst: Numbers | None = None
    told: tuple[str, ...] = ()
    threshold: float = 0.0
    threshold_from: str = ""
    images: int = 0
    instances: int = 0
    why_none: str = ""


def accuracy_view(dossier: Dossier) -> AccuracyView:
    """What the insight says, drawn."""
    insight = dossier.insight
    if insight is None:
        return AccuracyView(why_none=dossier.without_insight)
    device = insight.column("device")
    if device is None:
        return AccuracyView(why_none=WITHOUT_DEVICE)
    charts = [mistakes_chart(insight, device), curve_chart(insight, device)]
    if any(one.drop is not None for one in device.mask.by_class):
        charts += [
            portions_chart("classes", "class", device.mask.by_class),
            portions_chart("sizes", "size", device.mask.by_size),
        ]
    return AccuracyView(
        charts=tuple(charts),
        confusion=confusion_view(insight, device),
        outlines=_outlines(insight.columns),
        worst=_worst(device, dossier.evidence) if dossier.evidence else None,
        told=tuple(_told(device)),
        threshold=insight.threshold,
        threshold_from=THRESHOLDS[insight.threshold_from],
        images=insight.images,
        instances=insight.instances,
    )


def _told(device: ColumnInsight) -> list[str]:
    """Which classes lose or gain for sure, beside how many would by chance."""
    compared = [one for one in device.mask.by_class if one.drop is not None]
    if not compared:
        return ["No class can be compared, as none is annotated"]
    found: dict[str, list[str]] = {"worse": [], "better": []}
    for portion in compared:
        if portion.outcome in found:
            found[portion.outcome].append(portion.name)
    said = [
        f"{len(names)} {'class is' if len(names) == 1 else 'classes are'} {word} by the interval: "
        f"{listed(names, _NAMED)}"
        for word, names in found.items()
        if names
    ]
    many = "The class is not" if len(compared) == 1 else f"None of {len(compared)} classes is"
    lead = said or [f"{many} told apart from no change"]
    enough = sum(one.images >= FEWEST_IMAGES for one in compared)
    expected = f"{device.mask.by_chance:.1f} of the {enough} in enough images"
    chance = f"by chance alone {expected} would look so"
    return [*lead, chance] if enough > 1 else lead


def _outlines(columns: Sequence[ColumnInsight]) -> Numbers:
    heads = (
        "",
        "boundary AP",
        "at IoU 0.50",
        "drop, low",
        "drop, high",
        "mask IoU",
        "boundary IoU",
    )
    rows = []
    for one in columns:
        found = one.outlines
        ends = (found.drop.low, found.drop.high) if found.drop else (None, None)
        title = next((text for name, text in TITLES.items() if name == one.name), one.name)
        rows.append((title, found.ap, found.ap50, *ends, found.mask_iou, found.boundary_iou))
    return Numbers(heads, tuple(rows))


def _worst(device: ColumnInsight, evidence: RunEvidence) -> Numbers:
    names = {image.id: Path(image.path).name for image in evidence.images}
    return Numbers(
        ("image", "difference", "lost", "found", "changed", "the same"),
        tuple(
            (
                names.get(one.id, str(one.id)),
                one.amount,
                len(one.lost),
                len(one.found),
                len(one.changed),
                len(one.same),
            )
            for one in device.images[:_WORST]
        ),
    )
