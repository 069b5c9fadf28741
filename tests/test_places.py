from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from edgeq import places

OLD, NEW = b"old" * 100_000, b"new" * 100_000

WRITER = """
import sys
from pathlib import Path
from edgeq.places import write_whole
path = Path(sys.argv[1])
print("ready", flush=True)
while True:
    write_whole(path, b"new" * 100_000)
    write_whole(path, b"old" * 100_000)
"""


def test_home_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EDGEQ_HOME", str(tmp_path / "mine"))
    assert places.home() == tmp_path / "mine"


def test_home_is_in_the_users_folder_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEQ_HOME", "")
    assert places.home() == Path.home() / ".edgeq"


def test_cache_exists_once_it_was_asked_for(edgeq_home: Path) -> None:
    folder = places.cache("kind")
    assert folder == edgeq_home / "cache" / "kind"
    assert folder.is_dir()


@pytest.mark.parametrize("name", ["targets", "recipes"])
def test_builtin_folders_hold_yaml(name: str) -> None:
    assert list(places.builtin(name).glob("*.yaml"))


def test_written_file_holds_the_new_content(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "file"
    places.write_whole(path, OLD)
    places.write_whole(path, NEW)
    assert path.read_bytes() == NEW
    assert [entry.name for entry in path.parent.iterdir()] == ["file"]


def test_failed_write_leaves_the_old_state_and_no_temporary_file(tmp_path: Path) -> None:
    path = tmp_path / "taken"
    (path / "inside").mkdir(parents=True)
    with pytest.raises(OSError):
        places.write_whole(path, NEW)
    assert [entry.name for entry in tmp_path.iterdir()] == ["taken"]


def test_wrong_content_leaves_the_old_content_and_no_temporary_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    places.write_whole(path, OLD)
    with pytest.raises(TypeError):
        places.write_whole(path, "text")  # type: ignore[arg-type]
    assert path.read_bytes() == OLD
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("delay_s", [0.0, 0.003, 0.01, 0.02, 0.03])
def test_killed_writer_leaves_old_or_new(tmp_path: Path, delay_s: float) -> None:
    path = tmp_path / "file"
    path.write_bytes(OLD)
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE
    ) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        seen = []
        try:
            writer.wait(timeout=delay_s)
        except subprocess.TimeoutExpired:
            seen = [path.read_bytes() for _ in range(20)]
        writer.send_signal(signal.SIGKILL)
    assert {*seen, path.read_bytes()} <= {OLD, NEW}
