from __future__ import annotations

from typing import get_args

import pytest

from edgeq import errors
from edgeq.agent import errors as agent_errors
from edgeq.errors import DeviceError, EdgeqError, InputError
from edgeq.records.rollout import FailureClass
from edgeq.rollout.failures import CLASSES, DOWNGRADE, UNFIT, UNLIKE, WORSE, class_of

from ..test_lists import kinds


def test_every_kind_of_error_has_a_class() -> None:
    known = {*kinds(errors).values(), *kinds(agent_errors).values()}
    assert known | {WORSE, UNLIKE, UNFIT, DOWNGRADE} == CLASSES.keys()
    assert set(CLASSES.values()) == set(get_args(FailureClass))


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (DeviceError("cam", "is not there", kind=errors.UNREACHABLE), "transient"),
        (DeviceError("cam", "is full", kind=agent_errors.NO_ROOM), "board"),
        (DeviceError("cam", "is days ahead", kind="clock"), "board"),
        (DeviceError("cam", "says nothing of a kind"), "board"),
        (DeviceError("cam", "cannot load it", kind=agent_errors.ENGINE), "artifact"),
        (DeviceError("cam", "is slower", kind=WORSE), "model"),
        (DeviceError("model", "has an operator that it does not know", kind=UNFIT), "artifact"),
        (InputError("~/.ssh/config", "has a line that says nothing"), "board"),
        (EdgeqError("cam", "is a bug of ours"), "board"),
    ],
)
def test_class_of_errors(error: EdgeqError, expected: str) -> None:
    assert class_of(error) == expected
