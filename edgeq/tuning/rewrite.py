"""The tuned recipe: the user's own text, with other ways to quantize and the reasons for them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from edgeq import document
from edgeq import recipe as recipes
from edgeq.errors import EdgeqError, InputError
from edgeq.recipe import Recipe

_TOP = re.compile(r"^[^\s#]")
_WIDTH = 96


def check_output(recipe: Path, output: Path) -> None:
    """InputError where a recipe cannot be written so that its paths still lead somewhere."""
    if output.resolve().parent != recipe.resolve().parent:
        what = f"lies elsewhere than {recipe.name}, whose paths are relative to its folder"
        raise InputError(str(output), what, f"write it beside: -o {recipe.parent / output.name}")
    if output.resolve() == recipe.resolve():
        raise InputError(str(output), "is the recipe itself", "give the tuned one another name")


def rewritten(text: str, tuned: Recipe, reasons: Sequence[str]) -> str:
    """The recipe's text with `quantize` and `repair` as in `tuned`; the rest stays as it is."""
    for key in ("quantize", "repair"):
        part: dict[str, Any] = getattr(tuned, key).model_dump(mode="json", exclude_defaults=True)
        text = _replaced(text, key, part)
    head = [f"# {line}" if line else "#" for reason in reasons for line in reason.splitlines()]
    kept = text.splitlines()
    # What editors read has to stay on the first line.
    first = kept[:1] if kept[:1] and "yaml-language-server" in kept[0] else []
    return "\n".join([*first, *head, *kept[len(first) :]]) + "\n"


def check_same(file: Path, tuned: Recipe) -> None:
    """See that the file that was written says what was meant."""
    found = recipes.load(file)
    if found != tuned:
        raise EdgeqError(str(file), "does not read as it was tuned", "report this as a bug")


def _replaced(text: str, key: str, part: Mapping[str, Any]) -> str:
    lines = text.splitlines()
    starts = [i for i, line in enumerate(lines) if line.startswith(f"{key}:")]
    block = yaml.safe_dump({key: part}, sort_keys=False, width=_WIDTH).rstrip().splitlines()
    block = block if part else []
    if not starts:
        return "\n".join([*lines, *([""] if block else []), *block])
    [start] = starts
    end = next((i for i in range(start + 1, len(lines)) if _TOP.match(lines[i])), len(lines))
    # Comments and blank lines before the next key belong to that.
    while end > start + 1 and not lines[end - 1].startswith((" ", "\t", "-")):
        end -= 1
    return "\n".join([*lines[:start], *block, *lines[end:]])


def read(recipe: Path) -> str:
    """The text of a recipe that was loaded before."""
    document.read(recipe)
    return recipe.read_text(encoding="utf-8")
