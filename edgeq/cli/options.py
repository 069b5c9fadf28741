"""Arguments and options that several commands share, and what their texts mean."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from edgeq.device.connection import Address


def target_names(incomplete: str) -> list[str]:
    """The targets that begin so, for the shell's completion."""
    from edgeq.spec import target as targets

    return [name for name in targets.names() if name.startswith(incomplete)]


Recipe = Annotated[Path, typer.Argument(help="the recipe, a YAML file")]
TARGET_HELP = "a name or a YAML file; with :ENGINE for another engine of that board"
TargetName = Annotated[
    str,
    typer.Option(
        "--target", "-t", metavar="NAME|FILE", help=TARGET_HELP, autocompletion=target_names
    ),
]
TargetArgument = Annotated[
    str, typer.Argument(metavar="NAME|FILE", help=TARGET_HELP, autocompletion=target_names)
]
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
Html = Annotated[
    Path | None, typer.Option(metavar="FILE", help="also as a page to look at, one HTML file")
]
Sarif = Annotated[
    Path | None, typer.Option(metavar="FILE", help="also as SARIF 2.1.0, for code scanning")
]
Forth = Annotated[bool, typer.Option("--forth", help="undo a rollback")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="check all, say what would be done")]


def check_html(html: Path | None) -> None:
    """InputError when --html names what cannot be written; to be asked before any work."""
    if html is not None:
        from edgeq.report.html.layout import check_page

        check_page(html)


def address_of(host: str | None, identity: Path | None) -> Address:
    """What --host and --identity say."""
    from edgeq.device.connection import Address

    return Address(host, identity)


def size_of(text: str | None) -> tuple[int, int] | None:
    """Height and width that --size says."""
    if text is None:
        return None
    match = re.fullmatch("([1-9][0-9]{0,4})(?:[xX]([1-9][0-9]{0,4}))?", text)
    if match is None:
        raise typer.BadParameter(f"'{text}' is no size; write 640x640", param_hint="--size")
    return int(match[1]), int(match[2] or match[1])


def seconds_of(text: str | None, option: str = "--budget") -> float | None:
    """The seconds that an option says."""
    if text is None:
        return None
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?) ?([smh])", text)
    if match is None:
        raise typer.BadParameter(f"'{text}' is no time; write 90s, 10m or 2h", param_hint=option)
    return float(match[1]) * {"s": 1, "m": 60, "h": 3600}[match[2]]
