"""Where YAML reads something else than was meant: what it made of it, and how to write it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

from edgeq.spec.loader import Scalar

_QUOTES = "check indentation and quotes"
_SHOWN = 40


def syntax(exc: yaml.YAMLError) -> tuple[str, str]:
    """What is wrong with a text that is no YAML, and what to do about it."""
    what = getattr(exc, "problem", None) or str(exc).splitlines()[0]
    context = getattr(exc, "context", None) or ""
    first = re.fullmatch(r"found character '(\\?.)' that cannot start any token", what)
    if first and first[1] == "\\t":
        return "a tab stands where YAML takes only spaces", "write spaces"
    if first:
        return f"no text begins with '{first[1]}' in YAML", "write it in quotes"
    if "scanning an alias" in context or "undefined alias" in what:
        return f"a text that begins with * is an alias in YAML ({what})", "write it in quotes"
    if "scanning an anchor" in context:
        return f"a text that begins with & is an anchor in YAML ({what})", "write it in quotes"
    if "constructor for the tag" in what or "tag" in context:
        return f"a text that begins with ! is a tag in YAML ({what})", "write it in quotes"
    if "no value of !!" in what:
        return what, "remove the '!!' tag"
    remedy = {
        "mapping values are not allowed here": "write a text with a colon in quotes, and see that "
        "keys that belong together are indented alike",
        "could not find expected ':'": "write 'key: value', with a space behind the colon",
    }.get(what, _QUOTES)
    return f"is not valid YAML: {what}", remedy


def remedy(kind: str, given: Any, written: Scalar | None) -> str:
    """How to write what was meant where a value is no `kind` (a pydantic type of error); or ''."""
    if kind == "string_type":
        return _as_text(given, written)
    if kind == "bool_type" and isinstance(given, str):
        return _as_truth(given)
    if kind in ("int_type", "float_type") and isinstance(given, str):
        return _as_number(given, kind == "int_type")
    return ""


def _as_text(given: Any, written: Scalar | None) -> str:
    if isinstance(given, Mapping) and len(given) == 1:
        return "write it in quotes: a colon with a space behind it makes a mapping"
    if written is None or not written.plain or not 0 < len(written.text) <= _SHOWN:
        return ""
    kinds = {bool: "true or false", int: "a number", float: "a number", type(None): "nothing"}
    made = kinds.get(type(given), "something else")
    if type(given) is bool:
        made = "true" if given else "false"
    return f"YAML reads {written.text} as {made}: write '{written.text}', in quotes"


def _as_truth(given: str) -> str:
    words = {"y": "true", "yes": "true", "on": "true", "true": "true"}
    words |= {"n": "false", "no": "false", "off": "false", "false": "false"}
    meant = words.get(given.strip().lower())
    return f"write {meant}, without quotes" if meant else ""


def _as_number(given: str, whole: bool) -> str:
    meant = _number(given.strip())
    if meant is None or (whole and meant % 1) or abs(meant) > 1e15:
        return ""
    shown = f"{meant:.0f}" if meant % 1 == 0 else f"{meant:.10g}"
    return f"write {shown}" if shown != given else f"write {shown}, without quotes"


def _number(text: str) -> float | None:
    """The number that a person means by a text in which YAML sees none."""
    if not re.fullmatch(r"[-+0-9.,/%_ eExXoObBa-fA-F]{1,40}", text):
        return None
    fraction = re.fullmatch(r"([0-9.]+) ?/ ?([0-9.]+)", text)
    try:
        if fraction:
            return float(fraction[1]) / float(fraction[2])
        if text.endswith("%"):
            return float(text[:-1]) / 100
        if re.fullmatch(r"0[oO][0-7]+", text):
            return float(int(text, 8))
        # A comma before three digits may part thousands or be the decimal one: not guessed.
        if re.fullmatch(r"[-+]?[0-9]+,(?![0-9]{3}$)[0-9]+", text):
            text = text.replace(",", ".")
        return float(text.replace(" ", ""))
    except (ValueError, ArithmeticError):
        return None
