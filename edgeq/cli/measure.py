"""The command that measures an artifact, as it is or as several builds of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgeq.cli.app import app
from edgeq.cli.metrics import Metrics, check_metrics, write_metrics
from edgeq.cli.options import (
    DryRun,
    Host,
    Identity,
    Json,
    TargetName,
    address_of,
    seconds_of,
)
from edgeq.cli.output import print_json, print_rendered, print_steps

if TYPE_CHECKING:
    from edgeq.device.connection import Address
    from edgeq.spec.recipe import Measure as Options


@app.command(epilog="Example: edgeq measure demo.edgeq --target local --images demo/evaluation")
def measure(
    artifact: Annotated[Path, typer.Argument(help="an artifact: folder or .edgeq file")],
    target: TargetName,
    images: Annotated[
        Path | None, typer.Option(help="a folder or list of images to run on")
    ] = None,
    recipe: Annotated[
        Path | None, typer.Option("--recipe", "-r", help="whose images are taken instead")
    ] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="[default: the target's]")] = None,
    duration: Annotated[
        float | None, typer.Option(min=0.1, max=3600, help="seconds, at least  [default: 5]")
    ] = None,
    soak: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="run for so long before, as 20m, minute by minute"),
    ] = None,
    streams: Annotated[
        list[int] | None,
        typer.Option(min=1, max=64, help="also so many streams side by side; may be repeated"),
    ] = None,
    builds: Annotated[
        int | None,
        typer.Option(metavar="K", help="build K engines there, and tell how far they lie apart"),
    ] = None,
    host: Host = None,
    identity: Identity = None,
    metrics: Metrics = None,
    as_json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Push an artifact and measure latency and memory on the device; nothing is activated.

    With --builds also the AP of each engine, where the images of the recipe are annotated.
    """
    from edgeq.cli.progress import shown
    from edgeq.spec.recipe import Measure
    from edgeq.verbs import measure as verb

    said: dict[str, Any] = {} if threads is None else {"threads": threads}
    if duration is not None:
        longest = max(Measure().max_duration_s, 2 * duration)
        said |= {"min_duration_s": duration, "max_duration_s": longest}
    if soak is not None:
        said["soak"] = seconds_of(soak, "--soak")
    if streams:
        said["streams"] = tuple(streams)
    options = Measure(**said)
    address = address_of(host, identity)
    check_metrics(metrics)
    if builds is not None:
        if recipe is None or images is not None:
            raise typer.BadParameter("goes with --recipe, not --images", param_hint="--builds")
        if streams or soak or metrics:
            what = "goes without --soak, --streams and --metrics"
            raise typer.BadParameter(what, param_hint="--builds")
        _measure_builds((artifact, target, builds, recipe), options, address, as_json, dry_run)
        return
    if dry_run:
        steps = verb.measure_steps(artifact, target, images, options, address, recipe)
        print_steps(list(steps), as_json)
        return
    with shown() as progress:
        result = verb.measure(artifact, target, images, options, progress, address, recipe)
    from edgeq.regression.figures import of_measurement
    from edgeq.report.terminal import records as show

    write_metrics(metrics, {"board": host or "local", "target": target}, of_measurement(result))
    if as_json:
        print_json(result)
    else:
        print_rendered(show.measurement_text(result))
    raise typer.Exit(4 if result.unstable else 0)


def _measure_builds(
    named: tuple[Path, str, int, Path],
    options: Options,
    address: Address,
    as_json: bool,
    dry_run: bool,
) -> None:
    from edgeq.cli.progress import shown
    from edgeq.verbs import builds as verb

    if dry_run:
        print_steps(list(verb.measure_builds_steps(*named, address)), as_json)
        return
    with shown() as progress:
        found = verb.measure_builds(*named, options, progress, address)
    if as_json:
        print_json(found)
    else:
        from edgeq.report.terminal.builds import render

        print_rendered(render(found))
    raise typer.Exit(4 if found.is_unstable else 0)
