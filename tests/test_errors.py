from __future__ import annotations

import pytest

from edgeq.errors import (
    DeviceError,
    EdgeqError,
    InputError,
    InputErrors,
    Problems,
    raise_all,
    require,
)

FIRST = InputError("a.yaml:3", "'x' is unknown", "did you mean 'y'?")
SECOND = InputError("a.yaml:7", "'z' is missing")


def test_message_has_three_parts() -> None:
    assert str(FIRST) == "a.yaml:3: 'x' is unknown; did you mean 'y'?"


def test_message_without_remedy_ends_after_what_is_wrong() -> None:
    assert str(SECOND) == "a.yaml:7: 'z' is missing"


@pytest.mark.parametrize(
    ("error", "code"),
    [(EdgeqError("w", "x"), 5), (FIRST, 2), (InputErrors([FIRST]), 2), (DeviceError("w", "x"), 3)],
)
def test_exit_code_of_each_branch(error: EdgeqError, code: int) -> None:
    assert error.exit_code == code


def test_no_problem_raises_nothing() -> None:
    raise_all([])


def test_one_problem_is_raised_itself() -> None:
    with pytest.raises(InputError) as caught:
        raise_all([FIRST])
    assert caught.value is FIRST


def test_several_problems_are_raised_together() -> None:
    with pytest.raises(InputErrors) as caught:
        raise_all([FIRST, SECOND])
    assert caught.value.problems == (FIRST, SECOND)
    assert str(caught.value) == f"{FIRST}\n{SECOND}"


@pytest.mark.parametrize(
    ("count", "last"), [(21, "and 1 more problem"), (99, "and 79 more problems")]
)
def test_many_problems_are_shown_in_part_and_counted(count: int, last: str) -> None:
    problems = [InputError(f"a.yaml:{line}", "is wrong") for line in range(count)]
    raised = InputErrors(problems)
    assert raised.problems == tuple(problems)
    assert [str(shown) for shown in raised.shown] == [*map(str, problems[:20]), last]
    assert str(raised).splitlines()[-1] == last


def test_as_many_problems_as_are_shown_are_all_shown() -> None:
    assert len(InputErrors([FIRST] * 20).shown) == 20


def fail(error: Exception) -> int:
    raise error


def test_problems_collects_and_flattens() -> None:
    problems = Problems()
    results = [
        problems.attempt(lambda: 1),
        problems.attempt(lambda: fail(FIRST)),
        problems.attempt(lambda: fail(InputErrors([SECOND, FIRST]))),
    ]
    assert results == [1, None, None]
    assert problems.found == [FIRST, SECOND, FIRST]


def test_problems_lets_other_errors_through() -> None:
    with pytest.raises(DeviceError):
        Problems().attempt(lambda: fail(DeviceError("board", "is off")))


def test_required_package_that_is_missing_names_its_extra() -> None:
    with pytest.raises(InputError, match=r"no_such_package: .*pip install 'edgeq\[fast\]'"):
        require("no_such_package", "fast")


def test_required_package_is_imported() -> None:
    assert require("json", "fast").__name__ == "json"
