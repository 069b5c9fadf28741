"""The commands of roll-outs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgeq.cli.app import rollout_app
from edgeq.cli.options import Json
from edgeq.cli.output import print_json, print_rendered


@rollout_app.command(epilog="Example: edgeq rollout plan fleet.yaml --strategy rollout.yaml")
def plan(
    fleet: Annotated[Path, typer.Argument(metavar="FLEET", help="fleet.yaml, or an inventory")],
    strategy: Annotated[
        Path | None,
        typer.Option("--strategy", "-s", metavar="FILE", help="canary, waves and what stops it"),
    ] = None,
    on: Annotated[
        str, typer.Option(metavar="EXPRESSION", help="devices of these labels only")
    ] = "all",
    as_json: Json = False,
) -> None:
    """Say who of a fleet would go when, and which faults the strategy finds; touches nothing."""
    from edgeq.verbs.rollout import plan_rollout

    found = plan_rollout(fleet, strategy, on)
    if as_json:
        print_json(found)
    else:
        from edgeq.report.terminal.rollout import render

        print_rendered(render(found))
