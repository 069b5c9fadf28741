"""The model card, and the bill of materials."""

from __future__ import annotations

import json

from edgeq.records.report import Report
from edgeq.report.bom import bill_of_materials
from edgeq.report.model_card import model_card
from edgeq.spec.gates import Gates, judge

from .cyclonedx_schema import violations
from .reports import ARTIFACT_BYTES, divergence, full_columns, measurement, report


def run(unstable: bool = False, emulated: bool = False) -> Report:
    reasons = ("contention",) if unstable else ()
    columns = full_columns(measurement(unstable=reasons, emulated=emulated))
    verdicts = judge(Gates(mask_ap_drop=0.01), columns, ARTIFACT_BYTES, None)
    return report(columns, verdicts, ("a *note* with | a bar",), divergence())


def test_card_has_what_was_measured_and_leaves_the_rest_open() -> None:
    card = model_card(run(), ("pig", "cow_[x](y)"))

    assert "| device int8 | 0.2462 | -0.0021 to 0.0134 |" in card
    assert "- mask\\_ap\\_drop: 0.0063 (limit 0.0100): passed" in card
    assert card.count("Not known to edgeq") == 3
    assert "cow\\_\\[x\\]\\(y\\)" in card and "a \\*note\\* with \\| a bar" in card


def test_unstable_latency_is_no_figure_anywhere() -> None:
    unstable = run(unstable=True)

    assert "| unstable |" in model_card(unstable)
    assert "inference p50" not in bill_of_materials(unstable)
    assert "inference p50" in bill_of_materials(run())


def test_latency_of_an_emulated_device_is_marked() -> None:
    assert "(emulated) |" in model_card(run(emulated=True))
    assert "inference p50, ms, emulated" in bill_of_materials(run(emulated=True))
    assert "emulated" not in model_card(run()) + bill_of_materials(run())


def test_bill_names_artifact_model_and_packages_by_their_hashes() -> None:
    found = json.loads(bill_of_materials(run()))
    component = found["metadata"]["component"]

    assert component["hashes"] == [{"alg": "SHA-256", "content": run().artifact_id}]
    [ancestor] = component["pedigree"]["ancestors"]
    assert ancestor["hashes"][0]["content"] == run().model_sha256
    refs = {one["bom-ref"] for one in found["components"]}
    assert set(found["dependencies"][0]["dependsOn"]) == refs
    assert {"name": "onnxruntime", "version": "1.32.0"}.items() <= found["components"][0].items()


def test_bill_is_the_same_for_the_same_run() -> None:
    assert bill_of_materials(run()) == bill_of_materials(run())


def test_bill_is_what_cyclonedx_says_a_bill_is() -> None:
    assert violations(bill_of_materials(run())) == []
    assert violations('{"bomFormat": "CycloneDX", "specVersion": "1.6", "components": 3}')
