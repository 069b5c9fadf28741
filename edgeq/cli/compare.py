"""The command that compares two artifacts on one device."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgeq.cli.app import app
from edgeq.cli.options import DryRun, Host, Identity, Json, TargetName, address_of, seconds_of
from edgeq.cli.output import print_json, print_rendered, print_steps

SIDE = "an artifact: folder or .edgeq file; or current, previous: the board's releases"


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
    host: Host = None,
    identity: Identity = None,
    as_json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Have A and B take turns on the device; say of each metric if B is better, worse or the same.

    Exit code 1 where B is worse in something, 4 where something cannot be told.
    """
    from edgeq.cli.progress import shown
    from edgeq.spec import recipe as recipes
    from edgeq.verbs import compare as verb

    address = address_of(host, identity)
    read = None if recipe is None else recipes.load(recipe)
    seconds = seconds_of(duration, "--duration")
    given = {"images": images, "duration_s": seconds, "reloads": reloads}
    changes = {name: value for name, value in given.items() if value is not None}
    options = (read.compare if read else recipes.Compare()).model_copy(update=changes)
    if dry_run:
        steps = verb.compare_steps(a, b, target, recipe, options, address)
        print_steps(steps, as_json)
        return
    with shown() as progress:
        found = verb.compare(a, b, target, recipe, options, progress, address)
    if as_json:
        print_json(found)
    else:
        from edgeq.report.terminal.comparison import render

        print_rendered(render(found))
    raise typer.Exit(found.exit_code)
