"""The command line's tree of commands; each command is in the file of its group."""

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer(
    name="edgeq",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Put a trained instance-segmentation model, quantized to int8, on the board where it "
    "must run, and measure there what it costs and what it loses.",
    epilog="Exit codes: 0 all gates passed, 1 a gate failed, 2 the input is wrong, 3 a device "
    "could not be reached or refused, 4 a measurement was unstable, 5 a bug of edgeq.",
)
recipe_app = typer.Typer(no_args_is_help=True, help="Check recipes, or print their JSON Schema.")
targets_app = typer.Typer(
    no_args_is_help=True, help="The boards edgeq knows: list and show them, check one, set one up."
)
cache_app = typer.Typer(
    no_args_is_help=True, help="What edgeq keeps to do nothing twice: list it, clear it."
)
baseline_app = typer.Typer(
    no_args_is_help=True, help="Runs with a name, which others are compared with."
)
fleet_app = typer.Typer(
    no_args_is_help=True, help="Many boards: list them, check them, run a command on each."
)
rollout_app = typer.Typer(
    no_args_is_help=True, help="A release for a fleet, in waves: who goes when, what is found."
)
fleet_run_app = typer.Typer(
    no_args_is_help=True, help="What works on one device, on every one that --on means."
)
app.add_typer(recipe_app, name="recipe")
app.add_typer(targets_app, name="targets")
app.add_typer(cache_app, name="cache")
app.add_typer(baseline_app, name="baseline")
app.add_typer(fleet_app, name="fleet")
app.add_typer(rollout_app, name="rollout")
fleet_app.add_typer(fleet_run_app, name="run")


def _version(wanted: bool) -> None:
    if wanted:
        from edgeq.versions import version

        typer.echo(f"edgeq {version()}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_version, help="say which this is")
    ] = False,
) -> None:
    """What holds for edgeq itself; `app` has the help."""
