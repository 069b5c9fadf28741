"""The section of images: what float, simulation and device find, where they differ most."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from edgeq.agent.errors import AgentError
from edgeq.agent.vision import rle
from edgeq.agent.vision.image import read_image
from edgeq.evaluation.changes import changes
from edgeq.evaluation.judged import size_of
from edgeq.records.accuracy import ImagePrediction
from edgeq.records.dossier import Dossier
from edgeq.records.evidence import RunEvidence, SeenImage
from edgeq.records.insight import ImageChange, InBoth, Spotted
from edgeq.records.report import ColumnName
from edgeq.report.figures import counted
from edgeq.report.html.contours import path_of
from edgeq.report.html.losses import THRESHOLDS, WITHOUT_DEVICE
from edgeq.report.outcome import TITLES

SHOWN = 12
USUAL_THRESHOLD = 0.25
"""From which score on masks are drawn where neither the recipe nor the labels say."""
_LONGEST_PX = 560
_QUALITY = 62
_NAMED = 6

_BESIDE: tuple[ColumnName, ...] = ("simulated", "device")
State = Literal["same", "lost", "found", "changed"]


@dataclass(frozen=True)
class MaskPath:
    """One object's outline; what is lost is drawn where it is not, as the float model saw it."""

    path: str
    state: State
    label: str
    score: float
    size: str


@dataclass(frozen=True)
class Panel:
    """An image as one column sees it."""

    title: str
    paths: tuple[MaskPath, ...]

    @property
    def said(self) -> str:
        """How many objects are there, and how many are drawn that are not."""
        lost = sum(one.state == "lost" for one in self.paths) if self.title != "float" else 0
        there = counted(len(self.paths) - lost, "object")
        return f"{there}, {lost} lost" if lost else there


@dataclass(frozen=True)
class ShownImage:
    """One image: its pixels as WebP, what each column finds, and in words what differs.

    `missing` says why there are no pixels.
    """

    key: str
    name: str
    width: int
    height: int
    picture: str
    missing: str
    panels: tuple[Panel, ...]
    said: tuple[str, ...]


@dataclass(frozen=True)
class PicturesView:
    """What the section shows; `why_none` where there is nothing to be seen."""

    images: tuple[ShownImage, ...] = ()
    lead: str = ""
    classes: tuple[str, ...] = ()
    why_none: str = ""


def pictures_view(dossier: Dossier) -> PicturesView:
    """The images that differ most between float and device, the most different first."""
    evidence, insight = dossier.evidence, dossier.insight
    if evidence is None or not evidence.images:
        why = dossier.without_evidence or "not measured: the recipe evaluates no images"
        return PicturesView(why_none=why)
    if not {"float", "device"} <= set(evidence.predictions):
        return PicturesView(why_none=WITHOUT_DEVICE)
    threshold = insight.threshold if insight else evidence.deploy_threshold or USUAL_THRESHOLD
    by_column = {
        name: {one.id: one for one in images} for name, images in evidence.predictions.items()
    }
    compared = _compared(dossier, evidence, threshold)
    device = compared["device"]
    order = sorted(evidence.images, key=lambda image: device[image.id].order)
    shown = tuple(
        _shown(evidence, image, by_column, {n: found[image.id] for n, found in compared.items()})
        for image in order[:SHOWN]
    )
    labels = {path.label for image in shown for panel in image.panels for path in panel.paths}
    origin = insight.threshold_from if insight else "recipe" if evidence.deploy_threshold else None
    where = THRESHOLDS[origin] if origin else "a usual one, as the labels cannot be used"
    kept = f"from score {threshold:.3g} on ({where})"
    return PicturesView(
        images=shown,
        lead=f"{_alike(list(device.values()))}, {kept}. {_chosen(device, len(shown))}",
        classes=tuple(sorted(labels)),
    )


def _alike(found: Sequence[ImageChange]) -> str:
    alike = sum(one.is_alike for one in found)
    verb = "looks" if alike == 1 else "look"
    of = counted(len(found), "image")
    return f"{alike} of {of} {verb} the same on the device as in float"


def _chosen(found: Mapping[int, ImageChange], shown: int) -> str:
    differing = sum(not one.is_alike for one in found.values())
    if not differing:
        which = "one whose masks are" if shown == 1 else f"{shown} whose masks are"
        return f"Shown {_are(shown)} the {which} least alike."
    if differing >= shown:
        which = "one that differs" if shown == 1 else f"{shown} that differ"
        return f"Shown {_are(shown)} the {which} most."
    which = "one that differs" if differing == 1 else f"{differing} that differ"
    return f"Shown are the {which}, and {shown - differing} of the others, least alike."


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def _compared(
    dossier: Dossier, evidence: RunEvidence, threshold: float
) -> dict[str, dict[int, ImageChange]]:
    """What simulation and device find beside the float model, by column and image."""
    if dossier.insight is not None:
        return {
            one.name: {change.id: change for change in one.images}
            for one in dossier.insight.columns
            if one.name in _BESIDE
        }
    found = evidence.predictions
    return {
        name: {
            before.id: changes(before, after, threshold)
            for before, after in zip(found["float"], found[name], strict=True)
        }
        for name in _BESIDE
        if name in found
    }


