"""The command that writes a run as a page."""

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
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN...", help="a run's id, or how it begins, or its report.json; others beside"
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="the page, one HTML file")],
    store: Store = None,
    as_json: Json = False,
) -> None:
    """Write the first run as a page to look at, beside the others or all of its recipe.

    What was measured, where the accuracy goes, the images that differ most, and all to take away;
    in one file that needs no network.
    """
    from edgeq.report.html.page import write_html

    write_html(runs, output, store)
    say(json.dumps({"page": str(output)}) if as_json else f"page: {output}")
