"""Engines kept on this machine for identical boards."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from edgeq import places
from edgeq.device import sharing

KEY = "a" * 64
PLAN, GOLDEN = b"a plan " * 100, b"golden outputs"


def told(plan: bytes = PLAN) -> sharing.EngineRecord:
    digests = {
        name: hashlib.sha256(c).hexdigest() for name, c in (("plan", plan), ("golden", GOLDEN))
    }
    return sharing.EngineRecord.model_validate(
        {"fields": {"tensorrt": "10.3.0", "sm_count": 8}, "build_s": 1.5, **digests}
    )


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EDGEQ_HOME", str(tmp_path))
    return places.cache("engines") / KEY


def test_engine_is_kept_whole(folder: Path) -> None:
    assert sharing.kept(KEY) is None
    sharing.keep(KEY, told(), PLAN, GOLDEN)
    found = sharing.kept(KEY)
    assert found is not None
    record, files = found
    assert record == told()
    assert [file.read_bytes() for file in files.values()] == [PLAN, GOLDEN]
    assert [path.name for path in folder.parent.iterdir()] == [KEY]


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: next(folder.glob("*.plan")).write_bytes(b"half"),
        lambda folder: next(folder.glob("*.npz")).unlink(),
        lambda folder: (folder / "record.json").write_text("{"),
        lambda folder: (folder / "record.json").write_text("{}"),
        lambda folder: (folder / "record.json").unlink(),
    ],
)
def test_what_is_not_as_written_counts_as_none(
    folder: Path, damage: Callable[[Path], object]
) -> None:
    sharing.keep(KEY, told(), PLAN, GOLDEN)
    damage(folder)
    assert sharing.kept(KEY) is None
    sharing.keep(KEY, told(), PLAN, GOLDEN)
    assert sharing.kept(KEY) is not None


def test_what_arrived_damaged_is_no_engine(folder: Path) -> None:
    sharing.keep(KEY, told(b"another"), PLAN, GOLDEN)
    assert sharing.kept(KEY) is None


def test_failure_leaves_what_was_there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sharing.keep(KEY, told(), PLAN, GOLDEN)

    def refuse(path: Path, content: bytes) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(places, "write_whole", refuse)
    with pytest.raises(OSError, match="No space left"):
        sharing.keep(KEY, told(b"another"), b"another", GOLDEN)
    assert sharing.kept(KEY) is not None
    assert [path.name for path in folder.parent.iterdir()] == [KEY]


def test_engine_that_is_on_its_way_stays_when_another_takes_its_place(folder: Path) -> None:
    sharing.keep(KEY, told(), PLAN, GOLDEN)
    sent = sharing.kept(KEY)
    assert sent is not None
    sharing.keep(KEY, told(b"another"), b"another", GOLDEN)
    assert [file.read_bytes() for file in sent[1].values()] == [PLAN, GOLDEN]
    now = sharing.kept(KEY)
    assert now is not None and now[0].plan == hashlib.sha256(b"another").hexdigest()
    # Nobody is still at it a day later.
    old, _ = sent[1].values()
    os.utime(old, (0, 0))
    sharing.keep(KEY, told(b"another"), b"another", GOLDEN)
    assert sorted(folder.iterdir()) == sorted([*now[1].values(), folder / "record.json"])
