"""What happens in a process of its own, and what comes back of it."""

from __future__ import annotations

import os
import pickle
from dataclasses import replace
from pathlib import Path

import pytest

from edgeq.errors import DeviceError, EdgeqError, InputError, InputErrors, Key
from edgeq.spec import target as targets
from edgeq.stages import apart
from edgeq.stages.apart import built_apart
from edgeq.stages.build import build, is_built
from edgeq.stages.check import check_inputs


def test_build_apart_makes_what_a_build_makes(small_demo: Path, edgeq_home: Path) -> None:
    prepared = check_inputs(small_demo / "recipe.yaml", targets.load("local")).prepared
    there = built_apart(prepared)
    assert there.cached and is_built(prepared)
    here = build(prepared)
    assert (here.artifact.id, here.plan, here.notes) == (
        there.artifact.id,
        there.plan,
        there.notes,
    )


def test_what_goes_wrong_there_is_raised_here(
    small_demo: Path, edgeq_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared = check_inputs(small_demo / "recipe.yaml", targets.load("local")).prepared
    gone = replace(prepared.calibration[0], path=small_demo / "gone.png")
    with pytest.raises(InputError, match=r"gone\.png"):
        built_apart(replace(prepared, calibration=(gone, *prepared.calibration[1:])))
    monkeypatch.setattr(apart, "_PROGRAM", f"import os; os.kill({os.getpid()} and os.getpid(), 9)")
    with pytest.raises(EdgeqError, match=r"ended with -9: it said nothing; see whether .* memory"):
        built_apart(prepared)


@pytest.mark.parametrize(
    "error",
    [
        InputErrors([InputError(Key("a", "b"), "is wrong", "mend it"), InputError("c", "too")]),
        DeviceError("board", "is gone", "look", kind="unreachable"),
    ],
)
def test_errors_travel_whole(error: EdgeqError) -> None:
    there = pickle.loads(pickle.dumps(error))
    assert type(there) is type(error) and str(there) == str(error)
    assert vars(there).keys() == vars(error).keys()
    assert getattr(there, "kind", "") == getattr(error, "kind", "")
