from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgeq import cache
from edgeq.artifact import shelf
from edgeq.cache import KEPT_S, NAMES, Cache
from edgeq.errors import InputError
from tests.device.artifacts import made

LONG_AGO_S = 10 * KEPT_S
NOTES = Cache("builds")

same_home = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
"""A home for all examples: each writes under the same keys."""


def file_of(home: Path, key: str, name: str = "builds") -> Path:
    return home / "cache" / name / f"{key}.entry"


def aged(path: Path, age_s: float) -> Path:
    """As if it had been used last so long ago."""
    os.utime(path, (time.time() - age_s,) * 2)
    return path


def held() -> dict[str, tuple[int, int]]:
    """Entries and bytes of every cache that holds something."""
    return {one.name: (one.entries, one.size_bytes) for one in cache.usage() if one.entries}


# Reading and writing.


@same_home
@given(content=st.binary(), more=st.binary())
def test_what_was_written_last_is_read(content: bytes, more: bytes) -> None:
    for written in (content, more):
        NOTES.write("key", written)
        assert NOTES.read("key") == written


def test_what_was_never_written_is_none(edgeq_home: Path) -> None:
    assert NOTES.read("key") is None
    assert not NOTES.has("key")
    assert NOTES.read("no/such/part") is None
    assert not list((edgeq_home / "cache" / "builds").iterdir())


@same_home
@given(content=st.binary(), data=st.data())
def test_no_damage_goes_unnoticed(content: bytes, data: st.DataObject, edgeq_home: Path) -> None:
    NOTES.write("key", content)
    file = file_of(edgeq_home, "key")
    whole = file.read_bytes()
    place = data.draw(st.integers(0, len(whole) - 1))
    flipped = bytes([whole[place] ^ (1 << data.draw(st.integers(0, 7)))])
    damages = [whole[:place], whole[:place] + flipped + whole[place + 1 :], whole + b"more"]
    file.write_bytes(data.draw(st.sampled_from(damages)))

    assert NOTES.read("key") is None
    assert not file.exists()


def test_entry_says_what_it_is_and_counts_nowhere_else(edgeq_home: Path) -> None:
    NOTES.write("key", b"content")
    file = file_of(edgeq_home, "key")
    head = json.loads(file.read_bytes().partition(b"\n")[0])
    assert (head["cache"], head["key"]) == ("builds", "key")
    for key, other in (("other", NOTES), ("key", Cache("trials"))):
        moved = file_of(edgeq_home, key, other.name)
        moved.parent.mkdir(exist_ok=True)
        moved.write_bytes(file.read_bytes())
        assert other.read(key) is None
    assert NOTES.read("key") == b"content"


def test_key_is_that_of_the_same_description_only() -> None:
    key = cache.key({"a": 1, "b": [1, 2]})
    assert key == cache.key({"b": [1, 2], "a": 1})
    others: list[dict[str, object]] = [
        {"a": 1, "b": [2, 1]},
        {"a": 1},
        {"a": 1, "b": [1, 2], "versions": {}},
    ]
    assert len({key, *map(cache.key, others)}) == 4


WRITER = """
from edgeq.cache import Cache
print("ready", flush=True)
while True:
    Cache("builds").write("key", b"old" * 100_000)
    Cache("builds").write("key", b"new" * 100_000)
"""


