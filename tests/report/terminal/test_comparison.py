"""A comparison as a person reads it."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from edgeq.records.comparison import Comparison
from edgeq.report import markdown
from edgeq.report.terminal.comparison import render

from ...store.comparisons import comparison
from ..reports import agreement


def text_of(found: Comparison, width: int) -> str:
    stream = io.StringIO()
    Console(file=stream, width=width, markup=False).print(render(found))
    return stream.getvalue()


@pytest.mark.parametrize("width", [80, 120])
def test_each_metric_stands_in_one_line_with_what_b_is(width: int) -> None:
    lines = text_of(comparison(), width).splitlines()
    assert all(len(line) <= width for line in lines)
    inference = next(line for line in lines if line.startswith("inference, ms"))
    assert " ".join(inference.split()) == (
        "inference, ms 40.0 42.5 +6.2% +5.0% to +7.0% +2.0% WORSE"
    )
    assert any(line.startswith("peak memory, MiB") and "CANNOT TELL" in line for line in lines)
    assert any("peak memory: about 20 loads would tell" in line for line in lines)
    assert lines[-1].startswith("B: WORSE inference; CANNOT TELL peak memory")


def test_no_change_has_no_sign() -> None:
    found = comparison()
    metric = found.metrics[0]
    assert metric.change is not None
    none = metric.change.model_copy(update={"estimate": -0.0, "low": -0.0, "high": -0.0})
    same = metric.model_copy(update={"change": none})
    text = text_of(found.model_copy(update={"metrics": (same,)}), 120)
    assert "+0.0%" in text and "-0.0%" not in text and "exact" in text


def test_emulated_times_say_nothing_of_a_real_device() -> None:
    text = text_of(comparison().model_copy(update={"emulated": True}), 100)
    assert "emulated: these times say nothing about a real device" in text


def test_agreement_is_told_of_the_sides_that_have_one() -> None:
    found = comparison()
    known = found.model_copy(update={"a": found.a.model_copy(update={"agreement": agreement()})})
    text = text_of(known, 100)
    assert "agreement with float as last deployed (masks/boxes): A 0.8870/0.8700" in text
    assert "agreement with float as last deployed" in markdown.render(known)
    assert "agreement" not in text_of(found, 100)
