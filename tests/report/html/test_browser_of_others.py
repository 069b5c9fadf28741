"""The pages that are no run's in a real browser: nothing leaves them, anybody can read them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser

from edgeq.errors import DeviceError
from edgeq.report.html.comparison.page import render_comparison
from edgeq.report.html.rollout.page import render_rollout_html
from edgeq.report.html.study.page import render_study_html
from edgeq.report.html.tuning.page import render_tuning_html

from ...store.comparisons import comparison
from .records import rolled_out, studied, tuned

PHONE, PAPER = 400, 718
PAGES: dict[str, Callable[[], str]] = {
    "comparison": lambda: render_comparison(
        [comparison(), comparison(device="barn-08"), DeviceError("barn-09", "is off")]
    ),
    "tuning": lambda: render_tuning_html(tuned()),
    "study": lambda: render_study_html(studied()),
    "rollout": lambda: render_rollout_html(*rolled_out()),
}
DRAWN = """() => [...document.querySelectorAll("figure.chart")].map((figure) => {
    const svg = figure.querySelector(".drawn > svg"), box = svg.getBoundingClientRect();
    return [figure.id, box.width * box.height, [...svg.querySelectorAll("path, use")]
      .filter((one) => {
        const style = getComputedStyle(one), at = one.getBoundingClientRect();
        return (style.stroke !== "none" || style.fill !== "none") && at.width + at.height > 2;
      }).length];
})"""
CUT = """(width) => [...document.querySelectorAll(".chart, table")]
    .filter((one) => one.checkVisibility({contentVisibilityAuto: true}))
    .map((one) => [one.id || one.className, one.getBoundingClientRect()])
    .filter(([_, box]) => box.left < 0 || box.right > width + 1).map(([name]) => name)"""


@pytest.mark.parametrize("name", PAGES)
def test_page_can_be_read_by_anybody_anywhere(browser: Browser, name: str, tmp_path: Path) -> None:
    file = tmp_path / f"{name}.html"
    file.write_text(PAGES[name](), encoding="utf-8")
    page = browser.new_page(viewport={"width": PHONE, "height": 900}, color_scheme="dark")
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: said.append(request.url))

    page.goto(file.as_uri(), wait_until="networkidle")
    charts = page.evaluate(DRAWN)
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    widths = [page.evaluate("document.documentElement.scrollWidth")]
    page.emulate_media(color_scheme="light")
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    widths.append(page.evaluate("document.documentElement.scrollWidth"))
    page.set_viewport_size({"width": PAPER, "height": 1047})
    page.emulate_media(media="print")
    cut = page.evaluate(CUT, PAPER)
    page.emulate_media(media="screen", color_scheme="dark")
    page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
    # What is inside of a picture with a name is the picture's.
    found = Axe().run(page, context={"exclude": [["svg[role=img] > *"]]})
    page.close()

    assert [text for text in said if not text.startswith("data:")] == [file.as_uri()]
    assert charts
    for chart, area, shapes in charts:
        assert area > 15_000 and shapes > 5, chart
    assert dark != light and max(widths) <= PHONE
    assert cut == []
    assert found.violations_count == 0, found.generate_report()
