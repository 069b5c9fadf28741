"""The commands of roll-outs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgeq.cli.app import rollout_app
from edgeq.cli.options import DryRun, Html, Json, Recipe, Sign, Store, check_html
from edgeq.cli.output import print_json, print_rendered, say

if TYPE_CHECKING:
    from edgeq.records.rollout import RolloutStatus
    from edgeq.rollout.verbs import Rollout

FleetPath = Annotated[Path, typer.Argument(metavar="FLEET", help="fleet.yaml, or an inventory")]
FleetOption = Annotated[
    Path, typer.Option("--fleet", "-f", metavar="FLEET", help="fleet.yaml, or an inventory")
]
StrategyPath = Annotated[
    Path | None,
    typer.Option("--strategy", "-s", metavar="FILE", help="canary, waves and what stops it"),
]
Some = Annotated[str, typer.Option("--on", metavar="EXPRESSION", help="devices of these labels")]
Id = Annotated[str, typer.Argument(metavar="ID", help="of the roll-out, or its beginning")]


def _program(text: str | None) -> str | None:
    """Refuse what is no command before anything has begun."""
    import shlex

    try:
        is_named = text is None or bool(shlex.split(text))
    except ValueError as exc:
        raise typer.BadParameter(f"{exc}") from exc
    if not is_named:
        raise typer.BadParameter("is empty; name a program")
    return text


OnEvent = Annotated[
    str | None,
    typer.Option(
        metavar="COMMAND",
        callback=_program,
        help="started at each event, with it as JSON on its standard input",
    ),
]
Metrics = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="devices by state as OpenMetrics, kept up to date"),
]


@rollout_app.command(epilog="Example: edgeq rollout plan fleet.yaml --strategy rollout.yaml")
def plan(
    fleet: FleetPath, strategy: StrategyPath = None, on: Some = "all", as_json: Json = False
) -> None:
    """Say who of a fleet would go when, and which faults the strategy finds; touches nothing."""
    from edgeq.rollout.plan import plan_rollout

    found = plan_rollout(fleet, strategy, on)
    if as_json:
        print_json(found)
    else:
        from edgeq.report.terminal.rollout import render

        print_rendered(render(found))


@rollout_app.command(epilog="Example: edgeq rollout start recipe.yaml --fleet fleet.yaml")
def start(
    recipe: Recipe,
    fleet: FleetOption,
    strategy: StrategyPath = None,
    on: Some = "all",
    sign: Sign = None,
    allow_downgrade: Annotated[
        bool,
        typer.Option(
            "--allow-downgrade",
            help="a signed release may replace one that the store saw later",
        ),
    ] = False,
    store: Store = None,
    on_event: OnEvent = None,
    metrics: Metrics = None,
    html: Html = None,
    as_json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Deploy to a fleet in waves; it stops itself where the release does worse than before."""
    from edgeq.rollout import verbs

    check_html(html)
    if dry_run:
        verbs.check_rollout(recipe, fleet, strategy, on, sign)
        plan(fleet, strategy, on, as_json)
        return
    _follow(
        verbs.start_rollout(recipe, fleet, strategy, on, store, sign, allow_downgrade),
        store,
        on_event,
        metrics,
        html,
        as_json,
    )


@rollout_app.command(epilog="Example: edgeq rollout resume 3f2a")
def resume(
    rollout: Id,
    store: Store = None,
    on_event: OnEvent = None,
    metrics: Metrics = None,
    html: Html = None,
    as_json: Json = False,
) -> None:
    """Go on with one that is paused, or whose controller is gone."""
    from edgeq.rollout.verbs import resume_rollout

    check_html(html)
    _follow(resume_rollout(rollout, store), store, on_event, metrics, html, as_json)


@rollout_app.command(epilog="Example: edgeq rollout retry 3f2a")
def retry(
    rollout: Id,
    store: Store = None,
    on_event: OnEvent = None,
    metrics: Metrics = None,
    html: Html = None,
    as_json: Json = False,
) -> None:
    """Begin the devices anew that failed, were put off or went back."""
    from edgeq.rollout.verbs import retry_rollout

    check_html(html)
    _follow(retry_rollout(rollout, store), store, on_event, metrics, html, as_json)


