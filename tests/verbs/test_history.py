"""The history of a recipe on a board, as the store has it."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from edgeq.errors import InputError
from edgeq.records.history import History
from edgeq.records.report import Report
from edgeq.report.terminal.history import bars, render
from edgeq.spec import target as targets
from edgeq.store import open_store
from edgeq.verbs.history import history

from ..cli.test_main import edgeq
from ..report.reports import agreement
from ..store.reports import NOON, report


def run(number: int, ms: float, unstable: bool = False, **changes: object) -> Report:
    """One of a run every hour; what it measured, and what else is special about it."""
    made = report(f"{number:08x}", NOON + datetime.timedelta(hours=number))
    [column] = made.columns
    assert column.measurement is not None
    told = {
        "preprocess_ns": (0,),
        "inference_ns": (round(ms * 1e6),),
        "postprocess_ns": (1_000_000,),
        "unstable": ("contention",) if unstable else (),
    }
    measurement = column.measurement.model_copy(update=told)
    column = column.model_copy(update={"measurement": measurement})
    return made.model_copy(update={"columns": (column,), **changes})


def kept(runs: Iterable[Report]) -> None:
    store = open_store()
    for one in runs:
        store.add(one)


def slower_from_the_eighth() -> list[Report]:
    new: dict[str, Any] = {
        "versions": {"edgeq": "0.2"},
        "probe": {"packages": {"onnxruntime": "1.21"}},
    }
    old: dict[str, Any] = {
        "versions": {"edgeq": "0.1"},
        "probe": {"packages": {"onnxruntime": "1.20"}},
    }
    return [
        *(run(number, 40 + number % 3, **old) for number in range(8)),
        *(run(number, 50 + number % 3, **new) for number in range(8, 16)),
    ]


def text(found: History) -> str:
    console = Console(width=120)
    with console.capture() as said:
        console.print(render(found))
    return said.get()


def test_change_is_found_with_what_differs_there() -> None:
    kept(slower_from_the_eighth())
    found = history("pig.yaml", "raspberry-pi-5")
    series = {one.metric: one for one in found.series}
    [change] = series["inference p50"].changes
    assert (change.run, change.before, change.after) == ("00000008", 41.0, 51.0)
    assert change.differs == ("edgeq here: 0.1 to 0.2", "onnxruntime there: 1.20 to 1.21")
    assert series["frame p50"].values[0] == 41.0 and len(series["frame p50"].changes) == 1
    assert series["mask AP"].changes == series["size"].changes == ()
    said = text(found)
    assert "inference p50, ms: 41.0 to 51.0 from run 00000008 on, 2026-11-20 20:00 UTC" in said
    assert "onnxruntime there: 1.20 to 1.21" in said


def test_agreement_is_told_of_the_runs_that_have_it() -> None:
    older, newer = run(0, 40.0), run(1, 41.0)
    agreed = newer.columns[0].model_copy(update={"agreement": agreement()})
    kept([older, newer.model_copy(update={"columns": (agreed,)})])
    series = {one.metric: one for one in history("pig.yaml", "raspberry-pi-5").series}
    for kind in ("mask", "box"):
        expected = (getattr(agreement(), kind).estimate,)
        assert series[f"{kind} agreement"].values == expected
    assert series["mask agreement"].values != series["box agreement"].values
    assert "mask agreement 1" in " ".join(text(history("pig.yaml", "raspberry-pi-5")).split())


def test_a_target_may_be_named_by_its_file(tmp_path: Path) -> None:
    kept([run(0, 40.0)])
    file = tmp_path / "raspberry-pi-5.yaml"
    file.write_text(targets.names()["raspberry-pi-5"].read_text())
    assert history("pig.yaml", str(file)).runs == 1
    assert "1 run is too few" in text(history("pig.yaml", str(file)))


def test_too_few_runs_say_so() -> None:
    kept(run(number, 40.0 + 10 * (number > 4)) for number in range(9))
    found = history("pig.yaml", "raspberry-pi-5")
    assert not any(one.changes for one in found.series)
    assert "9 runs are too few to tell a change from chance: 10 are needed" in text(found)
    newest = max((one.runs for one in found.series), key=len)[:-6:-1]
    assert len(newest) == 5 and f"newest runs: {', '.join(newest)}" in text(found)


def test_times_of_unstable_runs_are_left_out() -> None:
    kept([run(0, 40.0), run(1, 400.0, unstable=True)])
    found = history("pig.yaml", "raspberry-pi-5")
    series = {one.metric: one for one in found.series}
    assert series["inference p50"].values == (40.0,) and len(series["size"].values) == 2
    assert "times of unstable runs are left out: 1" in found.notes


def test_boards_are_not_mixed() -> None:
    kept([run(0, 40.0), run(1, 90.0, device="barn-08"), run(2, 41.0)])
    with pytest.raises(InputError, match="several boards: barn-07, barn-08; name one with --dev"):
        history("pig.yaml", "raspberry-pi-5")
    assert history("pig.yaml", "raspberry-pi-5", "barn-07").series[0].values == (40.0, 41.0)
    with pytest.raises(InputError, match="never ran on barn-09; there is barn-07, barn-08"):
        history("pig.yaml", "raspberry-pi-5", "barn-09")


def test_recipe_is_the_same_file_however_it_was_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept([run(0, 40.0, recipe=str(tmp_path / "cow.yaml")), run(1, 41.0)])
    monkeypatch.chdir(tmp_path)
    assert history("cow.yaml", "raspberry-pi-5").runs == 1
    with pytest.raises(InputError, match=r"no runs of emu.yaml on .*there are some of .*pig"):
        history("emu.yaml", "raspberry-pi-5")


def test_bars_go_from_the_lowest_to_the_highest() -> None:
    assert bars([1.0, 2.0, 8.0]) == "▁▂█"
    assert bars([3.0] * 50) == "▁" * 40
    assert bars([]) == ""


def test_command_line_prints_it_as_text_and_json() -> None:
    kept(slower_from_the_eighth())
    done = edgeq("history", "pig.yaml", "--target", "raspberry-pi-5", "--json")
    found = History.model_validate(json.loads(done.stdout))
    assert (done.returncode, found.runs) == (0, 16)
    assert "on barn-07: 16 runs" in edgeq("history", "pig.yaml", "-t", "raspberry-pi-5").stdout


def test_runs_of_other_recipes_and_boards_take_none_of_the_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("edgeq.verbs.history._LONGEST", 4)
    ours = [run(number, 40.0, device="barn-1") for number in range(4)]
    others = [run(100 + number, 40.0, recipe="other.yaml") for number in range(9)]
    kept([*ours, *others, *(run(200 + n, 40.0, device="barn-2") for n in range(9))])
    recipe = ours[0].recipe
    assert history(recipe, ours[0].target, device="barn-1").runs == 4
