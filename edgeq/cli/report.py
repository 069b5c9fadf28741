"""The command that writes a run, or a roll-out, as a page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from edgeq.cli.app import app
from edgeq.cli.options import Json, Store
from edgeq.cli.output import say


@app.command(epilog="Example: edgeq report demo/report.json -o demo/report.html")
def report(
    output: Annotated[Path, typer.Option("--output", "-o", help="the page, one HTML file")],
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="RUN",
            help="a run's id, or how it begins, or its report.json; others beside",
        ),
    ] = None,
    fleet: Annotated[
        str | None, typer.Option(metavar="ROLLOUT", help="a roll-out instead, or how its id begins")
    ] = None,
    store: Store = None,
    as_json: Json = False,
) -> None:
    """Write a run as a page to look at, beside others or all of its recipe; or a roll-out.

    What was measured, where the accuracy goes, the images that differ most, and all to take away;
    in one file that needs no network.
    """
    if bool(runs) == bool(fleet):
        raise typer.BadParameter("name runs, or one roll-out with --fleet", param_hint="RUN...")
    if fleet:
        from edgeq.report.html.rollout.page import write_rollout_html

        write_rollout_html(fleet, output, store)
    else:
        from edgeq.report.html.page import write_html

        write_html(runs or [], output, store)
    say(json.dumps({"page": str(output)}) if as_json else f"page: {output}")
