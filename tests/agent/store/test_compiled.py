"""The agent compiled by each Python there is, and what becomes of that in a root."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING, Callable, List

import pytest

from edgeq.agent.store import compiled
from edgeq.agent.store.layout import Layout

from ..serving import Host, command, sha256
from .test_full_disk import fill, mounted

if TYPE_CHECKING:
    from pathlib import Path

Rewrite = Callable[[str, bytes], bytes]


def settled(root: Path, agent_as_sent: Path) -> Path:
    """The agent in its place in a root."""
    content = agent_as_sent.read_bytes()
    place = Layout(root).agents / f"{sha256(content)}.pyz"
    place.parent.mkdir(parents=True)
    Layout(root).incoming.mkdir()
    place.write_bytes(content)
    return place


def copies(agent: Path) -> List[Path]:
    return [path for path in agent.parent.iterdir() if path != agent]


def rewritten(content: bytes, change: Rewrite) -> bytes:
    """A zip with other members."""
    changed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as before, zipfile.ZipFile(changed, "w") as after:
        for name in before.namelist():
            after.writestr(name, change(name, before.read(name)))
    return changed.getvalue()


def no_sources(name: str, member: bytes) -> bytes:
    return b"raise SystemExit('from source')" if name.endswith(".py") else member


def other_bytecode(name: str, member: bytes) -> bytes:
    return b"\0\0" + member[2:] if name.endswith(".pyc") else member


@pytest.mark.parametrize("change", [no_sources, other_bytecode])
def test_bytecode_runs_where_it_is_this_pythons_and_the_sources_elsewhere(
    change: Rewrite, agent_python: str, agent_as_sent: Path, tmp_path: Path
) -> None:
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); from agent.store.bytecode import compiled; "
        "sys.stdout.buffer.write(compiled(open(sys.argv[1], 'rb').read()))"
    )
    made = subprocess.run(
        [agent_python, "-c", program, str(agent_as_sent)], stdout=subprocess.PIPE, check=True
    )
    copy = tmp_path / "copy.pyz"
    copy.write_bytes(rewritten(made.stdout, change))
    job = json.dumps({"root": str(tmp_path), "modules": ["nothing"]}).encode()
    done = subprocess.run(
        [agent_python, str(copy), "probe", "-"], input=job, stdout=subprocess.PIPE, check=True
    )
    assert json.loads(done.stdout)["python"]["executable"] == agent_python


def test_a_collection_compiles_the_agent_that_runs_once(
    agent_as_sent: Path, tmp_path: Path
) -> None:
    agent = settled(tmp_path, agent_as_sent)
    made = []
    for _ in range(2):
        with Host(command(agent, tmp_path)) as host:
            host.lock()
            host.do("collect")
        made.append([(path.name, path.stat().st_ino) for path in copies(agent)])
    assert made[0] == made[1] and len(made[0]) == 1
    [copy] = copies(agent)
    tag = sys.implementation.cache_tag
    assert copy.name == f"{agent.stem}.{tag}.{sha256(copy.read_bytes())}.pyz"
    assert not copy.stat().st_mode & 0o022
    with Host(command(copy, tmp_path)) as host:
        assert host.do("job", verb="probe", job={"modules": ["nothing"]})["arch"]
        host.lock()
        host.do("collect")
    assert copies(agent) == [copy] and agent.exists()


def test_a_damaged_copy_and_another_pythons_make_place(agent_as_sent: Path, tmp_path: Path) -> None:
    agent = settled(tmp_path, agent_as_sent)
    compiled.keep(Layout(tmp_path), agent)
    [copy] = copies(agent)
    whole = copy.read_bytes()
    copy.write_bytes(whole[:-1])
    other = hashlib.sha256(b"other").hexdigest()
    copy.with_name(f"{agent.stem}.cpython-27.{other}.pyz").write_bytes(b"other")
    os.mkfifo(str(copy.with_name(f"{agent.stem}.{'0' * 64}.pyz")))
    compiled.keep(Layout(tmp_path), agent)
    [again] = copies(agent)
    assert again.name == f"{agent.stem}.{sys.implementation.cache_tag}.{sha256(whole)}.pyz"
    assert again.read_bytes() == whole


def test_an_agent_that_is_not_what_its_name_says_is_not_compiled(
    agent_as_sent: Path, tmp_path: Path
) -> None:
    agent = settled(tmp_path, agent_as_sent)
    agent.write_bytes(agent.read_bytes()[:-1])
    compiled.keep(Layout(tmp_path), agent)
    assert copies(agent) == []


@pytest.mark.parametrize("read_only", [False, True])
def test_a_full_disk_and_one_that_cannot_be_written_have_no_copy(
    read_only: bool, agent_as_sent: Path, tmp_path: Path
) -> None:
    with mounted(tmp_path, "2m") as root:
        agent = settled(root, agent_as_sent)
        if read_only:
            subprocess.run(["mount", "-o", "remount,ro", str(root.parent)], check=True)
        else:
            fill(root)
        compiled.keep(Layout(root), agent)
        assert copies(agent) == [] and list(Layout(root).incoming.iterdir()) == []


def test_copies_go_with_their_agents(agent_as_sent: Path, tmp_path: Path) -> None:
    agent = settled(tmp_path, agent_as_sent)
    for age_s, name in enumerate(("b" * 64, "a" * 64)):
        for path in (f"{name}.pyz", f"{name}.cpython-38.{'0' * 64}.pyz"):
            (agent.parent / path).write_bytes(b"")
            os.utime(str(agent.parent / path), (1e9 - age_s,) * 2)
    with Host(command(agent, tmp_path)) as host:
        host.lock()
        host.do("collect")
    kept = {compiled.agent_of(path) for path in agent.parent.iterdir()}
    assert kept == {agent.stem, "b" * 64} and len(list(agent.parent.iterdir())) == 4
