"""Commands that build: deploy, build."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from edgeq.cli.app import app
from edgeq.cli.metrics import Metrics, check_metrics, write_metrics
from edgeq.cli.options import (
    DryRun,
    Host,
    Html,
    Identity,
    Json,
    Recipe,
    Sign,
    Store,
    TargetName,
    address_of,
    check_html,
)
from edgeq.cli.output import print_json, print_rendered, print_steps, say


@app.command(epilog="Example: edgeq deploy demo/recipe.yaml --target local")
def deploy(
    recipe: Recipe,
    target: TargetName,
    report: Annotated[
        Path | None,
        typer.Option(help="where report.json goes  [default: beside the recipe]"),
    ] = None,
    html: Html = None,
    store: Store = None,
    host: Host = None,
    identity: Identity = None,
    sign: Sign = None,
    metrics: Metrics = None,
    as_json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Build, push, verify, measure, judge; make it the current release if all gates pass."""
    from edgeq.cli.progress import shown
    from edgeq.verbs import deploy as verb

    address = address_of(host, identity)
    path = report or recipe.parent / "report.json"
    check_metrics(metrics)
    check_html(html)
    if dry_run:
        print_steps(verb.deploy_steps(recipe, target, path, address, sign), as_json)
        return
    with shown() as progress:
        result = verb.deploy(recipe, target, store, progress, path, address, sign)
    if as_json:
        print_json(result)
    else:
        from edgeq.report.terminal.report import render

        print_rendered(render(result))
        say(f"report: {path}, run {result.id}")
    from edgeq.regression.figures import of_report

    labels = {"board": result.device, "target": result.target, "recipe": result.recipe}
    write_metrics(metrics, labels, of_report(result))
    if html is not None:
        from edgeq.report.html.page import write_html

        write_html([result.id], html, store)
        if not as_json:
            say(f"page: {html}")
    if sys.stdout.isatty() and not as_json:
        from edgeq.report.next_step import next_step

        say(f"next: {next_step(result, str(recipe), target, host)}")
    raise typer.Exit(result.exit_code)


@app.command(epilog="Example: edgeq build demo/recipe.yaml --target local -o demo.edgeq")
def build(
    recipe: Recipe,
    target: TargetName,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="a new folder, or one file ending in .edgeq"),
    ] = None,
    sign: Sign = None,
    host: Host = None,
    identity: Identity = None,
    as_json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Calibrate, plan and write the int8 artifact; nothing is sent to a device.

    --host is for targets that leave something to be probed. --sign signs the copy that -o names.
    """
    from edgeq.cli.progress import shown
    from edgeq.verbs import build as verb

    address = address_of(host, identity)
    if dry_run:
        print_steps(verb.build_steps(recipe, target, output, address, sign), as_json)
        return
    with shown() as progress:
        built = verb.build(recipe, target, output, progress, address, sign)
    from edgeq.report.terminal import records as show

    if as_json:
        say(json.dumps(show.build_record(built, output)))
    else:
        print_rendered(show.build_text(built, output))
