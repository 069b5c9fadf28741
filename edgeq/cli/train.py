"""The command that trains the whole network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgeq.cli.app import app
from edgeq.cli.options import Host, Identity, Json, Recipe, TargetName, address_of
from edgeq.cli.output import print_json, print_rendered


@app.command(epilog="Example: edgeq train recipe.yaml --target local -o trained.onnx")
def train(
    recipe: Recipe,
    target: TargetName,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE.onnx", help="the trained float model")
    ],
    iterations: Annotated[
        int | None, typer.Option(min=1, help="steps of six images each  [default: 500]")
    ] = None,
    original_iterations: Annotated[
        int | None, typer.Option(min=1, help="that made the float model: a tenth of them")
    ] = None,
    original_rate: Annotated[
        float | None,
        typer.Option(min=0, help="learning rate that made the float model: a hundredth of it"),
    ] = None,
    loss: Annotated[
        str | None,
        typer.Option(
            metavar="FILE.py:FUNCTION",
            help="your own, over labels of the recipe's 'tune' images  [default: towards float]",
        ),
    ] = None,
    crops: Annotated[int, typer.Option(min=1, help="of calibration images, without --loss")] = 256,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="a file that is there")] = False,
    host: Host = None,
    identity: Identity = None,
    as_json: Json = False,
) -> None:
    """Train the quantized network as a whole, to a float model that loses less; resumable."""
    from edgeq.cli.progress import shown
    from edgeq.report.terminal.training import training_text
    from edgeq.verbs.train import Curriculum
    from edgeq.verbs.train import train as run

    curriculum = Curriculum(
        iterations, original_iterations, original_rate, loss, crops, seed, overwrite
    )
    with shown() as progress:
        result = run(recipe, target, output, curriculum, progress, address_of(host, identity))
    if as_json:
        print_json(result)
    else:
        print_rendered(training_text(result))
    raise typer.Exit(result.exit_code)
