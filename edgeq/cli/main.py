"""The command line: parse, call one function of the Python API, render what it returns."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgeq.errors import EdgeqError, InputError, InputErrors

if TYPE_CHECKING:
    from pydantic import BaseModel

    from edgeq.boards import Examination
    from edgeq.device.connection import Address

app = typer.Typer(
    name="edgeq",
    no_args_is_help=True,
    add_completion=False,
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
app.add_typer(recipe_app, name="recipe")
app.add_typer(targets_app, name="targets")
app.add_typer(cache_app, name="cache")

Recipe = Annotated[Path, typer.Argument(help="the recipe, a YAML file")]
TARGET_HELP = "a name or a YAML file; with :ENGINE for another engine of that board"
TargetName = Annotated[str, typer.Option("--target", "-t", metavar="NAME|FILE", help=TARGET_HELP)]
Host = Annotated[
    str | None,
    typer.Option("--host", "-H", metavar="[USER@]HOST", help="the board: address or SSH alias"),
]
Identity = Annotated[
    Path | None, typer.Option("--identity", "-i", help="the SSH key  [default: as ssh would]")
]
Sign = Annotated[
    Path | None, typer.Option("--sign", metavar="KEY", help="an SSH key to sign the release with")
]
Json = Annotated[bool, typer.Option("--json", help="print the record as JSON")]
Store = Annotated[
    str | None, typer.Option(metavar="URL", help="the store  [default: $EDGEQ_STORE]")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="check all, say what would be done")]


@app.command(epilog="Example: edgeq deploy demo/recipe.yaml --target local")
def deploy(
    recipe: Recipe,
    target: TargetName,
    report: Annotated[
        Path | None,
        typer.Option(help="where report.json goes  [default: beside the recipe]"),
    ] = None,
    store: Store = None,
    host: Host = None,
    identity: Identity = None,
    sign: Sign = None,
    as_json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Build, push, verify, measure, judge; make it the current release if all gates pass."""
    from edgeq import deployment
    from edgeq.cli.progress import shown

    address = _address(host, identity)
    path = report or recipe.parent / "report.json"
    if dry_run:
        _steps(deployment.deploy_steps(recipe, target, path, address, sign), as_json)
        return
    with shown() as progress:
        result = deployment.deploy(recipe, target, store, progress, path, address, sign)
    if as_json:
        _print_json(result)
    else:
        from edgeq.report.table import render

        _print(render(result))
        typer.echo(f"report: {path}")
    raise typer.Exit(result.exit_code)


@app.command(epilog="Example: edgeq build demo/recipe.yaml --target local -o demo.edgeq")
def build(
    recipe: Recipe,
    target: TargetName,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="a new folder, or one file ending in .edgeq"),
    ] = None,
    sign: Sign = None,
    host: Host = None,
    identity: Identity = None,
    as_json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Calibrate, plan and write the int8 artifact; nothing is sent to a device.

    --host is for targets that leave something to be probed. --sign signs the copy that -o names.
    """
    from edgeq import deployment
    from edgeq.cli.progress import shown

    address = _address(host, identity)
    if dry_run:
        _steps(deployment.build_steps(recipe, target, output, address, sign), as_json)
        return
    with shown() as progress:
        built = deployment.build(recipe, target, output, progress, address, sign)
    from edgeq.cli import show

    if as_json:
        typer.echo(json.dumps(show.build_record(built, output)))
    else:
        _print(show.build_text(built, output))


@app.command(epilog="Example: edgeq measure demo.edgeq --target local --images demo/evaluation")
def measure(
    artifact: Annotated[Path, typer.Argument(help="an artifact: folder or .edgeq file")],
    target: TargetName,
    images: Annotated[Path, typer.Option(help="a folder or list of images to run on")],
    threads: Annotated[int | None, typer.Option(min=1, help="[default: the target's]")] = None,
    duration: Annotated[float, typer.Option(min=0.1, max=3600, help="seconds, at least")] = 5.0,
    host: Host = None,
    identity: Identity = None,
    as_json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Push an artifact and measure latency and memory on the device; nothing is activated."""
    from edgeq import checking, deployment
    from edgeq.cli.progress import shown
    from edgeq.recipe import Measure

    longest = max(Measure().max_duration_s, 2 * duration)
    options = Measure(threads=threads, min_duration_s=duration, max_duration_s=longest)
    address = _address(host, identity)
    if dry_run:
        steps = checking.measure_steps(artifact, target, images, options, address)
        _steps(list(steps), as_json)
        return
    with shown() as progress:
        result = deployment.measure(artifact, target, images, options, progress, address)
    from edgeq.cli import show

    if as_json:
        _print_json(result)
    else:
        _print(show.measurement_text(result))
    raise typer.Exit(4 if result.unstable else 0)


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
    from edgeq import releasing
    from edgeq.cli.progress import shown

    if dry_run:
        _steps(releasing.push_steps(artifact, target, _address(host, identity), activate), as_json)
        return
    with shown() as progress:
        done = releasing.push(artifact, target, _address(host, identity), activate, progress)
    from edgeq.cli import show

    if as_json:
        _print_json(done)
    else:
        typer.echo(show.pushed_text(done))


