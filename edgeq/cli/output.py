"""What commands print: a record as JSON or for a person, and the steps of a dry run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from pydantic import BaseModel

    from edgeq.records.examination import Examination


def say(text: str, err: bool = False) -> None:
    """A line or several; JSON stays what it is, as harm is written out there as JSON has it."""
    from edgeq.report.terminal.printable import printable

    typer.echo(printable(text), err=err)


def say_problem(text: str) -> None:
    """An error; lines after its first stand under it, so that none can pass for one of edgeq's."""
    say(f"error: {text}".replace("\n", "\n  "), err=True)


def print_examination(result: Examination, as_json: bool) -> None:
    """What a board is, and the exit code that goes with it."""
    from edgeq.report.terminal import records as show

    if as_json:
        print_json(result)
    else:
        print_rendered(show.examination_text(result))
    raise typer.Exit(0 if result.ready else 3)


def print_steps(steps: list[str], as_json: bool) -> None:
    """What a dry run would have done."""
    if as_json:
        say(json.dumps({"steps": steps}))
    else:
        for number, step in enumerate(steps, 1):
            say(f"{number}. {step}")
        say("nothing was done")


def print_json(record: BaseModel) -> None:
    """A record on one line."""
    say(record.model_dump_json())


def print_rendered(renderable: Any) -> None:
    """What a person reads, as wide as there is room for it."""
    from rich.console import Console

    from edgeq.report.terminal.printable import Printable

    # A file or a pipe has no width; paths cut at 80 columns are of no use to who reads them.
    # Brackets are what they are: 'edgeq[litert]' is no markup.
    console = Console(markup=False)
    wide = console if console.is_terminal else Console(width=max(console.width, 120), markup=False)
    wide.print(Printable(renderable))
