"""Baselines: a name for a run, and an artifact that stays while somebody names it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from edgeq import places
from edgeq.artifact import shelf
from edgeq.artifact.folder import Artifact
from edgeq.errors import DeviceError, InputError
from edgeq.records.report import Report, Verdict
from edgeq.store import open_store
from edgeq.verbs import push as pushing
from edgeq.verbs.baseline import (
    baseline,
    list_baselines,
    look_up,
    remove_baseline,
    resolve,
    set_baseline,
)
from edgeq.verbs.compare import compare_steps

from ..cli.test_main import edgeq
from ..device.artifacts import demo
from ..store.reports import report
from .test_compare import on
from .test_releases import another

pytestmark = pytest.mark.usefixtures("acquainted")


def ran(id_: str, artifact: Artifact | None = None, passed: bool = True) -> Report:
    """A run of the store, which measured an artifact."""
    verdict = Verdict(
        gate="mask_ap_drop", limit=0.1, measured=0.2, status="passed" if passed else "failed"
    )
    changes = {"artifact_id": (artifact or demo()).id, "verdicts": (verdict,)}
    made = report(id_).model_copy(update=changes)
    open_store().add(made)
    return made


def copies() -> list[str]:
    return [path.name for path in (places.home() / "baselines").glob("*/*") if path.is_dir()]


def without_cache() -> None:
    shutil.rmtree(shelf.CACHE.folder(demo().id).parent)


def test_artifact_stays_when_the_cache_is_cleared() -> None:
    ran("0123abcd")
    kept = set_baseline("main", "0123")
    assert (kept.artifact, kept.note, kept.baseline.report.id) == ("here", "", "0123abcd")
    before, id_ = demo().path("model.onnx").read_bytes(), demo().id
    without_cache()
    found = resolve("main")
    assert isinstance(found, Artifact)
    assert found.id == id_ and found.path("model.onnx").read_bytes() == before


def test_artifact_goes_with_the_last_name() -> None:
    ran("aa")
    ran("bb", another())
    for name, run in (("one", "aa"), ("two", "aa"), ("three", "bb")):
        set_baseline(name, run)
    assert sorted(copies()) == sorted({demo().id, another().id})
    remove_baseline("one")
    set_baseline("three", "aa", replace=True)
    assert copies() == [demo().id]
    for name in ("two", "three"):
        remove_baseline(name)
    assert copies() == [] and list_baselines() == []
    assert len(open_store().reports()) == 2


def test_store_keeps_what_another_store_names(tmp_path: Path) -> None:
    ran("aa")
    set_baseline("main", "aa")
    other = f"sqlite:///{tmp_path / 'other.sqlite'}"
    open_store(other).add(report("aa").model_copy(update={"artifact_id": demo().id}))
    set_baseline("main", "aa", other, force=True)
    remove_baseline("main", other)
    assert baseline("main").artifact == "here"


def test_damaged_copy_is_made_again() -> None:
    ran("aa")
    folder = set_baseline("main", "aa").folder
    assert folder is not None
    (folder / "model.onnx").write_bytes(b"?")
    assert baseline("main").artifact == "in the cache"
    assert set_baseline("main", "aa", replace=True).artifact == "here"


def test_run_that_did_not_pass_is_refused_without_force() -> None:
    ran("aa", passed=False)
    with pytest.raises(InputError, match="run aa did not pass mask_ap_drop; name a run that"):
        set_baseline("main", "aa")
    assert list_baselines() == []
    assert set_baseline("main", "aa", force=True).baseline.name == "main"


@pytest.mark.parametrize("name", ["current", "previous", "a/b", "new.edgeq", "", ".hidden", "a b"])
def test_names_that_mean_something_else_are_refused(name: str) -> None:
    ran("aa")
    with pytest.raises(InputError, match=f"baseline '{name}'"):
        set_baseline(name, "aa")


def test_name_of_a_file_and_a_baseline_is_asked_about(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran("aa")
    set_baseline("main", "aa")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "main").mkdir()
    with pytest.raises(InputError, match=r"a file or folder here; write \./main for the file"):
        look_up("main")
    assert look_up("./main") == "./main"
    with pytest.raises(InputError, match="no baseline; of baselines there are main"):
        look_up("none")


def test_baseline_is_compared_where_the_board_holds_its_release(small_demo: Path) -> None:
    digest, other = demo().id, another()
    file = other.folder.rename(small_demo.parent / "other")
    ran("aa")
    without_cache()
    kept = set_baseline("main", "aa")
    assert kept.artifact == "on boards that hold it" and "not on this machine" in kept.note
    assert resolve("main") == digest
    with pytest.raises(DeviceError, match=r"baseline is neither here nor on the board; deploy"):
        compare_steps("main", file, "local", options=on(small_demo))
    pushing.push(demo(), "local", activate=True)
    without_cache()
    assert (
        "take the release main of"
        in compare_steps("main", file, "local", options=on(small_demo))[0]
    )


def test_command_line_sets_shows_and_removes(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'store.sqlite'}"
    made = report("0123abcd").model_copy(update={"artifact_id": demo().id, "verdicts": ()})
    open_store(url).add(made)
    done = edgeq("baseline", "set", "main", "--run", "0123", "--store", url)
    assert done.returncode == 0, done.stderr
    for part in ("0123abcd", "raspberry-pi-5 (barn-07)", "0.2500", "here"):
        assert part in done.stdout
    listed = json.loads(edgeq("baseline", "list", "--store", url, "--json").stdout)
    assert [one["baseline"]["name"] for one in listed] == ["main"]
    assert edgeq("baseline", "rm", "main", "--store", url).returncode == 0
    done = edgeq("baseline", "show", "main", "--store", url)
    assert done.returncode == 2 and "there are none yet" in done.stderr