@app.command(epilog="Example: edgeq rollback --target arm-cpu-ort --host edge@barn7")
def rollback(
    target: TargetName,
    host: Host = None,
    identity: Identity = None,
    as_json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Make the previous release of a device the current one; once more undoes it."""
    from edgeq import releasing

    address = _address(host, identity)
    if dry_run:
        _steps(releasing.rollback_steps(target, address), as_json)
        return
    done = releasing.rollback(target, address)
    from edgeq.cli import show

    if as_json:
        _print_json(done)
    else:
        _print(show.status_text(done))


@app.command(epilog="Example: edgeq status --target arm-cpu-ort --host edge@barn7")
def status(
    target: TargetName, host: Host = None, identity: Identity = None, as_json: Json = False
) -> None:
    """Releases on a device, which is current, disk use, who is at work there."""
    from edgeq import releasing
    from edgeq.cli import show

    found = releasing.status(target, _address(host, identity))
    if as_json:
        _print_json(found)
    else:
        _print(show.status_text(found))


@app.command(epilog="Example: edgeq inspect demo/recipe.yaml")
def inspect(
    source: Annotated[Path, typer.Argument(help="a recipe (.yaml) or a model (.onnx)")],
    target: TargetName = "local",
    size: Annotated[
        str | None, typer.Option(metavar="HxW", help="for a model with dynamic shapes")
    ] = None,
    as_json: Json = False,
) -> None:
    """Layers, multiply-adds, what can be quantized, what stays float and why, range mixing."""
    from edgeq import inspection
    from edgeq.cli.progress import shown

    with shown() as progress:
        result = inspection.inspect(source, target, _size(size), progress)
    from edgeq.cli import show

    if as_json:
        _print_json(result)
    else:
        _print(show.inspection_text(result))


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
    adaround: Annotated[
        bool, typer.Option("--adaround", help="also choose how each weight is rounded: minutes")
    ] = False,
    store: Store = None,
    host: Host = None,
    identity: Identity = None,
    as_json: Json = False,
) -> None:
    """Find a recipe that keeps the accuracy: calibrator, repairs, the fewest layers in float."""
    from edgeq.cli.progress import shown
    from edgeq.tuning.contract import parse_limit
    from edgeq.tuning.trial_table import render_tuning
    from edgeq.tuning.tune import Wanted
    from edgeq.tuning.tune import tune as run

    box = max_drop if max_box_drop is None else max_box_drop
    limits = parse_limit(max_drop), parse_limit(box, "--max-box-drop")
    wanted = Wanted(*limits, adaround, _seconds(budget))
    with shown() as progress:
        result = run(recipe, target, output, wanted, store, progress, _address(host, identity))
    if as_json:
        _print_json(result)
    else:
        _print(render_tuning(result))
    raise typer.Exit(result.exit_code)


@app.command(epilog="Example: edgeq study demo/recipe.yaml --target local -o demo/study")
def study(
    recipe: Recipe,
    target: TargetName,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="a folder for study.md, study.json and pictures")
    ],
    store: Store = None,
    host: Host = None,
    identity: Identity = None,
    as_json: Json = False,
) -> None:
    """Weights by granularity, activations by calibrator, partial quantization: as tables."""
    from edgeq.cli.progress import shown
    from edgeq.tuning import study_files
    from edgeq.tuning.study import study as run
    from edgeq.tuning.trial_table import render_study

    study_files.check(output)
    with shown() as progress:
        result = run(recipe, target, store, progress, _address(host, identity))
    study_files.write(result, output)
    if as_json:
        _print_json(result)
    else:
        _print(render_study(result))
        typer.echo(f"written to {output}")


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
    from edgeq.tuning import chart as charts
    from edgeq.tuning import sensitivity as analysis
    from edgeq.tuning import table

    options = analysis.Options(top, leave_one_out, _seconds(budget))
    if chart is not None:
        charts.check(chart)
    with shown() as progress:
        result = analysis.sensitivity(
            recipe, target, images, options, progress, _address(host, identity)
        )
    if chart is not None:
        charts.draw(result, chart)
    if as_json:
        _print_json(result)
    else:
        _print(table.render(result))


@app.command(epilog="Example: edgeq lint recipe.yaml --target jetson-orin")
def lint(
    source: Annotated[Path, typer.Argument(help="a recipe (.yaml) or a Q/DQ model (.onnx)")],
    target: TargetName,
    as_json: Json = False,
) -> None:
    """What the target's engine would refuse, compute wrongly (exit code 2) or run slowly (0)."""
    from edgeq import linting
    from edgeq.cli.progress import shown

    with shown() as progress:
        result = linting.lint(source, target, progress)
    from edgeq.cli import show

    if as_json:
        _print_json(result)
    else:
        _print(show.lint_text(result))
    raise typer.Exit(2 if result.has_errors else 0)


@app.command(epilog="Example: edgeq demo demo")
def demo(
    folder: Annotated[Path, typer.Argument(help="a new folder")],
    as_json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Write a project to try edgeq with: model, images, annotations and recipe."""
    from edgeq.cli.progress import shown
    from edgeq.demo.project import require_free, write_demo

    if dry_run:
        require_free(folder)
        _steps([f"write model.onnx, images, instances.json and recipe.yaml to {folder}"], as_json)
        return

    with shown() as progress:
        project = write_demo(folder, progress=progress)
    recipe = project.folder / "recipe.yaml"
    if as_json:
        typer.echo(json.dumps({"folder": str(project.folder), "recipe": str(recipe)}))
    else:
        typer.echo(f"wrote {project.folder}; now: edgeq deploy {recipe} --target local")


@recipe_app.command("check", epilog="Example: edgeq recipe check demo/recipe.yaml --target local")
def recipe_check(
    recipe: Recipe,
    target: Annotated[
        str | None,
        typer.Option("--target", "-t", metavar="NAME|FILE", help="check against this one too"),
    ] = None,
    host: Host = None,
    identity: Identity = None,
    as_json: Json = False,
) -> None:
    """Check a recipe; with --target also model, images and what the engine can do."""
    if target is None:
        from edgeq import recipe as recipes

        recipes.load(recipe)
    else:
        from edgeq import checking

        checking.check(recipe, target, _address(host, identity), keep=False).device.close()
    typer.echo(json.dumps({"problems": []}) if as_json else f"{recipe}: nothing wrong")


@recipe_app.command("schema", epilog="Example: edgeq recipe schema > recipe.schema.json")
def recipe_schema(as_json: Json = True) -> None:
    """Print the JSON Schema of recipes, so that editors complete and check them."""
    from edgeq import recipe as recipes

    typer.echo(json.dumps(recipes.schema(), indent=2))


@targets_app.command("list", epilog="Example: edgeq targets list")
def targets_list(as_json: Json = False) -> None:
    """Every target that can be named, and where its file is."""
    from edgeq import target as targets
    from edgeq.cli import show

    found = {name: (targets.load(name), path) for name, path in targets.names().items()}
    if as_json:
        records = [{"name": n, "file": str(p), **t.model_dump()} for n, (t, p) in found.items()]
        typer.echo(json.dumps(records))
    else:
        _print(show.targets_text(found))


@targets_app.command("show", epilog="Example: edgeq targets show local")
def targets_show(name: Annotated[str, typer.Argument()], as_json: Json = False) -> None:
    """One target with all its facts, as YAML."""
    import yaml

    from edgeq import target as targets

    found = targets.load(name)
    if as_json:
        _print_json(found)
    else:
        typer.echo(yaml.safe_dump(found.model_dump(), sort_keys=False).rstrip())


@targets_app.command("check", epilog="Example: edgeq targets check raspberry-pi-5 --host pi@barn7")
def targets_check(
    name: Annotated[str, typer.Argument(metavar="NAME|FILE", help=TARGET_HELP)],
    host: Host = None,
    identity: Identity = None,
    as_json: Json = False,
) -> None:
    """What a board is and what is missing there; nothing on it is touched. 3 if it is not ready."""
    from edgeq import boards

    _examination(boards.check(name, _address(host, identity)), as_json)


@targets_app.command("setup", epilog="Example: edgeq targets setup raspberry-pi-5 --host pi@barn7")
def targets_setup(
    name: Annotated[str, typer.Argument(metavar="NAME|FILE", help=TARGET_HELP)],
    host: Host = None,
    identity: Identity = None,
    as_json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Put the engine on a board: it needs no internet, no root and no compiler for that."""
    from edgeq import boards
    from edgeq.cli.progress import shown

    address = _address(host, identity)
    if dry_run:
        _steps(boards.setup_steps(name, address), as_json)
        return
    with shown() as progress:
        result = boards.setup(name, address, progress)
    _examination(result, as_json)


@cache_app.command("list", epilog="Example: edgeq cache list")
def cache_list(as_json: Json = False) -> None:
    """Every cache: how much it holds, and when that was used first and last."""
    from dataclasses import asdict

    from edgeq import cache
    from edgeq.cli import show

    found = cache.usage()
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in found]))
    else:
        _print(show.caches_text(found))


