"""Processor time of this process and of all that it began, living or ended."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

_PROC = Path("/proc")


def spent_s(root: Path = _PROC) -> float:
    """CPU seconds so far, to be subtracted from later ones.

    Where the system does not tell of living children, those are counted once they have ended.
    """
    parents: dict[int, int] = {}
    ticks: dict[int, int] = {}
    for folder in root.glob("[0-9]*"):
        try:
            text = (folder / "stat").read_text(encoding="ascii", errors="replace")
        except OSError:  # it ended meanwhile
            continue
        # A program's name may hold blanks and brackets.
        fields = text.rpartition(")")[2].split()
        pid = int(folder.name)
        parents[pid] = int(fields[1])
        ticks[pid] = sum(map(int, fields[11:15]))  # own and ended children's, user and system
    own = os.getpid()
    if own not in ticks:
        return sum(os.times()[:4])
    found = sum(ticks[pid] for pid in ticks if _descends(pid, own, parents))
    return found / os.sysconf("SC_CLK_TCK")


def _descends(pid: int, ancestor: int, parents: Mapping[int, int]) -> bool:
    for _ in parents:  # not for ever, as a number may have been given to another meanwhile
        if pid == ancestor or pid not in parents:
            break
        pid = parents[pid]
    return pid == ancestor
