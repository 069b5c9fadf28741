"""The pytest plugin: fixtures that deploy to boards, measure and compare there.

It is loaded in every run of pytest where edgeq is installed: what is heavy is imported by fixtures.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from edgeq.regression import options
from edgeq.regression.results import UNTOLD
from edgeq.regression.summary import Summary

if TYPE_CHECKING:
    from edgeq.records.comparison import Comparison
    from edgeq.records.health import Health
    from edgeq.records.measurement import Measurement
    from edgeq.records.report import Report
    from edgeq.regression.boards import BoardUnderTest

_BOARDS = pytest.StashKey[dict["BoardUnderTest", "BoardUnderTest"]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """See options.py."""
    options.add(parser)


def pytest_configure(config: pytest.Config) -> None:
    """The marks."""
    for line in (
        "edgeq(target=, host=, recipe=): what this test runs on, instead of what options say",
        "edgeq_feature(name): skip where the run lacks it: power, latency, accuracy",
    ):
        config.addinivalue_line("markers", line)
    options.check(config)
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Summary(config), "edgeq-summary")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that uses a board runs on each."""
    if "edgeq_target" not in metafunc.fixturenames:
        return
    from edgeq.regression.boards import boards_of

    config = metafunc.config
    mark = metafunc.definition.get_closest_marker("edgeq")
    known = config.stash.setdefault(_BOARDS, {})
    # The same object each time, or a fixture of the session would be made again.
    found = boards_of(config, mark, metafunc.definition.path.parent)
    boards = [known.setdefault(board, board) for board in found]
    if boards:
        has_groups = config.pluginmanager.hasplugin("xdist")
        rows = [
            pytest.param(
                board,
                id=board.name,
                marks=[pytest.mark.xdist_group(board.place)] if has_groups else [],
            )
            for board in boards
        ]
        metafunc.parametrize("edgeq_target", rows, indirect=True, scope="session")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """One test at a time has a board, in whichever process."""
    board = _board(item)
    with ExitStack() as held:
        if board is not None:
            held.enter_context(board.locked())
            said = [("edgeq_board", board.name), ("edgeq_recipe", str(board.recipe))]
            item.user_properties += said
        return (yield)


