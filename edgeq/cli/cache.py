"""Commands about what can be made again: cache list and clear."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from edgeq.cli.app import cache_app
from edgeq.cli.options import Json
from edgeq.cli.output import print_rendered, say


@cache_app.command("list", epilog="Example: edgeq cache list")
def cache_list(as_json: Json = False) -> None:
    """Every cache: how much it holds, and when that was used first and last."""
    from dataclasses import asdict

    from edgeq import cache
    from edgeq.report.terminal import records as show

    found = cache.usage()
    if as_json:
        say(json.dumps([asdict(one) for one in found]))
    else:
        print_rendered(show.caches_text(found))


@cache_app.command("clear", epilog="Example: edgeq cache clear statistics")
def cache_clear(
    name: Annotated[str | None, typer.Argument(help="as listed  [default: all]")] = None,
    as_json: Json = False,
) -> None:
    """Remove what a cache holds; it is made again when it is needed."""
    from edgeq import cache

    count = cache.clear(name)
    say(json.dumps({"removed": count}) if as_json else f"removed {count} entries")