def _shown(
    evidence: RunEvidence,
    image: SeenImage,
    by_column: dict[ColumnName, dict[int, ImagePrediction]],
    compared: dict[str, ImageChange],
) -> ShownImage:
    found = {name: images[image.id] for name, images in by_column.items()}
    reference, device = found["float"], compared["device"]
    picture, missing = _picture(image)
    panels = [Panel("float", tuple(_reference_paths(evidence, reference, device)))]
    for name in _BESIDE:
        if name in compared:
            paths = _paths(evidence, reference, found[name], compared[name])
            panels.append(Panel(TITLES[name], tuple(paths)))
    return ShownImage(
        key=f"picture-{image.id}",
        name=Path(image.path).name,
        width=reference.width,
        height=reference.height,
        picture=picture,
        missing=missing,
        panels=tuple(panels),
        said=tuple(_said(evidence, device)),
    )


def _reference_paths(
    evidence: RunEvidence, image: ImagePrediction, device: ImageChange
) -> Iterator[MaskPath]:
    """The float model's, with what the device has lost or changed of them."""
    states: list[tuple[State, Sequence[int]]] = [
        ("same", [one.rows[0] for one in device.same]),
        ("changed", [one.rows[0] for one in device.changed]),
        ("lost", [one.row for one in device.lost]),
    ]
    for state, rows in states:
        yield from (_path(evidence, image, row, state) for row in rows)


def _paths(
    evidence: RunEvidence, reference: ImagePrediction, image: ImagePrediction, change: ImageChange
) -> Iterator[MaskPath]:
    """Those of a column; the lost ones come from the float model."""
    states: list[tuple[State, Sequence[int]]] = [
        ("same", [one.rows[1] for one in change.same]),
        ("changed", [one.rows[1] for one in change.changed]),
        ("found", [one.row for one in change.found]),
    ]
    for state, rows in states:
        yield from (_path(evidence, image, row, state) for row in rows)
    yield from (_path(evidence, reference, one.row, "lost") for one in change.lost)


def _path(evidence: RunEvidence, image: ImagePrediction, row: int, state: State) -> MaskPath:
    mask = image.masks[row]
    return MaskPath(
        path=path_of(mask),
        state=state,
        label=evidence.classes[image.labels[row]],
        score=image.scores[row],
        size=size_of(rle.area({"counts": mask.counts})),
    )


def _said(evidence: RunEvidence, change: ImageChange) -> Iterator[str]:
    """What the device has lost, found and changed, in words."""
    for name, ones in (("lost", change.lost), ("found", change.found)):
        if ones:
            named = "; ".join(_spotted(evidence, one) for one in ones[:_NAMED])
            yield f"{name}: {named}{_more(len(ones))}"
    if change.changed:
        named = "; ".join(_shared(evidence, one) for one in change.changed[:_NAMED])
        yield f"changed: {named}{_more(len(change.changed))}"
    if change.same:
        yield f"the same: {len(change.same)}"


def _more(count: int) -> str:
    return f"; and {count - _NAMED} more" if count > _NAMED else ""


def _spotted(evidence: RunEvidence, one: Spotted) -> str:
    if one.fell_to is None:
        return f"{evidence.classes[one.label]} {one.score:.2f} (nothing there)"
    here, there = _apart(one.score, one.fell_to)
    return f"{evidence.classes[one.label]} {here} ({there} there)"


def _shared(evidence: RunEvidence, one: InBoth) -> str:
    before, after = (evidence.classes[label] for label in one.labels)
    named = before if before == after else f"{before} to {after}"
    # Rounded down: what is said to be changed has less than what looks the same.
    return f"{named} {one.scores[0]:.2f} to {one.scores[1]:.2f}, masks at IoU {_down(one.iou)}"


def _apart(one: float, other: float) -> tuple[str, str]:
    """Two scores, one of them kept, with as many digits as tell them apart."""
    for digits in (2, 3, 4):
        texts = f"{one:.{digits}f}", f"{other:.{digits}f}"
        if texts[0] != texts[1]:
            break
    return texts


def _down(iou: float) -> str:
    return f"{math.floor(100 * iou + 1e-9) / 100:.2f}"


def _picture(image: SeenImage) -> tuple[str, str]:
    """An image's pixels as a link, or why they are not to be had any more."""
    import cv2

    try:
        pixels = read_image(Path(image.path), image.sha256, image.stored)
    except AgentError as exc:
        return "", str(exc)
    factor = min(1.0, _LONGEST_PX / max(pixels.shape[:2]))
    small: Any = pixels
    if factor < 1:
        size = [max(1, round(side * factor)) for side in pixels.shape[1::-1]]
        small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    done, encoded = cv2.imencode(".webp", small, [cv2.IMWRITE_WEBP_QUALITY, _QUALITY])
    if not done:
        return "", "cannot be written as WebP"
    return f"data:image/webp;base64,{base64.b64encode(encoded.tobytes()).decode()}", ""
