"""The command that shows how figures went over time."""

from __future__ import annotations

from typing import Annotated

import typer

from edgeq.cli.app import app
from edgeq.cli.options import Json, Recipe, Store, TargetName
from edgeq.cli.output import print_json, print_rendered


@app.command(epilog="Example: edgeq history demo/recipe.yaml --target local")
def history(
    recipe: Recipe,
    target: TargetName,
    device: Annotated[
        str | None, typer.Option(help="one board of several, as reports name it")
    ] = None,
    store: Store = None,
    as_json: Json = False,
) -> None:
    """How the figures of a recipe went on a board, where they changed, and what changed there."""
    from edgeq.verbs import history as verb

    found = verb.history(recipe, target, device, store)
    if as_json:
        print_json(found)
    else:
        from edgeq.report.terminal.history import render

        print_rendered(render(found))
