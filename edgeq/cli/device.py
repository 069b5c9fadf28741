"""Commands about a device and its releases: push, rollback, status, targets check and setup."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgeq.cli.app import app, targets_app
from edgeq.cli.options import (
    DryRun,
    Forth,
    Host,
    Identity,
    Json,
    TargetArgument,
    TargetName,
    address_of,
)
from edgeq.cli.output import print_examination, print_json, print_rendered, print_steps, say


@app.command(epilog="Example: edgeq push demo.edgeq --target arm-cpu-ort --host edge@barn7")
def push(
    artifact: Annotated[Path, typer.Argument(help="an artifact: folder or .edgeq file")],
    target: TargetName,
    host: Host = None,
    identity: Identity = None,
    activate: Annotated[
        bool, typer.Option("--activate", help="make it the current release, without any gate")
    ] = False,
    as_json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Send an artifact to a device and verify it there; what is there already is not sent."""
    from edgeq.cli.progress import shown
    from edgeq.verbs import push as verb

    if dry_run:
        print_steps(
            verb.push_steps(artifact, target, address_of(host, identity), activate), as_json
        )
        return
    with shown() as progress:
        done = verb.push(artifact, target, address_of(host, identity), activate, progress)
    from edgeq.report.terminal import records as show

    if as_json:
        print_json(done)
    else:
        say(show.pushed_text(done))


@app.command(epilog="Example: edgeq rollback --target arm-cpu-ort --host edge@barn7")
def rollback(
    target: TargetName,
    host: Host = None,
    identity: Identity = None,
    forth: Forth = False,
    as_json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Make the previous release of a device the current one; once more does not undo it."""
    from edgeq.verbs import releases

    address = address_of(host, identity)
    if dry_run:
        print_steps(releases.rollback_steps(target, address, forth), as_json)
        return
    done = releases.rollback(target, address, forth)
    from edgeq.report.terminal import records as show

    if as_json:
        print_json(done)
    else:
        print_rendered(show.status_text(done))


@app.command(epilog="Example: edgeq status --target arm-cpu-ort --host edge@barn7")
def status(
    target: TargetName, host: Host = None, identity: Identity = None, as_json: Json = False
) -> None:
    """Releases on a device, which is current, disk use, who is at work there."""
    from edgeq.report.terminal import records as show
    from edgeq.verbs import releases

    found = releases.status(target, address_of(host, identity))
    if as_json:
        print_json(found)
    else:
        print_rendered(show.status_text(found))


@targets_app.command("check", epilog="Example: edgeq targets check raspberry-pi-5 --host pi@barn7")
def targets_check(
    name: TargetArgument,
    host: Host = None,
    identity: Identity = None,
    as_json: Json = False,
) -> None:
    """What a board is and what is missing there; nothing on it is touched. 3 if it is not ready."""
    from edgeq.verbs import boards

    print_examination(boards.check(name, address_of(host, identity)), as_json)


@targets_app.command("setup", epilog="Example: edgeq targets setup raspberry-pi-5 --host pi@barn7")
def targets_setup(
    name: TargetArgument,
    host: Host = None,
    identity: Identity = None,
    as_json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Put the engine on a board: it needs no internet, no root and no compiler for that."""
    from edgeq.cli.progress import shown
    from edgeq.verbs import boards

    address = address_of(host, identity)
    if dry_run:
        print_steps(boards.setup_steps(name, address), as_json)
        return
    with shown() as progress:
        result = boards.setup(name, address, progress)
    print_examination(result, as_json)
