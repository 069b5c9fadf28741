"""What is done on boards for tests: each board is deployed to and compared once a session."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from edgeq import places
from edgeq.artifact import shelf
from edgeq.errors import InputError
from edgeq.records.baseline import KeptBaseline
from edgeq.records.comparison import Comparison
from edgeq.records.health import Health
from edgeq.records.record import Record
from edgeq.records.report import Report
from edgeq.regression.boards import BoardUnderTest
from edgeq.store import baselines, open_store
from edgeq.verbs.baseline import is_baseline_name, look_up
from edgeq.verbs.compare import compare, with_agreement
from edgeq.verbs.deploy import deploy
from edgeq.verbs.gold import check_gold

R = TypeVar("R", bound=Record)


def deployed(board: BoardUnderTest, shared: Path | None) -> Report:
    """The report of this session's deploy, by whichever process came first.

    `shared` is a folder of the session's processes, None where there is one.
    """

    def run() -> Report:
        assert board.recipe is not None
        return deploy(board.recipe, board.target, address=board.address)

    return _once(shared, f"deploy {board}", Report, run)


def compared(
    board: BoardUnderTest, report: Report, baseline: str, shared: Path | None
) -> Comparison:
    """This session's comparison of what was deployed with a baseline, which the store keeps."""

    def run() -> Comparison:
        meant = _of_target(baseline, report)
        candidate = shelf.kept(report.artifact_id)
        if candidate is None:
            what = f"artifact {report.artifact_id[:12]} is no more in the cache"
            raise InputError(board.name, what, "give the cache more room: EDGEQ_CACHE_BYTES")
        found = compare(meant, candidate, board.target, board.recipe, address=board.address)
        store = open_store()
        found = with_agreement(found, store)
        store.add_comparison(found)
        return found

    return _once(shared, f"compare {board} {baseline}", Comparison, run)


def gold(board: BoardUnderTest, name: str, shared: Path | None) -> Health:
    """How the board does with its gold artifact in this session, which the store keeps."""

    def run() -> Health:
        assert board.recipe is not None
        return check_gold(name, board.target, board.recipe, address=board.address)

    return _once(shared, f"gold {board} {name}", Health, run)


def has_baseline(name: str) -> bool:
    """Whether there is one of that name, or it is something else that can be compared with."""
    if not is_baseline_name(name) or Path(name).exists():
        return True
    return baselines.find(open_store(), name) is not None


def named_for(name: str, target: str) -> str:
    """A baseline's name for one target: `{target}` in it stands for that."""
    return name.replace("{target}", target.replace(":", "-"))


def _of_target(name: str, report: Report) -> str | KeptBaseline:
    meant = look_up(name)
    if isinstance(meant, KeptBaseline) and meant.baseline.report.target != report.target:
        what = f"is of target {meant.baseline.report.target}, and this board is {report.target}"
        remedy = "name one for each target: --edgeq-baseline 'main-{target}'"
        raise InputError(f"baseline '{name}'", what, remedy)
    return meant


def _once(shared: Path | None, what: str, kind: type[R], run: Callable[[], R]) -> R:
    """What another process of the session found, else what is found now; the board is locked."""
    if shared is None:
        return run()
    file = shared / f"edgeq-{hashlib.sha256(what.encode()).hexdigest()[:16]}.json"
    if file.exists():
        return kind.model_validate_json(file.read_bytes())
    found = run()
    places.write_whole(file, found.model_dump_json().encode())
    return found
