"""Progress bars on standard error, only on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from edgeq.progress import Progress, silent

_IN_BYTES = ("push",)
"""Stages whose progress counts bytes."""


@contextmanager
def shown() -> Iterator[Progress]:
    """A callback (stage, done, total) that keeps one bar a stage, with the time left."""
    if not sys.stderr.isatty():
        yield silent
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        ProgressColumn,
        Task,
        TaskID,
        TextColumn,
        TimeElapsedColumn,
        TransferSpeedColumn,
    )
    from rich.progress import Progress as Bars
    from rich.progress import TimeRemainingColumn as Remaining
    from rich.text import Text

    from edgeq.report.terminal.printable import printable

    count, size, speed = MofNCompleteColumn(), DownloadColumn(), TransferSpeedColumn()

    class Amount(ProgressColumn):
        """Images by number; bytes by size, with their rate."""

        def render(self, task: Task) -> Text:
            if task.description not in _IN_BYTES:
                return count.render(task)
            return Text.assemble(size.render(task), " ", speed.render(task))

    name = TextColumn("{task.description:<18}", markup=False)
    columns = (name, BarColumn(), Amount(), TimeElapsedColumn(), Remaining())
    bars = Bars(*columns, console=Console(stderr=True), transient=True)
    tasks: dict[str, TaskID] = {}

    def progress(stage: str, done: int, total: int) -> None:
        stage = " ".join(printable(stage).split())
        if not tasks:  # not before, so that a question for a passphrase stands on a line of its own
            bars.start()
        if stage not in tasks or (bars.tasks[tasks[stage]].finished and done < total):
            tasks[stage] = bars.add_task(stage, total=total)
        bars.update(tasks[stage], completed=done, total=total)

    try:
        yield progress
    finally:
        bars.stop()