@cache_app.command("clear", epilog="Example: edgeq cache clear statistics")
def cache_clear(
    name: Annotated[str | None, typer.Argument(help="as listed  [default: all]")] = None,
    as_json: Json = False,
) -> None:
    """Remove what a cache holds; it is made again when it is needed."""
    from edgeq import cache

    count = cache.clear(name)
    typer.echo(json.dumps({"removed": count}) if as_json else f"removed {count} entries")


def run() -> None:
    """The console script: errors become messages and exit codes."""
    wants_json = "--json" in sys.argv
    try:
        app()
    except EdgeqError as exc:
        problems = exc.problems if isinstance(exc, InputErrors) else (exc,)
        if wants_json:
            records = [{"where": p.where, "what": p.what, "remedy": p.remedy} for p in problems]
            typer.echo(json.dumps({"problems": records}))
        for problem in problems:
            typer.echo(f"error: {problem}", err=True)
        if exc.exit_code == EdgeqError.exit_code:
            typer.echo("this is a bug of edgeq; please report it with the lines above", err=True)
        sys.exit(exc.exit_code)
    except SystemExit as exc:
        if exc.code == 130:  # what Typer makes of Ctrl-C
            typer.echo("interrupted; a device keeps the release that it had", err=True)
        raise
    except OSError as exc:  # edgeq's own folders: full, read-only, or not to be made
        typer.echo(
            f"error: {exc.filename or 'disk'}: {exc.strerror or exc}; see that $EDGEQ_HOME "
            "is a folder with space that you may write to",
            err=True,
        )
        sys.exit(InputError.exit_code)
    except Exception:
        import traceback

        traceback.print_exc()
        typer.echo("this is a bug of edgeq; please report it with the lines above", err=True)
        sys.exit(EdgeqError.exit_code)


