"""Commands about runs with a name: baseline set, list, show and rm."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from edgeq.cli.app import baseline_app
from edgeq.cli.options import Json, Store
from edgeq.cli.output import print_json, print_rendered, say

Name = Annotated[str, typer.Argument(help="the baseline's name")]


@baseline_app.command("set", epilog="Example: edgeq baseline set main --run 1f0c")
def baseline_set(
    name: Name,
    run: Annotated[str, typer.Option(metavar="ID", help="the run, or how its id begins")],
    replace: Annotated[bool, typer.Option("--replace", help="let the name mean this run")] = False,
    force: Annotated[bool, typer.Option("--force", help="even if gates have not passed")] = False,
    store: Store = None,
    as_json: Json = False,
) -> None:
    """Give a run a name; a copy of its artifact stays for as long as a baseline names it."""
    from edgeq.report.terminal import baselines as show
    from edgeq.verbs import baseline as verb

    found = verb.set_baseline(name, run, store, replace, force)
    if as_json:
        print_json(found)
    else:
        print_rendered(show.one(found))


@baseline_app.command("list", epilog="Example: edgeq baseline list")
def baseline_list(store: Store = None, as_json: Json = False) -> None:
    """All baselines, with what they measured."""
    from edgeq.report.terminal import baselines as show
    from edgeq.verbs import baseline as verb

    found = verb.list_baselines(store)
    if as_json:
        say(json.dumps([one.model_dump(mode="json") for one in found]))
    else:
        print_rendered(show.table(found))


@baseline_app.command("show", epilog="Example: edgeq baseline show main")
def baseline_show(name: Name, store: Store = None, as_json: Json = False) -> None:
    """One baseline: its run and its figures, and where its artifact is."""
    from edgeq.report.terminal import baselines as show
    from edgeq.verbs import baseline as verb

    found = verb.baseline(name, store)
    if as_json:
        print_json(found)
    else:
        print_rendered(show.one(found))


@baseline_app.command("rm", epilog="Example: edgeq baseline rm main")
def baseline_rm(name: Name, store: Store = None, as_json: Json = False) -> None:
    """Forget a name; its run stays in the store, its artifact where another name has it."""
    from edgeq.verbs import baseline as verb

    verb.remove_baseline(name, store)
    say(json.dumps({"removed": name}) if as_json else f"removed {name}")
