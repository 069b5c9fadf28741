"""Engines in the store: whole or not there, after any power cut, and gone with their releases."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path
from typing import Any, Dict, Tuple

import pytest

from edgeq.agent.store import disk, engines
from edgeq.agent.store.layout import Layout

from ..serving import Host
from ..unsynced import Disk, Log, Operation, record

KEY = "a" * 64
FIELDS: Dict[str, Any] = {"artifact": "b" * 64, "precision": "int8"}
TOLD = {"build_s": 1.5, "version": "10.3.0", "flags": ["INT8"], "layers": [{"Name": "conv"}]}
PLAN = b"a plan " * 1000


def make(
    layout: Layout, plan: bytes = PLAN, fields: Dict[str, Any] = FIELDS, key: str = KEY
) -> Any:
    """Build an engine as the verb does."""
    partial = engines.begin(layout, key)
    file = disk.open_file(partial / engines.PLAN_NAME)
    disk.write(file, plan)
    os.close(file.fd)
    disk.write_whole(partial / "timings.new", b"measured", layout.temporary())
    return engines.finish(layout, partial, fields, TOLD)


def test_an_engine_is_found_as_it_was_made(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    assert engines.find(layout, KEY, FIELDS) is None
    digest = make(layout)
    folder = layout.engines / KEY
    stored = engines.Stored(folder / "engine.plan", digest, len(PLAN), 1.5, [{"Name": "conv"}])
    assert engines.find(layout, KEY, FIELDS) == stored
    assert engines.find(layout, KEY, {**FIELDS, "precision": "fp16"}) is None
    assert engines.artifact_of(folder) == "b" * 64
    # Another session may be faster: what it made stays.
    assert make(layout, b"another plan") is None
    assert engines.find(layout, KEY, FIELDS) == stored


def story(root: Path, log: Log) -> Tuple[int, int]:
    """An engine, then its plan is damaged, then it is made again; the operations at both ends."""
    layout = Layout(root)
    make(layout)
    first = len(log)
    file = disk.open_file(layout.engines / KEY / engines.PLAN_NAME)
    disk.write(file, b"damage")
    os.close(file.fd)
    make(layout, PLAN + b"again")
    return first, len(log)


def test_a_power_cut_leaves_a_whole_engine_or_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "root"
    root.mkdir()
    log: Log = []
    record(root, log, monkeypatch)
    first, last = story(root, log)
    monkeypatch.undo()
    made, states = Disk(), 0
    for count in range(len(log) + 1):
        if count:
            made.apply(log[count - 1])
        for seed in range(3):
            chance = random.Random(count * 10 + seed)
            left = tmp_path / f"{count}-{seed}"
            made.write_to(left, lambda: chance.random() < 0.5, chance)  # noqa: B023
            found = engines.find(Layout(left), KEY, FIELDS)
            states += found is not None
            if found is not None:
                content = found.path.read_bytes()
                assert content in (PLAN, PLAN + b"again")
            # What was answered is there, whatever else was lost.
            assert found is not None or count not in (first, last)
    assert states > 6 and isinstance(log[0], Operation)


def test_engines_go_with_their_releases_and_only_those(root: Path, connect: Any) -> None:
    host: Host = connect()
    kept, gone = host.push("a"), host.push("b")
    host.activate(kept)
    layout = Layout(root)
    for key, release in (("1" * 64, kept), ("2" * 64, gone), ("3" * 64, kept)):
        make(layout, fields={"artifact": release}, key=key)
    anew = {"artifact": kept, engines.ANEW: 7}
    make(layout, fields=anew, key="4" * 64)
    (layout.engines / "timing.0.cache").write_bytes(b"measured")
    host.lock()
    host.do("collect")
    # What was built to be held against the others goes at once.
    assert len(list(layout.engines.iterdir())) == 4
    assert not (layout.engines / ("4" * 64)).exists()
    host.__exit__()
    later: Host = connect()
    later.lock()
    answer = later.do("collect")
    names = sorted(path.name for path in layout.engines.iterdir())
    assert names == ["1" * 64, "3" * 64, "timing.0.cache"]
    assert answer["removed_releases"] == 1 and answer["freed_bytes"] > len(PLAN)
    for name in names[:2]:
        assert json.loads((layout.engines / name / "fingerprint.json").read_text())["bytes"] == 7000
