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
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="RUN",
            help="a run's id, or how it begins, or its report.json; others beside",
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="the page, one HTML file")
    ] = None,
    fleet: Annotated[
        str | None, typer.Option(metavar="ROLLOUT", help="a roll-out instead, or how its id begins")
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
    """Write a run as a page to look at, beside others or all of its recipe; or a roll-out.

    What was measured, where the accuracy goes, the images that differ most, and all to take away;
    in one file that needs no network.
    """
    if bool(runs) == bool(fleet):
        raise typer.BadParameter("name runs, or one roll-out with --fleet", param_hint="RUN...")
    if output is None and (mlflow is None or fleet):
        wanted = "say where the page goes" if fleet else "say where the page goes, or --mlflow"
        raise typer.BadParameter(wanted, param_hint="--output")
    if fleet and mlflow is not None:
        raise typer.BadParameter("logs runs, not a roll-out", param_hint="--mlflow")
    made: dict[str, str | list[str]] = {}
    if output is not None:
        _write_page(runs, fleet, output, store)
        made["page"] = str(output)
    if mlflow is not None:
        from edgeq.report.mlflow import log_run
        from edgeq.store import open_store
        from edgeq.verbs.dossier import named_runs

        found = named_runs(runs or [], open_store(store))
        made["mlflow"] = [log_run(one, mlflow, experiment) for one in found]
    if as_json:
        say(json.dumps(made))
        return
    for name, value in made.items():
        say(f"{name}: {value if isinstance(value, str) else ', '.join(value)}")


def _write_page(runs: list[str] | None, fleet: str | None, output: Path, store: str | None) -> None:
    if fleet:
        from edgeq.report.html.rollout.page import write_rollout_html

        write_rollout_html(fleet, output, store)
    else:
        from edgeq.report.html.page import write_html

        write_html(runs or [], output, store)
