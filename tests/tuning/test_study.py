"""A study of the small demo: its tables, its files."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgeq.errors import InputError
from edgeq.records.accuracy import Agreement, Interval
from edgeq.records.study import Study
from edgeq.records.trial import Trial, disagreement, lost
from edgeq.report.pictures import study as pictures
from edgeq.report.terminal.study import markdown
from edgeq.tuning.study import patterns, study


@pytest.fixture(scope="module")
def found(small_demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Study:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEQ_HOME", str(tmp_path_factory.mktemp("study-home")))
        return study(small_demo / "recipe.yaml", "local")


@pytest.mark.long
def test_tables_hold_granularities_calibrators_and_the_curve(found: Study) -> None:
    assert [trial.name for trial in found.weights] == ["per-channel, max", "per-tensor, max"]
    assert len(found.activations) == 14
    base, *curve = found.partial
    assert base == min(found.activations, key=disagreement)
    counts = [trial.layers_float - base.layers_float for trial in curve]
    assert counts == [1, 2, 4, 8, 16, base.layers_quantized // 2]
    assert len(found.order) == base.layers_quantized


@pytest.mark.long
def test_files_are_written_whole_with_both_pictures(found: Study, tmp_path: Path) -> None:
    folder = tmp_path / "study"
    pictures.check(folder)
    pictures.write(found, folder)

    assert {path.name for path in folder.iterdir()} == {
        *("study.md", "study.json", "calibrators.png", "partial.png")
    }
    assert Study.model_validate_json((folder / "study.json").read_text()) == found
    text = (folder / "study.md").read_text()
    for trial in (*found.weights, *found.activations, *found.partial):
        assert f"| {trial.name} |" in text
    for name in ("calibrators.png", "partial.png"):
        assert (folder / name).read_bytes().startswith(b"\x89PNG") and f"]({name})" in text


def test_a_file_in_the_folders_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "study").write_text("")
    with pytest.raises(InputError, match="is a file; name a folder"):
        pictures.check(tmp_path / "study")


def test_agreement_is_told_first_and_alone_where_nobody_annotated() -> None:
    ap = {"mask": 0.9012, "box": 0.89}
    found = {k: Interval(estimate=v, low=v, high=v, resamples=9) for k, v in ap.items()}
    agreed = {"agreement": Agreement(mask=found["mask"], box=found["box"])}
    tried = trial("mse", 0.0123).model_copy(update=agreed)
    assert lost(tried) == "agreement 0.9012/0.8900, mask AP -0.0123"
    assert lost(tried.model_copy(update={"own_labels": True})) == "agreement 0.9012/0.8900"


def trial(name: str, drop: float, layers_float: int = 2) -> Trial:
    interval = Interval(estimate=drop, low=drop - 0.01, high=drop + 0.01, resamples=9)
    return Trial(
        stage="activations",
        name=name,
        changes={},
        mask_ap=0.4 - drop,
        box_ap=None,
        mask_ap_drop=interval,
        box_ap_drop=None,
        layers_quantized=70 - layers_float,
        layers_float=layers_float,
        artifact="a" * 64,
        seconds=1.0,
    )


def test_patterns_are_those_that_the_figures_show() -> None:
    calibrators = [trial("max", 0.3), trial("percentile 99.9", 0.03), trial("mse", 0.004)]
    curve = [trial("mse", 0.004), trial("8 layers in float", 0.001, layers_float=10)]
    weights = [trial("per-channel, max", 0.001), trial("per-tensor, max", 0.39)]
    shown = [p.appears for p in patterns(0.4, weights, calibrators, curve)]
    assert shown == [True, True, True, True, True, True]

    calibrators = [trial("max", 0.005), trial("percentile 99.9", 0.008), trial("mse", 0.004)]
    curve = [trial("mse", 0.004), trial("16 layers in float", 0.001, layers_float=18)]
    weights = [trial("per-channel, max", 0.01), trial("per-tensor, max", 0.02)]
    shown = [p.appears for p in patterns(0.4, weights, calibrators, curve)]
    assert shown == [False, False, False, False, False, False]


@pytest.mark.long
def test_markdown_says_what_was_studied_and_on_what(found: Study) -> None:
    first = markdown(found).splitlines()[:3]
    assert first[0].startswith("# Study of ")
    assert "for local, on" in first[2] and "float: mask AP" in first[2]


def test_what_is_gained_is_told_from_what_is_lost() -> None:
    assert lost(trial("mse", 0.0123)) == "mask AP -0.0123"
    assert lost(trial("mse", -0.0019)) == "mask AP +0.0019"
