"""Commands about many devices: fleet list, check, and run with what works on one of them."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgeq.cli.app import fleet_app, fleet_run_app
from edgeq.cli.options import DryRun, Forth, Json
from edgeq.cli.output import print_json, print_rendered, say

if TYPE_CHECKING:
    from edgeq.verbs.fleet import Act

FleetPath = Annotated[
    Path, typer.Argument(metavar="FLEET", help="fleet.yaml, or an inventory of Ansible")
]
_ON_HELP = "which devices: a label expression such as 'site=barn7 and not gpu'"
Some = Annotated[str, typer.Option("--on", metavar="EXPRESSION", help=_ON_HELP)]
AtOnce = Annotated[int, typer.Option(min=1, max=256, help="how many devices side by side")]


@fleet_app.command("list", epilog="Example: edgeq fleet list fleet.yaml --on site=barn7")
def fleet_list(fleet: FleetPath, on: Some = "all", as_json: Json = False) -> None:
    """The devices of a fleet, with their labels and groups."""
    from edgeq.report.terminal import fleet as show
    from edgeq.spec.fleet.file import load

    found = load(fleet)
    devices = found.select(on)
    if as_json:
        say(json.dumps(show.list_record(found, on, devices)))
    else:
        print_rendered(show.list_text(found, devices))


@fleet_app.command("check", epilog="Example: edgeq fleet check fleet.yaml --on site=barn7")
def fleet_check(
    fleet: FleetPath, on: Some = "all", at_once: AtOnce = 32, as_json: Json = False
) -> None:
    """Can each device be reached, can it work, what runs there; nothing on them is touched."""
    from edgeq.report.terminal import fleet as show
    from edgeq.verbs.fleet_check import check_fleet

    found = check_fleet(fleet, on, at_once)
    if as_json:
        print_json(found)
    else:
        print_rendered(show.check_text(found))
    raise typer.Exit(found.exit_code)


@fleet_run_app.command("status", epilog="Example: edgeq fleet run status fleet.yaml --on all")
def run_status(fleet: FleetPath, on: Some, at_once: AtOnce = 32, as_json: Json = False) -> None:
    """Releases on each device, which is current, disk use, who is at work there."""
    from edgeq.verbs.releases import status

    _run(status, fleet, on, at_once, as_json)


@fleet_run_app.command(
    "push", epilog="Example: edgeq fleet run push fleet.yaml demo.edgeq --on canary"
)
def run_push(
    fleet: FleetPath,
    artifact: Annotated[Path, typer.Argument(help="an artifact: folder or .edgeq file")],
    on: Some,
    activate: Annotated[
        bool, typer.Option("--activate", help="make it the current release, without any gate")
    ] = False,
    at_once: AtOnce = 32,
    as_json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Send an artifact to each device and verify it there."""
    from edgeq.artifact import archive
    from edgeq.verbs import push as verb

    opened = archive.read(artifact)
    act = verb.push_steps if dry_run else verb.push
    _run(partial(act, opened, activate=activate), fleet, on, at_once, as_json)


@fleet_run_app.command(
    "rollback", epilog="Example: edgeq fleet run rollback fleet.yaml --on canary"
)
def run_rollback(
    fleet: FleetPath,
    on: Some,
    forth: Forth = False,
    at_once: AtOnce = 32,
    as_json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Make the previous release of each device the current one."""
    from edgeq.verbs import releases

    act = releases.rollback_steps if dry_run else releases.rollback
    _run(partial(act, forth=forth), fleet, on, at_once, as_json)


@fleet_run_app.command("setup", epilog="Example: edgeq fleet run setup fleet.yaml --on site=barn7")
def run_setup(
    fleet: FleetPath,
    on: Some,
    at_once: AtOnce = 8,
    as_json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Put the engine on each device: it needs no internet, no root and no compiler for that."""
    from edgeq.verbs import boards

    _run(boards.setup_steps if dry_run else boards.setup, fleet, on, at_once, as_json)


def _run(act: Act[Any], fleet: Path, on: str, at_once: int, as_json: bool) -> None:
    from edgeq.report.terminal import fleet as show
    from edgeq.verbs.fleet import run_on_fleet

    outcomes = run_on_fleet(fleet, act, on, at_once)
    if as_json:
        say(json.dumps(show.outcomes_record(str(fleet), on, outcomes)))
    else:
        print_rendered(show.outcomes_text(outcomes))
    raise typer.Exit(max(outcome.exit_code for outcome in outcomes))
