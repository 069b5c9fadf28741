"""Where the accuracy goes, in words and in the matrix, of a demo's insight and changes of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgeq.records.dossier import Dossier
from edgeq.records.insight import ColumnInsight, Confused, Insight
from edgeq.report.html.accuracy import AccuracyView, accuracy_view
from edgeq.report.html.pictures import PicturesView, pictures_view

from .pages import of_demo


@pytest.fixture(scope="module")
def known(reckoned: Path) -> Dossier:
    return of_demo(reckoned)


def insight_of(known: Dossier) -> Insight:
    assert known.insight is not None
    return known.insight


def seen(known: Dossier, **changes: Any) -> AccuracyView:
    """With every column's masks, or the columns themselves, changed."""
    insight = insight_of(known)
    columns = tuple(
        one.model_copy(update={"mask": one.mask.model_copy(update=changes)})
        for one in insight.columns
    )
    return accuracy_view(known.model_copy(update={"insight": with_columns(insight, columns)}))


def with_columns(insight: Insight, columns: tuple[ColumnInsight, ...]) -> Insight:
    return insight.model_copy(update={"columns": columns})


def test_no_class_and_one_class_are_told_as_such(known: Dossier) -> None:
    classes = insight_of(known).columns[-1].mask.by_class
    unresolved = classes[0].model_copy(update={"outcome": "cannot tell", "images": 9})
    assert seen(known, by_class=()).told == ("No class can be compared, as none is annotated",)
    [said] = seen(known, by_class=(unresolved,)).told
    assert said == "The class is not told apart from no change"
    lead, chance = seen(known, by_class=(unresolved, unresolved)).told
    assert lead == "None of 2 classes is told apart from no change"
    assert chance == "by chance alone 0.1 of the 2 in enough images would look so"
    few = unresolved.model_copy(update={"images": 1})
    assert len(seen(known, by_class=(few, few)).told) == 1


def test_errors_that_cost_nothing_are_no_most(known: Dossier) -> None:
    mistakes = insight_of(known).columns[-1].mask.mistakes
    free = tuple(one.model_copy(update={"ap50_gain": 0.0}) for one in mistakes)
    chart = seen(known, mistakes=free).charts[0]
    assert "On the device none of them would gain anything." in chart.description


def test_a_class_called_background_is_not_the_background(known: Dossier) -> None:
    insight = insight_of(known)
    named = "(background)"
    confusion = (
        Confused(annotated=named, found=None, count=3),
        Confused(annotated=None, found=named, count=2),
    )
    columns = tuple(one.model_copy(update={"confusion": confusion}) for one in insight.columns)
    changed = known.model_copy(update={"insight": with_columns(insight, columns)})
    found = accuracy_view(changed).confusion
    assert found is not None
    assert found.names[-1] == "((background))"
    assert found.numbers.rows == (
        ("((background))", named, 2, 2),
        (named, "((background))", 3, 3),
    )
    shades = {cell.shade for cell in found.rows[-1].cells}
    assert shades == {"unshaded"} and found.rows[0].name == named


def test_what_the_simulation_finds_is_not_taken_for_the_device(known: Dossier) -> None:
    insight, evidence = insight_of(known), known.evidence
    assert evidence is not None
    columns = tuple(one for one in insight.columns if one.name != "device")
    without = known.model_copy(
        update={
            "insight": with_columns(insight, columns),
            "evidence": evidence.model_copy(
                update={
                    "predictions": {n: p for n, p in evidence.predictions.items() if n != "device"}
                }
            ),
        }
    )
    assert accuracy_view(without).why_none == "not measured: what the device finds is not there"
    assert pictures_view(without) == PicturesView(
        why_none="not measured: what the device finds is not there"
    )


def test_images_that_differ_come_first_and_are_counted(known: Dossier) -> None:
    insight = insight_of(known)
    device = insight.column("device")
    assert device is not None
    differing = sum(not one.is_alike for one in device.images)
    view = pictures_view(known)
    assert view.lead.startswith(f"{insight.images - differing} of {insight.images} images look ")
    others = len(view.images) - min(differing, len(view.images))
    said = "that differ most." if not others else f"and {others} of the others" if differing else ""
    assert said in view.lead
    alike = [all("lost" not in w and "found" not in w for w in one.said) for one in view.images]
    changed = [any(w.startswith("changed") for w in one.said) for one in view.images]
    plain = [a and not c for a, c in zip(alike, changed, strict=True)]
    assert plain == sorted(plain)
