"""Commands that need no device: inspect, lint, demo, recipe, targets list and show."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from edgeq.cli.app import app, recipe_app, targets_app
from edgeq.cli.github import code_scanning
from edgeq.cli.options import (
    DryRun,
    Host,
    Identity,
    Json,
    Recipe,
    Sarif,
    TargetArgument,
    TargetName,
    address_of,
    size_of,
)
from edgeq.cli.output import print_json, print_rendered, print_steps, say


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
    from edgeq.cli.progress import shown
    from edgeq.verbs import inspect as verb

    with shown() as progress:
        result = verb.inspect(source, target, size_of(size), progress)
    from edgeq.report.terminal import records as show

    if as_json:
        print_json(result)
    else:
        print_rendered(show.inspection_text(result))


@app.command(epilog="Example: edgeq lint recipe.yaml --target jetson-orin")
def lint(
    source: Annotated[Path, typer.Argument(help="a recipe (.yaml) or a Q/DQ model (.onnx)")],
    target: TargetName,
    sarif: Sarif = None,
    as_json: Json = False,
) -> None:
    """What the target's engine would refuse, compute wrongly (exit code 2) or run slowly (0)."""
    from edgeq.cli.progress import shown
    from edgeq.verbs import lint as verb

    with code_scanning(sarif) as findings, shown() as progress:
        result = verb.lint(source, target, progress)
        findings.lint(result)
    from edgeq.report.terminal import records as show

    if as_json:
        print_json(result)
    else:
        print_rendered(show.lint_text(result))
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
        print_steps(
            [f"write model.onnx, images, instances.json and recipe.yaml to {folder}"], as_json
        )
        return

    with shown() as progress:
        project = write_demo(folder, progress=progress)
    recipe = project.folder / "recipe.yaml"
    if as_json:
        say(json.dumps({"folder": str(project.folder), "recipe": str(recipe)}))
    else:
        say(f"wrote {project.folder}; now: edgeq deploy {recipe} --target local")


@recipe_app.command("check", epilog="Example: edgeq recipe check demo/recipe.yaml --target local")
def recipe_check(
    recipe: Recipe,
    target: Annotated[
        str | None,
        typer.Option("--target", "-t", metavar="NAME|FILE", help="check against this one too"),
    ] = None,
    sarif: Sarif = None,
    host: Host = None,
    identity: Identity = None,
    as_json: Json = False,
) -> None:
    """Check a recipe; with --target also model, images and what the engine can do."""
    notes = []
    with code_scanning(sarif) as findings:
        if target is None:
            from edgeq.spec import recipe as recipes

            recipes.load(recipe)
        else:
            from edgeq.stages.check import check
            from edgeq.stages.plan import overclipped

            checked = check(recipe, target, address_of(host, identity), keep=False)
            checked.device.close()
            notes += [said] if (said := overclipped(checked.prepared)) else []
        findings.problems(())
    if as_json:
        say(json.dumps({"problems": [], "notes": notes}))
    else:
        say("\n".join([f"{recipe}: nothing wrong", *(f"note: {note}" for note in notes)]))


@recipe_app.command("schema", epilog="Example: edgeq recipe schema > recipe.schema.json")
def recipe_schema(as_json: Json = True) -> None:
    """Print the JSON Schema of recipes, so that editors complete and check them."""
    from edgeq.spec import recipe as recipes

    say(json.dumps(recipes.schema(), indent=2))


@targets_app.command("schema", epilog="Example: edgeq targets schema > target.schema.json")
def targets_schema(as_json: Json = True) -> None:
    """Print the JSON Schema of targets, so that editors complete and check them."""
    from edgeq.spec import target as targets

    say(json.dumps(targets.schema(), indent=2))


@targets_app.command("list", epilog="Example: edgeq targets list")
def targets_list(as_json: Json = False) -> None:
    """Every target that can be named, and where its file is."""
    from edgeq.report.terminal import records as show
    from edgeq.spec import target as targets

    found = {name: (targets.load(name), path) for name, path in targets.names().items()}
    if as_json:
        records = [{"name": n, "file": str(p), **t.model_dump()} for n, (t, p) in found.items()]
        say(json.dumps(records))
    else:
        print_rendered(show.targets_text(found))


@targets_app.command("show", epilog="Example: edgeq targets show local")
def targets_show(name: TargetArgument, as_json: Json = False) -> None:
    """One target with all its facts, as YAML."""
    import yaml

    from edgeq.spec import target as targets

    found = targets.load(name)
    if as_json:
        print_json(found)
    else:
        say(yaml.safe_dump(found.model_dump(), sort_keys=False).rstrip())
