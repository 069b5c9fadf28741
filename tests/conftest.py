"""What every test gets, which tests run side by side, and how much of what is large.

Every test has a folder of its own for what edgeq keeps, and the way to the real data.
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from tests import sampling

pytest_plugins = ["tests.demo_project"]

DATA = Path(__file__).parent.parent.parent / "shared" / "data"
ON_BOARDS, BOARDS = ("tests/device/board/", "tests/device/test_on_board_"), "boards"
ROLLOUTS = "tests/rollout/"
ALL_CORES = sorted(os.sched_getaffinity(0))
# What takes minutes in one process begins first, so that no process works alone at the end.
FIRST = (
    BOARDS,
    "tests/verbs/test_accuracy.py",
    "tests/runtimes/tensorrt/test_accepts.py",
    *(f"tests/tuning/test_{name}.py" for name in ("tune", "sensitivity", "study")),
    "tests/verbs/test_deploy.py",
    "tests/test_adding.py",
    "tests/verbs/test_jetson.py",
    "tests/test_readme.py",
    ROLLOUTS,
    "tests/regression/test_example.py",
    "tests/repair/test_build.py",
    "tests/agent/store/test_installation.py",
)

# No deadline, as the machines that test share their cores; a sample is the same every time.
settings.register_profile("edgeq", deadline=None, derandomize=not sampling.WHOLE)
settings.load_profile("edgeq")


def pytest_report_header() -> str:
    """How much is tested."""
    return "tests: " + ("all" if sampling.WHOLE else "matrices sampled; EDGEQ_TESTS=all for all")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What was skipped, by what it misses, and how to get that."""
    skipped = terminalreporter.stats.get("skipped", [])
    reasons = Counter(report.longrepr[2].removeprefix("Skipped: ") for report in skipped)
    if not reasons:
        return
    terminalreporter.section("not tested on this machine")
    for reason, count in reasons.most_common():
        noun = "test" if count == 1 else "tests"
        terminalreporter.line(f"{count:5} {noun}: {reason}")
    terminalreporter.line("On Debian or Ubuntu, sudo tests/install.sh installs what it has of it.")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is not in the sample, put the long ones first."""
    left_out = set() if sampling.WHOLE else _not_sampled(items)
    config.hook.pytest_deselected(items=[item for item in items if item in left_out])
    items[:] = [item for item in items if item not in left_out]
    rank = {name: place for place, name in enumerate(FIRST)}
    items.sort(key=lambda item: rank.get(_group(item.nodeid), len(FIRST)))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Give each of several processes its share of the cores, but for boards, which mostly wait.

    Threads of engines that wait for each other on cores that others use took half as long again.
    """
    cores = ALL_CORES
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    if workers > 1 and _group(item.nodeid) != BOARDS:
        number = int(os.environ["PYTEST_XDIST_WORKER"].removeprefix("gw"))
        cores = ALL_CORES[number % workers :: workers] or ALL_CORES
    os.sched_setaffinity(0, cores)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    """A process that is free takes the next group, in the order above.

    xdist's own mark for groups, `xdist_group`, has no effect on pytest 9.2 (xdist 3.8).
    """
    return _ByGroup(config, log)


class _ByGroup(LoadScopeScheduling):  # type: ignore[misc]
    def _split_scope(self, nodeid: str) -> str:
        return _group(nodeid)


def _group(nodeid: str) -> str:
    """What one process runs: a file, whose fixtures are then made once, all of roll-outs or boards.

    Boards share their network, the image they start from, and one of them that keeps running.
    """
    if nodeid.startswith(ON_BOARDS):
        return BOARDS
    return ROLLOUTS if nodeid.startswith(ROLLOUTS) else nodeid.partition("::")[0]


def _not_sampled(items: list[pytest.Item]) -> set[pytest.Item]:
    """What only a run of everything has: long tests, and most rows of matrices."""
    matrices: dict[str, list[pytest.Item]] = {}
    left_out = {item for item in items if item.get_closest_marker("long")}
    for item in items:
        if item.get_closest_marker("matrix"):
            matrices.setdefault(item.nodeid.partition("[")[0], []).append(item)
    for rows in matrices.values():
        chosen = sampling.pairwise([getattr(row, "callspec").params for row in rows])  # noqa: B009
        left_out.update(row for i, row in enumerate(rows) if i not in chosen)
    return left_out


@pytest.fixture(autouse=True)
def edgeq_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty $EDGEQ_HOME, so that no test sees a user's targets or another test's cache."""
    home = tmp_path_factory.mktemp("edgeq-home")
    monkeypatch.setenv("EDGEQ_HOME", str(home))
    return home


@pytest.fixture(scope="session")
def real_data() -> Callable[[str], Path]:
    """The path of a real model or set of images; skips where it is absent, fails there on CI."""

    def find(name: str) -> Path:
        path = DATA / name
        if not path.exists():
            reason = f"needs the real data: {path} is absent"
            if os.environ.get("CI") == "true":
                pytest.fail(reason)
            pytest.skip(reason)
        return path

    return find


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Children that SIGINT ends, although a shell's background job has it ignored and passes on."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
