"""What happens in a roll-out, told while it happens: lines, JSON lines, a command, a file."""

from __future__ import annotations

import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from edgeq.cli.output import print_json, say

if TYPE_CHECKING:
    from rich.live import Live

    from edgeq.records.rollout import RolloutEvent, RolloutStatus

_REFRESH_S = 1.0


def told(
    events: Iterable[RolloutEvent],
    status: Callable[[], RolloutStatus],
    on_event: str | None,
    metrics: Path | None,
    as_json: bool,
) -> None:
    """Go through events and tell each; on a terminal a table stands below them.

    A command that fails is told once, and changes nothing.
    """
    from edgeq.report.terminal.rollout import event_text

    command = shlex.split(on_event) if on_event else []
    complained = False
    looked_s = 0.0
    with ExitStack() as stack:
        live = None if as_json or not sys.stdout.isatty() else stack.enter_context(_table())
        for event in events:
            if as_json:
                print_json(event)
            elif live is None:
                say(event_text(event))
            if command:
                problem = _run(command, event)
                if problem and not complained:
                    typer.echo(f"--on-event: {problem}", err=True)
                    complained = True
            if (live or metrics) and time.monotonic() - looked_s > _REFRESH_S:
                _look(status(), live, metrics)
                looked_s = time.monotonic()
    if metrics:
        _look(status(), None, metrics)


def _table() -> Live:
    from rich.live import Live

    return Live(transient=True, auto_refresh=False)


def _look(found: RolloutStatus, live: Live | None, metrics: Path | None) -> None:
    if live is not None:
        from edgeq.report.terminal.printable import Printable
        from edgeq.report.terminal.rollout import status_text

        live.update(Printable(status_text(found)), refresh=True)
    if metrics is not None:
        from edgeq.places import write_whole
        from edgeq.report.rollout_metrics import render

        write_whole(metrics, render(found).encode())


def _run(command: list[str], event: RolloutEvent) -> str:
    """Start it with an event; what went wrong, if anything."""
    try:
        done = subprocess.run(command, input=event.model_dump_json(), text=True, check=False)
    except OSError as exc:
        return f"'{command[0]}' cannot be started: {exc.strerror}"
    return f"'{command[0]}' ended with {done.returncode}" if done.returncode else ""
