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
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="the page, one HTML file")
    ] = None,
    mlflow: Annotated[
        str | None, typer.Option(metavar="URI", help="log the runs to MLflow, each once")
    ] = None,
    experiment: Annotated[
        str | None, typer.Option(help="of MLflow  [default: the recipe's name]")
    ] = None,
    store: Store = None,
    as_json: Json = False,
) -> None:
    """Write the first run as a page to look at, beside the others or all of its recipe.

    What was measured, where the accuracy goes, the images that differ most, and all to take away;
    in one file that needs no network.
    """
    if output is None and mlflow is None:
        raise typer.BadParameter("say where the page goes, or --mlflow", param_hint="--output")
    made: dict[str, str | list[str]] = {}
    if output is not None:
        from edgeq.report.html.page import write_html

        write_html(runs, output, store)
        made["page"] = str(output)
    if mlflow is not None:
        from edgeq.report.mlflow import log_run
        from edgeq.store import open_store
        from edgeq.verbs.dossier import named_runs

        found = named_runs(runs, open_store(store))
        made["mlflow"] = [log_run(one, mlflow, experiment) for one in found]
    if as_json:
        say(json.dumps(made))
        return
    for name, value in made.items():
        say(f"{name}: {value if isinstance(value, str) else ', '.join(value)}")
