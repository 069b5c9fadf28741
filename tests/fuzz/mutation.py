"""Inputs that are almost right: a valid one, changed in a few places."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import strategies as st

MOST_EDITS = 6
_LONGEST = 2**15

# What parsers trip over: nothing, the wrong type, the end of a range, too much, no number at all.
ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**63, -(2**63), 10**30, 10**400, 0.5, -0.0, 1e-320, 1e308,
    float("inf"), float("-inf"), float("nan"), "", " ", "0", "-1", "1e3", "\0", "\n", "../..", "/",
    "a" * 5000, "ä\u202e\x1b[2J", "\ud800", [], [[]], {}, {"": None}, [None], [1, "a", {}],
    [0] * 500, [float("nan")] * 4,
)  # fmt: skip
ODD_BYTES = (
    b"", b"\0", b"\xff", b"\xff\xff\xff\xff", b"\xef\xbb\xbf", b"\n", b"\r", b" ", b"\t", b"-",
    b"0", b"9" * 20, b"1e999", b"NaN", b"[" * 50, b"[" * 20000, b'{"a":' * 5000,
    b'"', b"'", b"\\", b"\x1b[2J", b"..",
)  # fmt: skip


@st.composite
def bytes_like(draw: st.DrawFn, seeds: Sequence[bytes], tokens: Sequence[bytes] = ()) -> bytes:
    """A seed in which pieces are cut, doubled, overwritten or put in."""
    content = bytearray(draw(st.sampled_from(seeds)))
    pieces = st.sampled_from([*tokens, *ODD_BYTES])
    for _ in range(draw(st.integers(0, MOST_EDITS))):
        start = draw(st.integers(0, len(content)))
        end = min(len(content), start + draw(st.sampled_from([0, 1, 2, 4, 8, 30, 200])))
        kind = draw(st.sampled_from(["cut", "double", "put", "put", "flip", "end"]))
        if kind == "cut":
            del content[start:end]
        elif kind == "double":
            content[start:start] = content[start:end] * draw(st.sampled_from([1, 2, 50]))
        elif kind == "put":
            content[start:end] = draw(pieces)
        elif kind == "flip" and start < len(content):
            content[start] ^= draw(st.integers(1, 255))
        elif kind == "end" and draw(st.booleans()):
            del content[start:]
    return bytes(content[:_LONGEST])


@st.composite
def json_like(draw: st.DrawFn, seeds: Sequence[bytes], tokens: Sequence[str] = ()) -> bytes:
    """A document of JSON in which values are odd, gone, or in each other's place."""
    content = draw(st.sampled_from(seeds))
    try:
        document = json.loads(content)
    except ValueError:  # a line that was changed before
        return content
    for _ in range(draw(st.integers(1, MOST_EDITS))):
        document = _edited(draw, document, tokens)
    return json.dumps(document).encode()


def _edited(draw: st.DrawFn, document: Any, tokens: Sequence[str]) -> Any:
    places = _places(document)
    if not places:
        return _odd(draw)
    holder, key = draw(st.sampled_from(places))
    kind = draw(st.sampled_from(["odd", "odd", "odd", "token", "gone", "other", "more"]))
    if kind == "gone":
        del holder[key]
    elif kind == "token" and tokens:
        holder[key] = draw(st.sampled_from(tokens))
    elif kind == "other":
        other, at = draw(st.sampled_from(places))
        if at in other if isinstance(other, dict) else at < len(other):
            holder[key] = copy.deepcopy(other[at])
    elif kind == "more" and isinstance(holder, list):
        holder.insert(key, copy.deepcopy(holder[key]))
    elif kind == "more":
        holder[draw(st.sampled_from(["", "unknown", *tokens]))] = _odd(draw)
    else:
        holder[key] = _odd(draw)
    return document


def _odd(draw: st.DrawFn) -> Any:
    return copy.deepcopy(draw(st.sampled_from(ODD)))  # which the next edit may change


def _places(document: Any) -> list[tuple[Any, Any]]:
    """Every holder and key below the top of a document."""
    found: list[tuple[Any, Any]] = []
    left = [document]
    while left:
        holder = left.pop()
        if isinstance(holder, dict):
            keys: list[Any] = list(holder)
        elif isinstance(holder, list):
            keys = list(range(min(len(holder), 20)))
        else:
            continue
        found += [(holder, key) for key in keys]
        left += [holder[key] for key in keys]
    return found


@st.composite
def lines_like(
    draw: st.DrawFn,
    seeds: Sequence[Sequence[bytes]],
    line: Callable[[bytes], st.SearchStrategy[bytes]],
) -> bytes:
    """A conversation in which lines are changed, gone, doubled or in another order."""
    lines = list(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(0, MOST_EDITS))):
        if not lines:
            break
        place = draw(st.integers(0, len(lines) - 1))
        kind = draw(st.sampled_from(["change", "change", "change", "gone", "double", "move"]))
        if kind == "change":
            lines[place] = draw(line(lines[place]))
        elif kind == "gone":
            del lines[place]
        elif kind == "double":
            lines.insert(place, lines[place])
        else:
            lines.insert(draw(st.integers(0, len(lines) - 1)), lines.pop(place))
    return b"\n".join(lines) + draw(st.sampled_from([b"\n", b"", b"\n\n"]))
