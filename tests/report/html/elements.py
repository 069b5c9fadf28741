"""What a page is made of, as a parser sees it; and text that would be markup in it."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from html.parser import HTMLParser

EVIL = '</title></script><evil onload="x()">\'"&<svg/onload=x()>'


@dataclass
class ChartSeen:
    """A figure of the page: what is said of it, and what stands in it."""

    role: str | None = None
    labels: tuple[str, ...] = ()
    texts: dict[str, str] = field(default_factory=dict)
    folded_tables: int = 0
    rows: int = 0

    @property
    def title(self) -> str:
        return self.texts[self.labels[0]].strip()

    @property
    def description(self) -> str:
        return self.texts[self.labels[1]].strip()


class Elements(HTMLParser):
    """The elements of a page with their attributes, and all its text but style and script."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.charts: dict[str, ChartSeen] = {}
        self.text = ""
        self._inside = ""
        self._chart: ChartSeen | None = None
        self._label = ""
        self._is_folded = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = dict(attrs)
        self.found.append((tag, told))
        self._inside = tag
        if tag == "figure" and told.get("class") == "chart":
            self._chart = self.charts.setdefault(str(told["id"]), ChartSeen())
        if self._chart is None:
            return
        self._label = str(told.get("id", "")) if tag in ("title", "desc") else ""
        self._is_folded = self._is_folded or tag == "details"
        self._chart.folded_tables += tag == "table" and self._is_folded
        self._chart.rows += tag == "tr"
        if tag == "svg":
            self._chart.role = told.get("role")
            self._chart.labels = tuple(str(told.get("aria-labelledby")).split())

    def handle_endtag(self, tag: str) -> None:
        self._label = ""
        if tag == "details":
            self._is_folded = False
        if tag == "figure":
            self._chart = None

    def handle_data(self, data: str) -> None:
        if self._inside not in ("style", "script"):
            self.text += data
        if self._chart is not None and self._label:
            self._chart.texts[self._label] = self._chart.texts.get(self._label, "") + data

    def links(self) -> dict[str, str]:
        """The content of every download by its name."""
        downloads = [attrs for tag, attrs in self.found if tag == "a" and "download" in attrs]
        return {str(attrs["download"]): linked(str(attrs["href"])) for attrs in downloads}


def linked(link: str) -> str:
    """The content of a link that holds it."""
    return base64.b64decode(link.partition("base64,")[2]).decode()


def require_charts_are_told(page: Elements, names: set[str]) -> None:
    """Each has a name, a description, and a table of its numbers behind a disclosure."""
    assert set(page.charts) == names
    for name, chart in page.charts.items():
        assert chart.role == "img" and chart.title and chart.description, name
        assert chart.folded_tables == 1 and chart.rows > 1, name


def require_no_foreign_element(page: Elements) -> None:
    """Nothing of EVIL became an element or an attribute."""
    assert not [tag for tag, _ in page.found if tag == "evil"]
    assert not [attrs for _, attrs in page.found if "onload" in attrs]
    ids = [attrs["id"] for _, attrs in page.found if "id" in attrs]
    assert len(ids) == len(set(ids))
