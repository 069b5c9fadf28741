"""What ran outside of XNNPACK, in the report."""

from __future__ import annotations

from typing import Any

import pytest

from edgeq.records.measurement import Measurement
from edgeq.records.report import Report

from .reports import full_columns, measurement, report
from .test_board import flat, row, text_of

FACTS: dict[str, Any] = {
    "delegate": "xnnpack",
    "package": "ai-edge-litert 2.3.0",
    "partitions": 3,
    "operators": 200,
    "outside": {"RESIZE_NEAREST_NEIGHBOR": 2, "GATHER": 1},
    "outside_nodes": ["up1", "up2", "picked"],
}


def litert(**changes: Any) -> Measurement:
    return measurement().model_copy(update={"engine_facts": {**FACTS, **changes}})


def test_partitions_and_what_ran_outside_are_told() -> None:
    told = report(full_columns(litert()))
    text = text_of(told)
    assert row(text, "XNNPACK partitions") == ["not measured", "not measured", "3"]
    assert row(text, "operators outside XNNPACK")[-1] == "3 of 200"
    said = (
        "LiteRT (device): ai-edge-litert 2.3.0, 3 XNNPACK partitions; "
        "outside ran 2 RESIZE_NEAREST_NEIGHBOR, 1 GATHER: up1, up2, picked"
    )
    assert said in flat(text_of(told, 1000))
    assert Report.model_validate_json(told.model_dump_json()) == told
    assert '"RESIZE_NEAREST_NEIGHBOR":2' in told.model_dump_json()


@pytest.mark.parametrize(
    ("changes", "partitions", "outside", "sentence"),
    [
        (
            {"partitions": 1, "outside": {}, "outside_nodes": []},
            "1",
            "0 of 200",
            "2.3.0, 1 XNNPACK partition, nothing ran outside",
        ),
        (
            {"outside": {"GATHER": 30}, "outside_nodes": ["a"] * 20},
            "3",
            "30 of 200",
            "a, a and 10 more",
        ),
        (
            {"delegate": "none", "partitions": 0, "outside": {"ADD": 200}},
            "off",
            "200 of 200",
            "ai-edge-litert 2.3.0 without XNNPACK",
        ),
    ],
)
def test_all_some_and_none_in_xnnpack(
    changes: dict[str, Any], partitions: str, outside: str, sentence: str
) -> None:
    shown = report(full_columns(litert(**changes)))
    text = text_of(shown)
    assert row(text, "XNNPACK partitions")[-1] == partitions
    assert row(text, "operators outside XNNPACK")[-1] == outside
    assert sentence in flat(text_of(shown, 1000))


def test_runtime_that_does_not_tell_has_no_figures() -> None:
    known = {"delegate": "xnnpack", "package": "ai-edge-litert 9.0"}
    shown = report(full_columns(measurement().model_copy(update={"engine_facts": known})))
    text = flat(text_of(shown, 1000))
    assert "XNNPACK partitions" not in text
    assert "ai-edge-litert 9.0 with XNNPACK; it does not tell" in text


@pytest.mark.parametrize("facts", [None, {"num_layers": 3, "layer_times": []}])
def test_other_engines_say_nothing_of_it(facts: Any) -> None:
    other = measurement().model_copy(update={"engine_facts": facts})
    text = text_of(report(full_columns(other)))
    assert "XNNPACK" not in text and "LiteRT" not in text
