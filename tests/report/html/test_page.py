"""The page of the demo's deploy: what it says where something is missing, and foreign text."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgeq.errors import InputError
from edgeq.records.dossier import Dossier
from edgeq.records.evidence import RunEvidence
from edgeq.records.report import Report
from edgeq.report.html.page import render, write_html
from edgeq.report.html.pictures import pictures_view

from .elements import EVIL, Elements
from .pages import of_a_full_run, of_demo

MOST_BYTES = 3_000_000


@pytest.fixture(scope="module")
def known(reckoned: Path) -> Dossier:
    return of_demo(reckoned)


@pytest.fixture(scope="module")
def page(known: Dossier) -> str:
    return render(known)


def test_the_page_is_small_and_the_same_again(known: Dossier, page: str) -> None:
    assert len(page.encode()) < MOST_BYTES
    assert render(known) == page


def test_verdict_and_figures_stand_in_it(known: Dossier, page: str) -> None:
    text = Elements(page).text
    device = known.report.column("device")
    assert device and device.accuracy and device.accuracy.mask.ap is not None

    assert f"{device.accuracy.mask.ap:.4f}" in text
    for verdict in known.report.verdicts:
        assert verdict.gate in text
    assert "not measured" in text


def test_everything_can_be_taken_away(known: Dossier, page: str) -> None:
    links = Elements(page).links()
    run = known.report.id

    report = Report.model_validate(json.loads(links[f"report-{run}.json"]))
    assert report == known.report
    assert json.loads(links[f"insight-{run}.json"])["images"] == 6
    assert "decoder: yolov8-seg" in links[f"recipe-{run}.yaml"]
    assert json.loads(links[f"plan-{run}.json"])["runtime"] == "onnxruntime"
    assert links[f"model-card-{run}.md"].startswith("# Model card")
    assert json.loads(links[f"ml-bom-{run}.cdx.json"])["bomFormat"] == "CycloneDX"
    assert links["curve.csv"].splitlines()[0] == "column,threshold,precision,recall,F1"


def test_what_would_make_the_page_large_is_named_and_left_out(known: Dossier) -> None:
    assert known.evidence
    large = known.evidence.model_copy(update={"plan_json": "x" * 2_000_000})

    page = render(with_evidence(known, large))

    assert f"plan-{known.report.id}.json" not in Elements(page).links()
    assert "too large for a page: 1.91 MiB" in Elements(page).text
    assert len(page.encode()) < MOST_BYTES


def test_foreign_text_is_text_wherever_it_stands(known: Dossier) -> None:
    """Names of classes, files, layers; words of a device; recipe, notes, versions."""
    assert known.evidence and known.insight
    evidence, insight, report = known.evidence, known.insight, known.report
    names = {name: f"{name}{EVIL}" for name in evidence.classes}
    layers = tuple(
        one.model_copy(update={"node": EVIL, "reason": EVIL, "op_type": EVIL})
        for one in evidence.layers
    )
    wild = evidence.model_copy(
        update={
            "classes": tuple(names.values()),
            "recipe_text": EVIL,
            "layers": layers,
            "images": tuple(
                one.model_copy(update={"path": f"/nowhere/{EVIL.replace('/', '')}{one.id}"})
                for one in evidence.images
            ),
            "histograms": tuple(
                one.model_copy(update={"node": EVIL, "tensor": EVIL}) for one in evidence.histograms
            ),
        }
    )
    text = insight.model_dump_json()
    for name in names:
        text = text.replace(json.dumps(name), json.dumps(names[name]))
    columns = tuple(
        one.model_copy(update={"where": EVIL, "unmeasured": EVIL, "doubt": EVIL})
        for one in report.columns
    )
    verdicts = tuple(
        one.model_copy(update={"gate": EVIL, "reason": EVIL}) for one in report.verdicts
    )
    changed = {
        "report": report.model_copy(
            update={
                "recipe": EVIL,
                "target": EVIL,
                "device": EVIL,
                "notes": (EVIL,),
                "versions": {EVIL: EVIL},
                "stage_seconds": {EVIL: 1.0},
                "probe": {
                    "arch": EVIL,
                    "board": EVIL,
                    "cpu": {"model": EVIL, "flags": [EVIL]},
                    "packages": {EVIL: EVIL},
                    "not_readable": {EVIL: EVIL},
                },
                "columns": columns,
                "verdicts": verdicts,
            }
        ),
        "evidence": wild,
        "insight": type(insight).model_validate_json(text),
    }

    found = Elements(render(known.model_copy(update=changed)))

    assert not [tag for tag, _ in found.found if tag == "evil"]
    assert not [attrs for _, attrs in found.found if "onload" in attrs]
    assert sum(tag == "script" for tag, _ in found.found) == 1
    assert found.text.count("<evil onload=") > 30


def test_layers_of_a_profiled_engine_stand_beside_fp16(known: Dossier) -> None:
    links = Elements(render(of_a_full_run(known))).links()

    assert links["layers.csv"].splitlines() == [
        'layer of the engine,"int8, ms","fp16, ms",remark',
        "a & b,0.5,0.5,",
        "/model.0/conv,0.4,0.3,slower in int8",
        "all reformats,0.9,0.2,change only layout or type",
    ]


def test_without_evidence_the_rest_is_shown(known: Dossier) -> None:
    bare = known.model_copy(
        update={
            "evidence": None,
            "without_evidence": "gone from here",
            "insight": None,
            "without_insight": "gone from there",
        }
    )

    text = Elements(render(bare)).text

    assert "gone from here" in text and "gone from there" in text
    assert "Time of each stage" in text


def test_what_was_not_evaluated_is_said_to_be_so(known: Dossier) -> None:
    assert known.evidence
    evidence = known.evidence.model_copy(update={"images": (), "predictions": {}})
    columns = tuple(
        one.model_copy(update={"accuracy": None, "mask_ap_drop": None, "box_ap_drop": None})
        for one in known.report.columns
    )
    report = known.report.model_copy(update={"columns": columns})
    without = {"insight": None, "without_insight": "not measured: nothing evaluated"}

    text = Elements(
        render(known.model_copy(update={"report": report, "evidence": evidence, **without}))
    ).text

    assert "Accuracy was not measured" in text
    assert "not measured: the recipe evaluates no images" in text
    assert "not measured: nothing evaluated" in text
    assert "Error along the network" in text


def test_an_image_that_was_changed_is_named_and_its_masks_are_drawn(known: Dossier) -> None:
    evidence = known.evidence
    assert evidence is not None
    first, *others = evidence.images
    images = (first.model_copy(update={"sha256": "0" * 64}), *others)

    view = pictures_view(with_evidence(known, evidence.model_copy(update={"images": images})))

    [bad] = [one for one in view.images if one.missing]
    assert bad.key == f"picture-{first.id}" and "changed or damaged" in bad.missing
    assert not bad.picture and bad.panels[0].paths
    assert all(one.picture.startswith("data:image/webp") for one in view.images if one != bad)


def with_evidence(known: Dossier, evidence: RunEvidence) -> Dossier:
    return known.model_copy(update={"evidence": evidence})


def test_images_stand_by_how_much_they_differ(known: Dossier) -> None:
    assert known.insight
    amounts = {one.id: one.amount for one in known.insight.columns[-1].images}

    view = pictures_view(known)

    shown = [amounts[int(one.key.removeprefix("picture-"))] for one in view.images]
    assert shown == sorted(amounts.values(), reverse=True)


def test_a_page_is_refused_before_anything_is_looked_up(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be written"):
        write_html(["no such run"], tmp_path / "absent" / "page.html")
    with pytest.raises(InputError, match="there is no report"):
        write_html(["0123"], tmp_path / "page.html")
