"""The agent compiled: its file once more with bytecode beside each module, for later starts.

It lies beside the agent as <agent>.<Python>.<sha256 of its own content>.pyz; Python is what that
calls its bytecode by, such as cpython-310. The loader makes it when it may write and there is none,
and runs it where its content is what its name says and nobody else may write there. A Python that
has another bytecode all the same takes the sources, which are in it too. A collection looks after
it: what is damaged, or another Python's, goes.
"""

from __future__ import annotations

import contextlib
import hashlib
import sys
from pathlib import Path

from . import disk
from .layout import Layout


def agent_of(path: Path) -> str:
    """The hash of the agent that a file is, or was compiled from."""
    return path.name.partition(".")[0]


def keep(layout: Layout, running: Path) -> None:
    """Compile the running agent for this Python, where that is not done; needs to be alone.

    It only saves time: where there is no room for it, or no right to write, there is none.
    """
    agent = layout.agents / f"{agent_of(running)}.pyz"
    tag = sys.implementation.cache_tag
    with contextlib.suppress(OSError, MemoryError):
        content = agent.read_bytes()
        if tag is None or hashlib.sha256(content).hexdigest() != agent_of(agent):
            return  # it runs from memory, or from its sources
        there = list(layout.agents.glob(f"{agent_of(agent)}.*.pyz"))
        # Two loaders at once can have made two: the one that runs stays.
        there.sort(key=lambda path: path.name != running.name)
        whole = [path for path in there if _is_whole(path, tag)]
        for path in there:
            if path not in whole[:1]:
                disk.remove(path)
        if not whole:
            from .bytecode import compiled

            _write(layout, f"{agent_of(agent)}.{tag}", compiled(content))


def _is_whole(path: Path, tag: str) -> bool:
    if not path.is_file():
        return False
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return path.name == f"{agent_of(path)}.{tag}.{digest}.pyz"


def _write(layout: Layout, name: str, content: bytes) -> None:
    path = layout.agents / f"{name}.{hashlib.sha256(content).hexdigest()}.pyz"
    temporary = layout.temporary()
    try:
        disk.write_whole(path, content, temporary)
    except OSError:
        with contextlib.suppress(OSError):
            disk.remove(temporary)