@pytest.hookimpl(trylast=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """What the fixtures found goes into the test's properties, and so into JUnit's file."""
    found: dict[str, Any] = getattr(item, "funcargs", {})
    if "edgeq_deploy" in found:
        from edgeq.regression import figures

        report: Report = found["edgeq_deploy"]
        told: list[tuple[str, object]] = [("target", report.target), ("run", report.id)]
        told += figures.of_report(report)
        if found.get("edgeq_gold") is not None:
            told += figures.of_health(found["edgeq_gold"])
        if "edgeq_compare" in found:
            comparison: Comparison = found["edgeq_compare"]
            told += [("baseline", comparison.a.named), *figures.of_comparison(comparison)]
        item.user_properties += [(f"edgeq_{name}", value) for name, value in told]
    _require_features(item, found)


def _require_features(item: pytest.Item, found: dict[str, Any]) -> None:
    for mark in item.iter_markers("edgeq_feature"):
        from edgeq.regression.figures import FEATURES

        for name in mark.args:
            if name not in FEATURES:
                known = ", ".join(FEATURES)
                pytest.fail(f"mark edgeq_feature: '{name}' is unknown; write one of {known}", False)
            if "edgeq_deploy" not in found:
                pytest.fail("mark edgeq_feature: the test has to use edgeq_deploy", False)
            lacking = FEATURES[name](found["edgeq_deploy"])
            if lacking is not None:
                _miss(item.config, f"{name}: {lacking}")


@pytest.fixture(scope="session")
def edgeq_target(request: pytest.FixtureRequest) -> BoardUnderTest:
    """The board of this test, of which nobody has asked anything yet: target, host, recipe."""
    if not hasattr(request, "param"):
        _miss(request.config, "needs a board: say --edgeq-target NAME, or --edgeq-fleet FILE")
    board: BoardUnderTest = request.param
    return board


@pytest.fixture(scope="session")
def edgeq_device(edgeq_target: BoardUnderTest, request: pytest.FixtureRequest) -> BoardUnderTest:
    """The board, which answers; from setup to teardown no other test of this machine has it."""
    from edgeq.errors import DeviceError
    from edgeq.verbs.releases import status

    missing = None
    with _failing():
        try:
            status(edgeq_target.target, edgeq_target.address)
        except DeviceError as exc:
            missing = f"needs the board {edgeq_target.name}: {exc}"
    if missing is not None:
        _miss(request.config, missing)
    return edgeq_target


@pytest.fixture(scope="session")
def edgeq_gold(
    edgeq_device: BoardUnderTest,
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
) -> Health | None:
    """How the board does with its gold artifact, before anything else is done there.

    None where none is named; skips where there is no such baseline yet.
    """
    from edgeq.regression.runs import gold, has_baseline, named_for

    said = options.one_of(request.config, "gold")
    if said is None or edgeq_device.recipe is None:
        return None
    with _failing():
        name = named_for(said, edgeq_device.kind().name)
        if not has_baseline(name):
            _miss(request.config, f"needs baseline '{name}': edgeq baseline set {name} --run ID")
        return gold(edgeq_device, name, _shared(tmp_path_factory))


@pytest.fixture(scope="session")
def edgeq_deploy(
    edgeq_device: BoardUnderTest,
    edgeq_gold: Health | None,
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
) -> Report:
    """The report of the recipe's deploy to the board, once a session."""
    from edgeq.regression.runs import deployed

    if edgeq_device.recipe is None:
        _miss(request.config, "needs a recipe: say --edgeq-recipe FILE, or mark edgeq(recipe=...)")
    with _failing():
        return deployed(edgeq_device, _shared(tmp_path_factory))


@pytest.fixture(scope="session")
def edgeq_measurement(
    edgeq_deploy: Report, edgeq_gold: Health | None, request: pytest.FixtureRequest
) -> Measurement:
    """What the deploy measured on the board; one that was unstable fails, or skips, its tests.

    So does one of a board that is not what it was.
    """
    if edgeq_gold is not None and edgeq_gold.doubt:
        _not_told(request.config, edgeq_gold.doubt)
    device = edgeq_deploy.column("device")
    if device is None or device.measurement is None:
        pytest.fail("the board was not measured", False)
    if device.measurement.unstable:
        _not_told(request.config, f"unstable: {'; '.join(device.measurement.unstable)}")
    return device.measurement


@pytest.fixture(scope="session")
def edgeq_compare(
    edgeq_device: BoardUnderTest,
    edgeq_deploy: Report,
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
) -> Comparison:
    """The comparison of the baseline (A) with what was deployed (B), once a session."""
    from edgeq.regression.runs import compared, has_baseline, named_for

    said = options.one_of(request.config, "baseline")
    if said is None:
        _miss(request.config, "needs a baseline to compare with: say --edgeq-baseline NAME")
    name = named_for(said, edgeq_deploy.target)
    with _failing():
        if not has_baseline(name):
            _miss(request.config, f"needs baseline '{name}': make it with --edgeq-save {said}")
        return compared(edgeq_device, edgeq_deploy, name, _shared(tmp_path_factory))


@pytest.fixture(scope="session")
def edgeq_not_worse(
    edgeq_compare: Comparison, edgeq_gold: Health | None, request: pytest.FixtureRequest
) -> Callable[[str], None]:
    """A function that fails where what was deployed is worse than the baseline in a metric.

    Where that cannot be told it fails, or skips with --edgeq-unstable=skip: what a board costs
    says nothing of the release where the board is not what it was.
    """
    from edgeq.cost.turns import COSTS

    def check(metric: str) -> None:
        __tracebackhide__ = True
        found = edgeq_compare.metric(metric)
        if found is None:
            known = ", ".join(one.metric for one in edgeq_compare.metrics)
            pytest.fail(f"{metric} was not compared; these were: {known}", False)
        against = f"{metric} against {edgeq_compare.a.named}"
        change = found.change
        figures = f"{found.a} to {found.b} {found.unit}"
        if change is not None:
            figures += f", {change.estimate:+.4f} ({change.low:+.4f} to {change.high:+.4f})"
        doubt = edgeq_gold.doubt if edgeq_gold is not None and metric in COSTS else ""
        if doubt and found.outcome != "same":
            _not_told(request.config, f"{against} {UNTOLD}: {doubt}")
        if found.outcome == "worse":
            pytest.fail(f"{against} is worse: {figures}; limit {found.limit:g}", False)
        if found.outcome == "cannot tell":
            _not_told(request.config, f"{against} {UNTOLD}: {found.reason or figures}")

    return check


def _board(item: pytest.Item) -> BoardUnderTest | None:
    """The board that a test has to itself."""
    names: list[str] = getattr(item, "fixturenames", [])
    callspec = getattr(item, "callspec", None)
    if "edgeq_device" not in names or callspec is None:
        return None
    board: BoardUnderTest | None = callspec.params.get("edgeq_target")
    return board


def _miss(config: pytest.Config, what: str) -> NoReturn:
    """Skip for what is missing; fail with --edgeq-require."""
    if options.is_set(config, "require"):
        pytest.fail(what, False)
    pytest.skip(what)


def _not_told(config: pytest.Config, what: str) -> NoReturn:
    """Fail for what cannot be told; skip with --edgeq-unstable=skip."""
    if options.one_of(config, "unstable") == "skip":
        pytest.skip(what)
    pytest.fail(what, False)


@contextmanager
def _failing() -> Iterator[None]:
    """An error of edgeq is told as its message: where in pytest's stack it was is no help."""
    from edgeq.errors import EdgeqError

    try:
        yield
    except EdgeqError as exc:
        raise pytest.fail.Exception(str(exc), False) from None


def _shared(factory: pytest.TempPathFactory) -> Path | None:
    """The folder of all workers of this session; None where there are none."""
    return factory.getbasetemp().parent if "PYTEST_XDIST_WORKER" in os.environ else None
