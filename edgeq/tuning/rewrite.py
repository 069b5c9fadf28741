"""The tuned recipe: the user's own text, with other ways to quantize and the reasons for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from edgeq.errors import EdgeqError, InputError
from edgeq.records.files import check_writable
from edgeq.spec import document
from edgeq.spec.recipe import Recipe
from edgeq.tuning.changes import left_float, repaired

_WIDTH = 96


def check_output(recipe: Path, output: Path) -> None:
    """InputError where a recipe cannot be written, or not so that its paths lead somewhere."""
    # They are relative to the folder in which it was named, wherever a link leads.
    if output.parent.resolve() != recipe.parent.resolve():
        what = f"lies elsewhere than {recipe.name}, whose paths are relative to its folder"
        raise InputError(str(output), what, f"write it beside: -o {recipe.parent / output.name}")
    if output.resolve() == recipe.resolve():
        raise InputError(str(output), "is the recipe itself", "give the tuned one another name")
    check_writable(output)


def check_text(text: str, recipe: Path, given: Recipe) -> None:
    """InputError where the keys that tuning changes cannot be replaced in a recipe's text."""
    changed = repaired(
        left_float(given, ["any layer"]), bias_correction=not given.repair.bias_correction
    )
    try:
        check_same(rewritten(text, changed, ["why"]), recipe, changed)
    except (EdgeqError, yaml.YAMLError) as exc:
        what = "has 'quantize' or 'repair' tied to other keys, by braces, indentation or an anchor"
        remedy = "write each as a block of its own at the start of a line: tuning replaces it"
        raise InputError(str(recipe), what, remedy) from exc


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


def check_same(text: str, recipe: Path, tuned: Recipe) -> None:
    """See that a text says what was meant, in the place of a recipe."""
    if document.validate(document.parse(text, recipe), Recipe) != tuned:
        raise EdgeqError(str(recipe), "does not read as it was tuned", "report this as a bug")


def _replaced(text: str, key: str, part: Mapping[str, Any]) -> str:
    lines = text.splitlines()
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    assert isinstance(root, yaml.MappingNode)
    starts = {name.value: name.start_mark.line for name, _ in root.value}
    # The mark stands behind the last character where no line break follows that.
    end = root.end_mark.line + (root.end_mark.column > 0)
    block = yaml.safe_dump({key: part}, sort_keys=False, width=_WIDTH).rstrip().splitlines()
    block = block if part else []
    if key not in starts:
        return "\n".join([*lines[:end], *([""] if block else []), *block, *lines[end:]])
    start = starts[key]
    end = min((line for line in starts.values() if line > start), default=end)
    # Comments and blank lines before the next key belong to that.
    while end > start + 1 and (not lines[end - 1].strip() or lines[end - 1].startswith("#")):
        end -= 1
    return "\n".join([*lines[:start], *block, *lines[end:]])


def read(recipe: Path) -> str:
    """The text of a recipe that was loaded before."""
    document.read(recipe)
    # Without the mark that Windows puts first: comments will stand there.
    return recipe.read_text(encoding="utf-8-sig")