@pytest.mark.parametrize("delay_s", [0.01, 0.03])
def test_killed_writer_leaves_a_whole_entry(delay_s: float) -> None:
    NOTES.write("key", b"old" * 100_000)
    with subprocess.Popen([sys.executable, "-c", WRITER], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        time.sleep(delay_s)
        writer.send_signal(signal.SIGKILL)
    assert NOTES.read("key") in (b"old" * 100_000, b"new" * 100_000)
    assert held()["builds"][0] == 1


# The limit.


def test_what_was_used_longest_ago_goes_first(edgeq_home: Path) -> None:
    for number in range(4):
        NOTES.write(str(number), bytes(1000))
        aged(file_of(edgeq_home, str(number)), LONG_AGO_S - number)
    assert NOTES.read("0") is not None  # used now
    size = held()["builds"][1]

    removed = cache.trim(size // 2)

    assert removed == size // 2
    assert [NOTES.has(str(number)) for number in range(4)] == [True, False, False, True]


def test_nothing_goes_below_the_limit(edgeq_home: Path) -> None:
    NOTES.write("key", bytes(1000))
    aged(file_of(edgeq_home, "key"), LONG_AGO_S)
    assert cache.trim(5000) == 0
    assert NOTES.has("key")


def test_what_a_running_process_may_need_stays_whatever_the_limit(edgeq_home: Path) -> None:
    NOTES.write("key", bytes(1000))
    aged(file_of(edgeq_home, "key"), KEPT_S - 60)
    Cache("sensitivity").write("whole/part", bytes(1000))
    stored = made({"model.onnx": bytes(1000)})
    aged(stored.folder, LONG_AGO_S)
    assert shelf.kept(stored.id) == stored

    assert cache.trim(0) == 0


def test_parts_of_an_entry_stay_or_go_as_one(edgeq_home: Path) -> None:
    journal = Cache("sensitivity")
    for part in ("old/1", "old/2", "new/1"):
        journal.write(part, bytes(1000))
    aged(edgeq_home / "cache" / "sensitivity" / "old", LONG_AGO_S)
    aged(edgeq_home / "cache" / "sensitivity" / "new", LONG_AGO_S)
    assert journal.read("new/1") is not None

    cache.trim(0)

    assert [journal.has(part) for part in ("old/1", "old/2", "new/1")] == [False, False, True]
    assert held()["sensitivity"][0] == 1


def test_engines_go_last_and_artifacts_as_a_whole(edgeq_home: Path) -> None:
    stored = made({"model.onnx": bytes(1000), "plan.json": b"{}"})
    aged(stored.folder, LONG_AGO_S)
    engine = Cache("engines").folder("fingerprint")
    engine.mkdir()
    (engine / "engine.plan").write_bytes(bytes(1000))
    aged(engine, 2 * LONG_AGO_S)

    cache.trim(1500)
    assert held() == {"engines": (1, 1000)}
    assert shelf.kept(stored.id) is None

    aged(engine, 2 * LONG_AGO_S)
    cache.trim(0)
    assert held() == {}


def test_what_a_kill_left_goes_after_a_day(edgeq_home: Path) -> None:
    NOTES.write("key", b"")
    old = edgeq_home / "cache" / "builds" / ".old"
    old.mkdir()
    (old / "file").write_bytes(b"half")
    aged(old, LONG_AGO_S)
    young = edgeq_home / "cache" / "builds" / ".young"
    young.write_bytes(b"half")

    cache.trim(1 << 30)

    assert not old.exists() and young.exists()
    assert held()["builds"][0] == 1


def test_writing_sees_to_the_limit_now_and_then(
    edgeq_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGEQ_CACHE_BYTES", "100")
    NOTES.write("old", bytes(1000))
    aged(file_of(edgeq_home, "old"), LONG_AGO_S)
    NOTES.write("new", b"")
    assert NOTES.has("old")  # it was seen to a moment ago
    for mark in (edgeq_home / "cache").glob(".*"):
        aged(mark, 2 * cache.EVERY_S)
    NOTES.write("new", b"")
    assert not NOTES.has("old") and NOTES.has("new")


@pytest.mark.parametrize("text", ["10 GiB", "-1", "1e9", "²"])
def test_limit_that_is_no_number_is_an_error(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEQ_CACHE_BYTES", text)
    with pytest.raises(InputError, match=r"EDGEQ_CACHE_BYTES: '.*' is no number of bytes"):
        cache.trim()


# Listing and clearing.


def test_usage_counts_every_cache(edgeq_home: Path) -> None:
    assert [one.name for one in cache.usage()] == list(NAMES)
    assert all(one.last_use_s is None for one in cache.usage())
    before = time.time()
    for key in ("a", "b"):
        NOTES.write(key, bytes(100))
    aged(file_of(edgeq_home, "a"), LONG_AGO_S)
    [found] = [one for one in cache.usage() if one.entries]
    size = sum(file_of(edgeq_home, key).stat().st_size for key in ("a", "b"))
    assert (found.name, found.entries, found.size_bytes) == ("builds", 2, size)
    assert found.oldest_use_s is not None and found.last_use_s is not None
    assert found.oldest_use_s < before - LONG_AGO_S + 60 < before - 1 < found.last_use_s


def test_one_cache_or_all_are_cleared() -> None:
    NOTES.write("a", b"")
    Cache("trials").write("a", b"")
    stored = made({"model.onnx": b"x"})
    assert cache.clear("builds") == 1
    assert set(held()) == {"trials", "artifacts"}
    assert cache.clear() == 2
    assert held() == {}
    assert not stored.folder.exists()


def test_unknown_cache_is_named_with_those_there_are() -> None:
    with pytest.raises(InputError, match="statistic: is no cache; there are images, statistics"):
        cache.clear("statistic")


def test_command_line_lists_and_clears() -> None:
    NOTES.write("a", bytes(1000))

    def edgeq(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "edgeq", "cache", *words]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    lines = edgeq("list").stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["cache", *NAMES, "all"]
    records = json.loads(edgeq("list", "--json").stdout)
    assert {one["name"]: one["entries"] for one in records}["builds"] == 1
    assert edgeq("clear", "trials").stdout == "removed 0 entries\n"
    assert json.loads(edgeq("clear", "--json").stdout) == {"removed": 1}
    wrong = edgeq("clear", "nonsense")
    assert wrong.returncode == 2 and "is no cache" in wrong.stderr


def test_a_file_in_a_caches_place_is_no_cache_and_hinders_nothing(edgeq_home: Path) -> None:
    place = edgeq_home / "cache" / "engines"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text("not a folder")

    NOTES.write("a", b"1234")
    assert cache.trim(0) == 0  # used just now
    assert held().keys() == {"builds"}
    assert cache.clear() == 1
    assert place.read_text() == "not a folder"