def _address(host: str | None, identity: Path | None) -> Address:
    from edgeq.device.connection import Address

    return Address(host, identity)


def _examination(result: Examination, as_json: bool) -> None:
    from edgeq.cli import show

    if as_json:
        _print_json(result)
    else:
        _print(show.examination_text(result))
    raise typer.Exit(0 if result.ready else 3)


def _size(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    match = re.fullmatch("([1-9][0-9]{0,4})(?:[xX]([1-9][0-9]{0,4}))?", text)
    if match is None:
        raise typer.BadParameter(f"'{text}' is no size; write 640x640", param_hint="--size")
    return int(match[1]), int(match[2] or match[1])


def _seconds(text: str | None) -> float | None:
    if text is None:
        return None
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?) ?([smh])", text)
    if match is None:
        raise typer.BadParameter(
            f"'{text}' is no time; write 90s, 10m or 2h", param_hint="--budget"
        )
    return float(match[1]) * {"s": 1, "m": 60, "h": 3600}[match[2]]


def _steps(steps: list[str], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"steps": steps}))
    else:
        for number, step in enumerate(steps, 1):
            typer.echo(f"{number}. {step}")
        typer.echo("nothing was done")


def _print_json(record: BaseModel) -> None:
    typer.echo(record.model_dump_json())


def _print(renderable: Any) -> None:
    from rich.console import Console

    # A file or a pipe has no width; paths cut at 80 columns are of no use to who reads them.
    # Brackets are what they are: 'edgeq[litert]' is no markup.
    console = Console(markup=False)
    wide = console if console.is_terminal else Console(width=max(console.width, 120), markup=False)
    wide.print(renderable)
