"""Text from elsewhere, as a terminal may get it: whoever shows any has it pass through here.

Names of files and devices, what a device says, what an artifact or a recipe holds: a control
character in it could set the title, the clipboard or the whole screen, and one of direction could
show another name than there is.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from rich.segment import Segment

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult

_HARMFUL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters, but for tab and newline
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # of direction
    "\u2028\u2029\ufff9-\ufffb"  # ends of lines and annotations that only some show
    "\U000e0000-\U000e007f"  # tags, which nobody sees
    "\ud800-\udfff]"  # bytes of a file's name that are no text
)


def printable(text: str) -> str:
    r"""The text with what could do harm written out as JSON would, such as \u001b."""
    return _HARMFUL.sub(_written_out, text)


def _written_out(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))


class Printable:
    """What rich renders, all of whose text is printable."""

    def __init__(self, inner: RenderableType) -> None:
        self._inner = inner

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """See rich's protocol; rich's own control codes stay."""
        for segment in console.render(self._inner, options):
            yield segment if segment.control else Segment(printable(segment.text), segment.style)
