"""Commands that look for a better recipe: tune, study, sensitivity."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgeq.cli.app import app
from edgeq.cli.options import (
    Host,
    Html,
    Identity,
    Json,
    Recipe,
    Store,
    TargetName,
    address_of,
    check_html,
    seconds_of,
)
from edgeq.cli.output import print_json, print_rendered, say


@app.command(epilog="Example: edgeq tune demo/recipe.yaml --target local -o demo/tuned.yaml")
def tune(
    recipe: Recipe,
    target: TargetName,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="the tuned recipe, beside the given one")
    ],
    budget: Annotated[
        str, typer.Option(metavar="30m", help="how long to look; what was tried is kept")
    ] = "30m",
    max_drop: Annotated[
        str, typer.Option(metavar="0.003|1%", help="of AP: absolute, or of the float model's")
    ] = "0.003",
    max_box_drop: Annotated[
        str | None, typer.Option(metavar="0.003|1%", help="of box AP  [default: as --max-drop]")
    ] = None,
    min_agreement: Annotated[
        float | None,
        typer.Option(
            min=0, max=1, help="where AP cannot tell  [default: as the gate 'agreement', or 0.9]"
        ),
    ] = None,
    adaround: Annotated[
        bool, typer.Option("--adaround", help="also choose how each weight is rounded: minutes")
    ] = False,
    reconstruct: Annotated[
        bool,
        typer.Option("--reconstruct", help="also train blocks towards the float model: minutes"),
    ] = False,
    max_latency: Annotated[
        float | None,
        typer.Option(
            min=0, metavar="1.05", help="times that of the recipe as it is  [default: no limit]"
        ),
    ] = None,
    html: Html = None,
    store: Store = None,
    host: Host = None,
    identity: Identity = None,
    as_json: Json = False,
) -> None:
    """Find a recipe that keeps the accuracy: calibrator, repairs, the fewest layers in float."""
    from edgeq.cli.progress import shown
    from edgeq.report.terminal.tuning import render_tuning
    from edgeq.tuning.contract import parse_limit
    from edgeq.tuning.tune import Wanted
    from edgeq.tuning.tune import tune as run

    box = max_drop if max_box_drop is None else max_box_drop
    limits = parse_limit(max_drop), parse_limit(box, "--max-box-drop")
    check_html(html)
    wanted = Wanted(*limits, adaround, seconds_of(budget), min_agreement, reconstruct, max_latency)
    with shown() as progress:
        result = run(recipe, target, output, wanted, store, progress, address_of(host, identity))
    if as_json:
        print_json(result)
    else:
        print_rendered(render_tuning(result))
    if html is not None:
        from edgeq.report.html.tuning.page import write_tuning_html

        write_tuning_html(result, html)
        if not as_json:
            say(f"page: {html}")
    raise typer.Exit(result.exit_code)


@app.command(epilog="Example: edgeq study demo/recipe.yaml --target local -o demo/study")
def study(
    recipe: Recipe,
    target: TargetName,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="a folder for study.md, study.json and pictures")
    ],
    html: Html = None,
    store: Store = None,
    host: Host = None,
    identity: Identity = None,
    as_json: Json = False,
) -> None:
    """Weights by granularity, activations by calibrator, partial quantization: as tables."""
    from edgeq.cli.progress import shown
    from edgeq.report.pictures import study as pictures
    from edgeq.report.terminal.study import render_study
    from edgeq.tuning.study import study as run

    pictures.check(output)
    check_html(html)
    with shown() as progress:
        result = run(recipe, target, store, progress, address_of(host, identity))
    pictures.write(result, output)
    if as_json:
        print_json(result)
    else:
        print_rendered(render_study(result))
        say(f"written to {output}")
    if html is not None:
        from edgeq.report.html.study.page import write_study_html

        write_study_html(result, html)
        if not as_json:
            say(f"page: {html}")


@app.command(epilog="Example: edgeq sensitivity demo/recipe.yaml --target local --chart bars.png")
def sensitivity(
    recipe: Recipe,
    target: TargetName,
    images: Annotated[
        int, typer.Option(min=1, help="how many calibration images, spread evenly")
    ] = 32,
    top: Annotated[int, typer.Option(min=0, help="so many of the worst are scored by AP")] = 10,
    leave_one_out: Annotated[
        bool, typer.Option("--leave-one-out", help="also everything quantized but one layer")
    ] = False,
    budget: Annotated[
        str | None, typer.Option(metavar="10m", help="stop after s, m or h; a rerun goes on")
    ] = None,
    chart: Annotated[
        Path | None, typer.Option(metavar="FILE.png", help="also a bar chart: .png, .svg or .pdf")
    ] = None,
    host: Host = None,
    identity: Identity = None,
    as_json: Json = False,
) -> None:
    """Rank the layers by what is lost when each is quantized alone; killed, a rerun goes on."""
    from edgeq.cli.progress import shown
    from edgeq.report.pictures import sensitivity as charts
    from edgeq.report.terminal import sensitivity as table
    from edgeq.tuning import sensitivity as analysis

    options = analysis.Options(top, leave_one_out, seconds_of(budget))
    if chart is not None:
        charts.check(chart)
    with shown() as progress:
        result = analysis.sensitivity(
            recipe, target, images, options, progress, address_of(host, identity)
        )
    if chart is not None:
        charts.draw(result, chart)
    if as_json:
        print_json(result)
    else:
        print_rendered(table.render(result))