@rollout_app.command(epilog="Example: edgeq rollout rollback 3f2a")
def rollback(
    rollout: Id,
    store: Store = None,
    on_event: OnEvent = None,
    metrics: Metrics = None,
    html: Html = None,
    as_json: Json = False,
) -> None:
    """Give every device that has the release the one before it back."""
    from edgeq.rollout.verbs import roll_back_rollout

    check_html(html)
    _follow(roll_back_rollout(rollout, store), store, on_event, metrics, html, as_json)


@rollout_app.command(epilog="Example: edgeq rollout pause 3f2a")
def pause(rollout: Id, store: Store = None, as_json: Json = False) -> None:
    """Have no more devices begun; those at work are finished."""
    from edgeq.rollout.verbs import pause_rollout

    _print(pause_rollout(rollout, store), as_json)


@rollout_app.command(epilog="Example: edgeq rollout abort 3f2a")
def abort(rollout: Id, store: Store = None, as_json: Json = False) -> None:
    """End it where it stands; devices keep what they have."""
    from edgeq.rollout.verbs import abort_rollout

    _print(abort_rollout(rollout, store), as_json)


@rollout_app.command(epilog="Example: edgeq rollout approve 3f2a")
def approve(rollout: Id, store: Store = None, as_json: Json = False) -> None:
    """Let the wave begin that waits for it."""
    from edgeq.rollout.verbs import approve_rollout

    _print(approve_rollout(rollout, store), as_json)


@rollout_app.command(epilog="Example: edgeq rollout status 3f2a --watch")
def status(
    rollout: Id,
    store: Store = None,
    watch: Annotated[bool, typer.Option("--watch", help="for as long as it is worked on")] = False,
    html: Html = None,
    as_json: Json = False,
) -> None:
    """How one stands: devices by wave and state, who failed and why."""
    from edgeq.rollout.verbs import rollout_status

    check_html(html)
    if watch:
        _watch(rollout, store)
    found = rollout_status(rollout, store)
    _print(found, as_json)
    if html is not None:
        _write(found.id, html, store, as_json)
    raise typer.Exit(found.exit_code)


@rollout_app.command("list", epilog="Example: edgeq rollout list")
def list_(store: Store = None, as_json: Json = False) -> None:
    """The newest roll-outs first."""
    from edgeq.rollout.verbs import list_rollouts

    found = list_rollouts(store)
    if as_json:
        for one in found:
            print_json(one)
    else:
        from edgeq.report.terminal.rollout import list_text

        print_rendered(list_text(found))


def _print(found: RolloutStatus, as_json: bool) -> None:
    if as_json:
        print_json(found)
    else:
        from edgeq.report.terminal.rollout import status_text

        print_rendered(status_text(found))


def _follow(
    rollout: Rollout,
    store: str | None,
    on_event: str | None,
    metrics: Path | None,
    html: Path | None,
    as_json: bool,
) -> None:
    """Work on it, and tell what happens."""
    from edgeq.cli.events import told
    from edgeq.rollout.verbs import rollout_status

    if not as_json:
        say(f"roll-out {rollout.id}")
    told(rollout, lambda: rollout_status(rollout.id, store), on_event, metrics, as_json)
    found = rollout_status(rollout.id, store)
    if not as_json:
        _print(found, as_json)
    if html is not None:
        _write(rollout.id, html, store, as_json)
    raise typer.Exit(found.exit_code)


def _write(rollout: str, html: Path, store: str | None, as_json: bool) -> None:
    """Its page."""
    from edgeq.report.html.rollout.page import write_rollout_html

    write_rollout_html(rollout, html, store)
    if not as_json:
        say(f"page: {html}")


def _watch(rollout: str, store: str | None) -> None:
    import sys
    import time

    from edgeq.rollout.verbs import rollout_status

    if not sys.stdout.isatty():
        while rollout_status(rollout, store).is_worked_on:
            time.sleep(1.0)
        return
    from rich.live import Live

    from edgeq.report.terminal.printable import Printable
    from edgeq.report.terminal.rollout import status_text

    with Live(transient=True, auto_refresh=False) as live:
        while (found := rollout_status(rollout, store)).is_worked_on:
            live.update(Printable(status_text(found)), refresh=True)
            time.sleep(1.0)
