"""The section of where the accuracy goes: by kind of error, score, class, size and outline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgeq.records.dossier import Dossier
from edgeq.records.evidence import RunEvidence
from edgeq.records.insight import ColumnInsight
from edgeq.report.html.confusion import ConfusionView, confusion_view
from edgeq.report.html.drawing import Chart
from edgeq.report.html.losses import curve_chart, mistakes_chart, portions_chart
from edgeq.report.html.numbers import Numbers
from edgeq.report.outcome import TITLES

_WORST = 10


@dataclass(frozen=True)
class AccuracyView:
    """The charts and tables of the section; `why_none` where nothing can be told."""

    charts: tuple[Chart, ...] = ()
    confusion: ConfusionView | None = None
    outlines: Numbers | None = None
    worst: Numbers | None = None
    told: tuple[str, ...] = ()
    threshold: float = 0.0
    is_deployed: bool = False
    images: int = 0
    instances: int = 0
    why_none: str = ""


def accuracy_view(dossier: Dossier) -> AccuracyView:
    """What the insight says, drawn."""
    insight = dossier.insight
    if insight is None:
        return AccuracyView(why_none=dossier.without_insight)
    last = insight.columns[-1]
    charts = [mistakes_chart(insight), curve_chart(insight)]
    if last.mask.by_class and last.mask.by_class[0].drop is not None:
        charts += [
            portions_chart("classes", "class", last.mask.by_class),
            portions_chart("sizes", "size", last.mask.by_size),
        ]
    return AccuracyView(
        charts=tuple(charts),
        confusion=confusion_view(insight),
        outlines=_outlines(insight.columns),
        worst=_worst(last, dossier.evidence) if dossier.evidence else None,
        told=tuple(_told(last)),
        threshold=insight.threshold,
        is_deployed=insight.is_deployed,
        images=insight.images,
        instances=insight.instances,
    )


def _told(last: ColumnInsight) -> list[str]:
    """Which classes lose or gain for sure, beside how many would by chance."""
    found: dict[str, list[str]] = {"worse": [], "better": []}
    for portion in last.mask.by_class:
        if portion.outcome in found:
            found[portion.outcome].append(portion.name)
    said = [
        f"{len(names)} {'class is' if len(names) == 1 else 'classes are'} {word} by the interval: "
        f"{', '.join(names)}"
        for word, names in found.items()
        if names
    ]
    many = len(last.mask.by_class)
    lead = said or [f"Of {many} classes the intervals tell none apart from no change"]
    return [*lead, f"by chance alone {last.mask.by_chance:.1f} would look so"]


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


def _worst(last: ColumnInsight, evidence: RunEvidence) -> Numbers:
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
            for one in last.images[:_WORST]
        ),
    )
