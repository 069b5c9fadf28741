"""A compiled agent: made by the loader that may write, run only where nobody else can have."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from edgeq.device.session.loader import LOADER
from tests.agent.store.test_full_disk import fill, mounted
from tests.device.session.test_loader import AGENT, DIGEST, load

START = f"{DIGEST}.{sys.implementation.cache_tag}"


def says_copy() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("__main__.py", """print('{"edgeq": "copy"}')""")
    return content.getvalue()


COPY = says_copy()
OWN_HASH = hashlib.sha256(COPY).hexdigest()


def placed(root: Path, name: str = f"{START}.{OWN_HASH}.pyz", content: bytes = COPY) -> Path:
    """A copy that tells when it runs, beside an agent that is there."""
    agent = root / "agent" / f"{DIGEST}.pyz"
    agent.parent.mkdir(mode=0o755)
    agent.write_bytes(AGENT)
    copy = agent.with_name(name)
    copy.write_bytes(content)
    copy.chmod(0o644)
    return copy


def runs(root: Path, mode: str = "keep") -> str:
    status, lines = load(root, mode=mode)
    assert status == 0 and len(lines) == 1
    return str(lines[0]["edgeq"])


@pytest.mark.parametrize("mode", ["keep", "memory"])
def test_a_whole_copy_of_ones_own_is_run(mode: str, tmp_path: Path) -> None:
    placed(tmp_path)
    assert runs(tmp_path, mode) == "copy"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (f"{START}.{OWN_HASH}.pyz", COPY[:-1]),
        (f"{START}.{OWN_HASH}.pyz", b""),
        (f"{START}.{'0' * 64}.pyz", COPY),
        (f"{START}.{OWN_HASH}.pyz.12.new", COPY),
        (f"{DIGEST}.cpython-27.{OWN_HASH}.pyz", COPY),
        (f"{'0' * 64}.{sys.implementation.cache_tag}.{OWN_HASH}.pyz", COPY),
    ],
)
def test_a_damaged_one_and_another_agents_or_pythons_is_not(
    name: str, content: bytes, tmp_path: Path
) -> None:
    placed(tmp_path, name, content)
    assert runs(tmp_path) == "ready"


def others_may_write(copy: Path) -> None:
    copy.chmod(0o664)


def others_may_replace(copy: Path) -> None:
    copy.parent.chmod(0o777)


def a_link(copy: Path) -> None:
    copy.rename(copy.parents[1] / "elsewhere")
    copy.symlink_to(copy.parents[1] / "elsewhere")


def another_owner(copy: Path) -> None:
    if os.getuid() != 0:
        pytest.skip("needs root, to give a file away")
    os.chown(copy, 65534, -1)


@pytest.mark.parametrize(
    "spoil", [others_may_write, others_may_replace, a_link, another_owner, Path.unlink]
)
def test_one_that_somebody_else_can_have_made_is_not(
    spoil: Callable[[Path], None], tmp_path: Path
) -> None:
    spoil(placed(tmp_path))
    assert runs(tmp_path) == "ready"


def says_where() -> bytes:
    """An agent that tells which file it runs from."""
    content = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(AGENT)) as agent, zipfile.ZipFile(content, "w") as archive:
        archive.writestr("__main__.py", """import sys; print('{"edgeq": "%s"}' % sys.path[0])""")
        name = "agent/store/bytecode.py"
        archive.writestr(name, agent.read(name))
    return content.getvalue()


SMALL = says_where()
SMALL_HASH = hashlib.sha256(SMALL).hexdigest()


def ran(root: Path, sent: bytes = b"", mode: str = "keep") -> Path:
    """The file that an agent ran from which is sent or there."""
    status, lines = load(root, sent, SMALL_HASH, mode, size=len(SMALL))
    assert status == 0
    return Path(lines[-1]["edgeq"])


def of_small(root: Path) -> list[Path]:
    return sorted((root / "agent").iterdir())


def test_one_that_comes_is_compiled_at_once_and_then_found(tmp_path: Path) -> None:
    copy = ran(tmp_path, SMALL)
    found = hashlib.sha256(copy.read_bytes()).hexdigest()
    assert copy.name == f"{SMALL_HASH}.{sys.implementation.cache_tag}.{found}.pyz"
    inode = copy.stat().st_ino
    assert [ran(tmp_path, mode=mode) for mode in ("keep", "memory")] == [copy, copy]
    assert of_small(tmp_path) == [copy, tmp_path / "agent" / f"{SMALL_HASH}.pyz"]
    assert copy.stat().st_ino == inode


def test_one_that_is_there_is_compiled_by_who_may_write_alone(tmp_path: Path) -> None:
    copy = ran(tmp_path, SMALL)
    copy.write_bytes(b"damaged")
    assert ran(tmp_path, mode="memory").name == f"{SMALL_HASH}.pyz"
    assert len(of_small(tmp_path)) == 2 and copy.read_bytes() == b"damaged"
    again = ran(tmp_path)
    assert again.name.split(".")[2] == hashlib.sha256(again.read_bytes()).hexdigest()


def test_nothing_is_compiled_where_others_may_replace_it(tmp_path: Path) -> None:
    (tmp_path / "agent").mkdir()
    (tmp_path / "agent").chmod(0o777)
    agent = tmp_path / "agent" / f"{SMALL_HASH}.pyz"
    assert ran(tmp_path, SMALL) == agent and of_small(tmp_path) == [agent]


@pytest.mark.parametrize("read_only", [False, True])
def test_agent_runs_from_its_sources_where_no_copy_can_be_written(
    read_only: bool, tmp_path: Path
) -> None:
    with mounted(tmp_path, "2m") as root:
        agent = root / "agent" / f"{SMALL_HASH}.pyz"
        agent.parent.mkdir(parents=True)
        agent.write_bytes(SMALL)
        if read_only:
            subprocess.run(["mount", "-o", "remount,ro", str(root.parent)], check=True)
        else:
            fill(root)
        assert ran(root) == agent and of_small(root) == [agent]


def tidy_up(root: Path) -> list[str]:
    """The answers to a lock and a collection."""
    lock = {"op": "lock", "who": "a test", "what": "testing", "shared": False, "wait_s": 60}
    command = [sys.executable, "-IS", "-c", LOADER, str(root), DIGEST, str(len(AGENT)), "keep"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None and process.stdout is not None
        for request in (lock, {"op": "collect"}):
            process.stdin.write(json.dumps(request).encode() + b"\n")
        process.stdin.flush()
        answers: list[str] = []
        while len(answers) < 3:
            word = next(iter(json.loads(process.stdout.readline())))
            answers += [word] if word != "alive" else []
        process.stdin.close()
    return answers


def test_two_that_start_and_tidy_up_at_once_leave_one_copy(tmp_path: Path) -> None:
    load(tmp_path, AGENT)
    with ThreadPoolExecutor(2) as both:
        answers = list(both.map(tidy_up, [tmp_path, tmp_path]))
    assert answers == [["edgeq", "ok", "ok"]] * 2
    assert len(list((tmp_path / "agent").iterdir())) == 2
    assert runs(tmp_path) == "ready"
