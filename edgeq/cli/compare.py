"""The command that compares two artifacts on one device."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from edgeq.cli.app import app
from edgeq.cli.github import append, summary_file
from edgeq.cli.options import (
    DryRun,
    Html,
    Identity,
    Json,
    Store,
    TargetName,
    address_of,
    check_html,
    seconds_of,
)
from edgeq.cli.output import (
    print_json,
    print_rendered,
    print_steps,
    say,
    say_problem,
)

SIDE = "an artifact: folder or .edgeq file; current, previous: releases there; or a baseline"


@app.command(
    epilog="Example: edgeq compare current new.edgeq --target local --recipe demo/recipe.yaml"
)
def compare(
    a: Annotated[str, typer.Argument(metavar="A", help=SIDE)],
    b: Annotated[str, typer.Argument(metavar="B", help="the same; is it better or worse than A?")],
    target: TargetName,
    recipe: Annotated[
        Path | None,
        typer.Option("--recipe", "-r", help="whose images, annotations and limits are taken"),
    ] = None,
    images: Annotated[
        Path | None, typer.Option(help="a folder or list of images to run on instead")
    ] = None,
    duration: Annotated[
        str | None, typer.Option(metavar="TIME", help="as 60s or 10m  [default: the recipe's, 60s]")
    ] = None,
    reloads: Annotated[
        int | None, typer.Option(min=3, max=100, help="[default: the recipe's, 8]")
    ] = None,
    junit: Annotated[
        Path | None, typer.Option(metavar="FILE", help="also as JUnit's XML, a test a metric")
    ] = None,
    html: Html = None,
    github_summary: Annotated[
        bool, typer.Option("--github-summary", help="append it to $GITHUB_STEP_SUMMARY")
    ] = False,
    store: Store = None,
    host: Annotated[
        list[str] | None,
        typer.Option(
            "--host", "-H", metavar="[USER@]HOST", help="the board; said again, each of several"
        ),
    ] = None,
    identity: Identity = None,
    as_json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Have A and B take turns on the device; say of each metric if B is better, worse or the same.

    Exit code 1 where B is worse in something, 3 where a board failed, 4 where something cannot be
    told.
    """
    from edgeq.cli.progress import shown
    from edgeq.errors import DeviceError
    from edgeq.records.comparison import Comparison
    from edgeq.records.files import check_writable, write_text
    from edgeq.spec.recipe import Compare
    from edgeq.store import open_store
    from edgeq.verbs import compare as verb
    from edgeq.verbs.baseline import look_up

    hosts: list[str | None] = [*host] if host else [None]
    addresses = [address_of(one, identity) for one in hosts]
    seconds = seconds_of(duration, "--duration")
    given = {"images": images, "duration_s": seconds, "reloads": reloads}
    changes = {name: value for name, value in given.items() if value is not None}
    options = Compare().model_copy(update=changes)
    shelf = open_store(store)
    summary = summary_file() if github_summary else None
    check_html(html)
    if junit is not None:
        check_writable(junit)
    sides = (a, b) if store is None else (look_up(a, store), look_up(b, store))
    if dry_run:
        said = [
            step
            for address in addresses
            for step in verb.compare_steps(*sides, target, recipe, options, address)
        ]
        print_steps(said, as_json)
        return
    with shown() as progress:
        boards = verb.compare_boards(*sides, target, addresses, recipe, options, progress)
    failed = [board for board in boards if isinstance(board, DeviceError)]
    if len(boards) == 1 and failed:
        raise failed[0]
    boards = [
        verb.with_agreement(board, shelf) if isinstance(board, Comparison) else board
        for board in boards
    ]
    compared = [board for board in boards if isinstance(board, Comparison)]
    for found in compared:
        shelf.add_comparison(found)
    if junit is not None:
        from edgeq.report import junit as xml

        write_text(xml.render(*boards), junit)
    if summary is not None:
        from edgeq.report import markdown

        append("\n".join(map(markdown.render, boards)), summary)
    for found in compared:
        if as_json:
            print_json(found)
        else:
            from edgeq.report.terminal.comparison import render

            print_rendered(render(found))
    for error in failed:
        if as_json:
            told = {"where": error.where, "what": error.what, "remedy": error.remedy}
            say(json.dumps({"problems": [told]}))
        say_problem(str(error))
    if html is not None and compared:
        from edgeq.report.html.comparison.page import write_comparison_html

        write_comparison_html(boards, html)
        if not as_json:
            say(f"page: {html}")
    codes = {*(board.exit_code for board in boards)}
    raise typer.Exit(next((code for code in (1, DeviceError.exit_code, 4) if code in codes), 0))
