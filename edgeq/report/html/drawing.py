"""Charts: matplotlib's SVG with the page's own colours and letters, the same for the same numbers.

What is drawn in one of COLOURS stands in the page in a variable of its style sheet, so that a chart
is dark where the page is.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgeq.errors import require
from edgeq.report.html.numbers import Numbers

if TYPE_CHECKING:
    from edgeq.records.report import ColumnName

EXTRA = "report"
INK, SOFT, LINE, PAPER = "#010101", "#020202", "#030303", "#040404"
FLOAT, SIMULATED, FP16, DEVICE = "#050505", "#060606", "#070707", "#080808"
LOST, FOUND, CHANGED = "#090909", "#0a0a0a", "#0b0b0b"
COLOURS = {
    INK: "ink",
    SOFT: "soft",
    LINE: "line",
    PAPER: "paper",
    FLOAT: "float",
    SIMULATED: "simulated",
    FP16: "fp16",
    DEVICE: "device",
    LOST: "lost",
    FOUND: "found",
    CHANGED: "changed",
}


@dataclass(frozen=True)
class Stroke:
    """How a column is drawn: who tells colours badly has the marker and the kind of line."""

    colour: str
    marker: str
    dashes: str


STROKES: dict[ColumnName, Stroke] = {
    "float": Stroke(FLOAT, "o", ":"),
    "simulated": Stroke(SIMULATED, "s", "--"),
    "fp16": Stroke(FP16, "^", "-."),
    "device": Stroke(DEVICE, "D", "-"),
}
_STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "font.size": 9,
    "axes.edgecolor": LINE,
    "axes.labelcolor": SOFT,
    "axes.titlecolor": INK,
    "axes.titlesize": 9,
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.linewidth": 0.8,
    "figure.facecolor": "none",
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "legend.fontsize": 8.5,
    "text.color": INK,
    "text.parse_math": False,  # a class may be called $x$
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": SOFT,
    "ytick.labelcolor": SOFT,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "lines.linewidth": 1.6,
    "lines.markersize": 5,
}
_HEAD = re.compile(r".*?<svg[^>]*?viewBox=\"([^\"]+)\"[^>]*>", re.S)
_FONT = re.compile(r"'DejaVu Sans'[^;\"]*")
_METADATA = re.compile(r"\s*<metadata>.*?</metadata>", re.S)
_ID = re.compile(
    r"(id=\"|href=\"#|url\(#)"
    r"((?:figure|axes|patch|text|line2d|matplotlib|xtick|ytick|legend|[A-Z])[\w.]*)"
)
WIDTH_IN = 5.0
"""A chart is so wide: of a phone's width its letters are as large as drawn, and larger elsewhere"""


@dataclass(frozen=True)
class Chart:
    """A chart: its picture as the inside of an SVG element, and what it says without a picture."""

    name: str
    title: str
    description: str
    view_box: str
    inside: str
    numbers: Numbers


@dataclass(frozen=True)
class Caption:
    """What a chart says without a picture; `name` is unique in a page."""

    name: str
    title: str
    description: str
    numbers: Numbers


def draw(caption: Caption, height_in: float, paint: Callable[[Any], None]) -> Chart:
    """The chart that `paint` makes of a figure."""
    require("matplotlib", EXTRA)
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    style: Any = {**_STYLE, "svg.hashsalt": caption.name}
    with mpl.rc_context(style), warnings.catch_warnings():
        # Letters are drawn by the reader's browser, in fonts that it has.
        warnings.filterwarnings("ignore", r"Glyph \d+ .*missing from font", UserWarning)
        figure = Figure(figsize=(WIDTH_IN, height_in), layout="constrained")
        FigureCanvasSVG(figure)
        paint(figure)
        content = io.StringIO()
        figure.savefig(content, format="svg", metadata={"Date": None})
    view_box, inside = _plain(content.getvalue(), caption.name)
    return Chart(
        name=caption.name,
        title=caption.title,
        description=caption.description,
        view_box=view_box,
        inside=inside,
        numbers=caption.numbers,
    )


def _plain(svg: str, name: str) -> tuple[str, str]:
    """What stands inside the SVG element, in the page's colours and letters, and its view box."""
    head = _HEAD.match(svg)
    assert head is not None
    inside = svg[head.end() :].rpartition("</svg>")[0]
    inside = _METADATA.sub("", inside)
    inside = _ID.sub(rf"\g<1>{name}-\g<2>", inside)
    for colour, variable in COLOURS.items():
        inside = inside.replace(colour, f"var(--{variable})")
    return head[1], _FONT.sub("var(--sans)", inside)
