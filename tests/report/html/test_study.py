"""The page of a study: its tables and pictures, and the patterns that show."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgeq.errors import InputError
from edgeq.records.study import Study
from edgeq.report.html.study.charts import study_charts
from edgeq.report.html.study.page import render_study_html, write_study_html

from .elements import (
    EVIL,
    Elements,
    require_charts_are_told,
    require_no_foreign_element,
)
from .records import studied


def test_it_shows_what_came_out_best_the_tables_and_the_patterns() -> None:
    page = Elements(render_study_html(studied()))

    text = " ".join(page.text.split())
    assert "Best of 4 ways to calibrate: percentile 99.99, affine, with agreement 0.9000" in text
    assert "Weights alone, by granularity" in text
    assert "weights collapse per-tensor,yes," in page.links()["patterns.csv"]
    require_charts_are_told(
        page, {"calibrators-agreement", "partial-agreement", "calibrators-lost", "partial-lost"}
    )
    assert Study.model_validate_json(page.links()["study.json"]) == studied()
    assert page.links()["table-2.csv"].count("affine") == 4
    assert "20,/model.19/conv/Conv" in page.links()["order.csv"]


def test_layers_in_float_are_counted_from_those_that_always_are() -> None:
    _, agreed, _, lost = study_charts(studied())

    for chart in (agreed, lost):
        assert [row[0] for row in chart.numbers.rows] == [0, 1, 2, 4, 8]
    drops = [one.mask_ap_drop.estimate for one in studied().partial if one.mask_ap_drop]
    assert [row[1] for row in lost.numbers.rows] == drops
    boxes = [one.agreement.box.estimate for one in studied().partial if one.agreement]
    assert [row[4] for row in agreed.numbers.rows] == boxes


def test_a_study_of_no_agreement_has_the_charts_of_ap() -> None:
    found = studied()
    without = {
        name: tuple(one.model_copy(update={"agreement": None}) for one in getattr(found, name))
        for name in ("weights", "activations", "partial")
    }
    charts = study_charts(found.model_copy(update=without))
    assert [chart.name for chart in charts] == ["calibrators-lost", "partial-lost"]


def test_foreign_text_is_text_wherever_it_stands() -> None:
    found = studied()
    tables = {
        name: tuple(
            one.model_copy(update={"name": EVIL, "stage": EVIL}) for one in getattr(found, name)
        )
        for name in ("weights", "activations", "partial")
    }
    wild = found.model_copy(
        update={
            **tables,
            **dict.fromkeys(("recipe", "target", "images"), EVIL),
            "order": (EVIL,),
            "patterns": tuple(
                one.model_copy(update={"pattern": EVIL, "figures": EVIL}) for one in found.patterns
            ),
        }
    )

    page = Elements(render_study_html(wild))

    require_no_foreign_element(page)
    assert page.text.count("<evil onload=") > 25


def test_a_page_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be written"):
        write_study_html(studied(), tmp_path / "absent" / "page.html")
