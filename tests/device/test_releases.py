from __future__ import annotations

import hashlib
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from edgeq import artifact
from edgeq.artifact import Artifact
from edgeq.device.local import LocalTransport
from edgeq.device.releases import Releases
from edgeq.device.transport import Completed
from edgeq.errors import DeviceError

from .artifacts import made

FILES = {"model.onnx": b"m" * 300_000, "plan.json": b"{}", "weights.bin": b"w" * 300_000}


class Recording(LocalTransport):
    """The local transport, and what went through it."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[str] = []
        self.commands: list[list[str]] = []

    def put(self, content: Path | bytes, path: str) -> None:
        self.sent.append(path)
        super().put(content, path)

    def run(
        self, arguments: Sequence[str], on_line: Callable[[str], None] | None = None
    ) -> Completed:
        self.commands.append(list(arguments))
        return super().run(arguments, on_line)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "a root"


@pytest.fixture
def releases(root: Path) -> Releases:
    return Releases(Recording(), str(root))


def sent(releases: Releases) -> list[str]:
    assert isinstance(releases.transport, Recording)
    return releases.transport.sent


def pushed(releases: Releases, note: str = "") -> Artifact:
    made_here = made(FILES, note)
    releases.push(made_here)
    return made_here


def visible(root: Path) -> list[Path]:
    """What a program on the device takes for releases."""
    return [path for path in (root / "releases").iterdir() if not path.name.startswith(".")]


def test_pushed_release_is_the_artifact(releases: Releases, root: Path) -> None:
    release = Path(releases.push(made(FILES)))
    assert release == root / "releases" / made(FILES).id
    assert artifact.read(release).id == made(FILES).id
    assert {f.name: f.read_bytes() for f in release.iterdir() if f.name in FILES} == FILES


def test_release_survives_a_move_of_the_root(releases: Releases, root: Path) -> None:
    name = Path(releases.push(made(FILES))).name
    root.rename(root.with_name("moved"))
    assert artifact.read(root.with_name("moved") / "releases" / name).id == name


def test_pushing_again_sends_nothing(releases: Releases) -> None:
    pushed(releases)
    count = len(sent(releases))
    pushed(releases)
    assert count == len(FILES) + 1
    assert len(sent(releases)) == count


def test_second_release_sends_only_what_differs(releases: Releases) -> None:
    pushed(releases)
    count = len(sent(releases))
    newer = pushed(releases, "newer")
    assert sent(releases)[count:] == [releases.blob(newer.id)]


def test_push_activates_nothing(releases: Releases) -> None:
    pushed(releases)
    assert releases.current() is None


def test_activate_keeps_the_one_before(releases: Releases, root: Path) -> None:
    first, second, third = (pushed(releases, note) for note in "123")
    seen = []
    for release in (first, first, second, third):
        releases.activate(release.id)
        previous = root / "previous"
        seen.append((releases.current(), previous.resolve().name if previous.exists() else None))
    assert seen == [
        (first.id, None),
        (first.id, None),
        (second.id, first.id),
        (third.id, second.id),
    ]
    assert artifact.read(root / "current").id == third.id


def test_release_that_is_not_there_is_not_activated(releases: Releases) -> None:
    first = pushed(releases)
    releases.activate(first.id)
    with pytest.raises(DeviceError, match=f"release {'0' * 64} is not there; push it first"):
        releases.activate("0" * 64)
    assert releases.current() == first.id


def test_files_are_sent_once_under_their_hash(releases: Releases, tmp_path: Path) -> None:
    files = [tmp_path / "a.jpg", tmp_path / "b.jpg", tmp_path / "same.jpg"]
    for file, content in zip(files, (b"a", b"b", b"a"), strict=True):
        file.write_bytes(content)
    releases.prepare()
    paths = releases.put_files(files)
    releases.put_files(files)
    assert [Path(paths[file]).read_bytes() for file in files] == [b"a", b"b", b"a"]
    assert Path(paths[files[0]]).name == hashlib.sha256(b"a").hexdigest()
    assert len(sent(releases)) == 2


def test_leftovers_of_a_killed_push_are_in_nobodys_way(releases: Releases, root: Path) -> None:
    partial = root / "releases" / f".{made(FILES).id}.0123.partial"
    partial.mkdir(parents=True)
    (partial / "model.onnx").write_text("half")
    release = Path(releases.push(made(FILES)))
    assert artifact.read(release).id == made(FILES).id


def test_root_that_cannot_be_written_is_a_device_error(root: Path) -> None:
    root.write_text("a file where the folder should be")
    releases = Releases(LocalTransport(), str(root))
    with pytest.raises(DeviceError, match=f"'mkdir' failed: .*check space and rights of {root}"):
        releases.push(made(FILES))


def test_commands_are_argument_lists(releases: Releases, root: Path) -> None:
    pushed(releases)
    assert isinstance(releases.transport, Recording)
    assert not {"sh", "bash"} & {command[0] for command in releases.transport.commands}
    assert " " in root.name


PUSHER = """
import sys
from pathlib import Path
from edgeq import artifact
from edgeq.device.local import LocalTransport
from edgeq.device.releases import Releases
releases = Releases(LocalTransport(), sys.argv[1])
opened = [artifact.read(Path(path)) for path in sys.argv[2:]]
print("ready", flush=True)
for one in opened:
    releases.push(one)
    releases.activate(one.id)
"""


@pytest.mark.parametrize("delay_s", [0.0, 0.01, 0.03, 0.06, 0.1, 0.15])
def test_killed_push_leaves_nothing_half_and_the_next_succeeds(root: Path, delay_s: float) -> None:
    artifacts = [made(FILES, str(number)) for number in range(6)]
    folders = [str(one.folder) for one in artifacts]
    with subprocess.Popen(
        [sys.executable, "-c", PUSHER, str(root), *folders], stdout=subprocess.PIPE
    ) as pusher:
        assert pusher.stdout is not None
        pusher.stdout.readline()
        time.sleep(delay_s)
        pusher.kill()

    for release in visible(root) if root.exists() else []:
        assert artifact.read(release).id == release.name
    blobs = root / "blobs" / "sha256"
    for blob in blobs.glob("[0-9a-f]*") if blobs.exists() else []:
        assert hashlib.sha256(blob.read_bytes()).hexdigest() == blob.name
    releases = Releases(LocalTransport(), str(root))
    current = releases.current()
    assert current is None or artifact.read(root / "current").id == current

    releases.push(artifacts[-1])
    releases.activate(artifacts[-1].id)
    assert artifact.read(root / "current").id == artifacts[-1].id
