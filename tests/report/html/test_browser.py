"""The page in a real browser: nothing leaves it, and it can be read by anybody, anywhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page, ViewportSize

from .pages import of_a_full_run, of_demo, written

Scheme = Literal["light", "dark"]
SCHEMES: tuple[Scheme, ...] = ("light", "dark")
PHONE, DESK = 400, 1280
PRINTED: ViewportSize = {"width": 718, "height": 1047}
"""A4 without margins of a centimetre, in CSS pixels."""


@pytest.fixture(scope="module")
def file(reckoned: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(of_a_full_run(of_demo(reckoned)), tmp_path_factory.mktemp("page"))


@pytest.fixture(scope="module", params=[DESK, PHONE], ids=["desk", "phone"])
def page(browser: Browser, file: Path, request: pytest.FixtureRequest) -> Iterator[Page]:
    """The page in a window of such a width, with what it said and asked for."""
    opened = browser.new_page(viewport={"width": request.param, "height": 900})
    opened.goto(file.as_uri())
    yield opened
    opened.close()


def test_nothing_is_said_and_nothing_asked_for(browser: Browser, file: Path) -> None:
    opened = browser.new_page()
    said: list[str] = []
    asked: list[str] = []
    opened.on("console", lambda message: said.append(message.text))
    opened.on("pageerror", lambda error: said.append(str(error)))
    opened.on("request", lambda request: asked.append(request.url))

    opened.goto(file.as_uri(), wait_until="networkidle")
    opened.close()

    assert said == []
    assert [url for url in asked if not url.startswith("data:")] == [file.as_uri()]


def test_every_id_is_one_place(page: Page) -> None:
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map((one) => one.id)")
    named = page.evaluate(
        "[...document.querySelectorAll('nav a, .skip')].map((one) => one.getAttribute('href'))"
    )

    assert sorted(ids) == sorted(set(ids))
    assert {name.removeprefix("#") for name in named} <= set(ids)


def test_every_chart_has_data_a_name_a_description_and_its_numbers(page: Page) -> None:
    charts = page.evaluate(
        """() => [...document.querySelectorAll("figure.chart")].map((figure) => {
          const svg = figure.querySelector(".drawn > svg"), box = svg.getBoundingClientRect();
          return {
            name: figure.id,
            role: svg.getAttribute("role"),
            labels: svg.getAttribute("aria-labelledby").split(" ")
              .map((id) => document.getElementById(id).textContent.trim().length),
            direct: [svg.children[0].tagName, svg.children[1].tagName],
            // What stands for data is in a colour that no axis has.
            drawn: [...svg.querySelectorAll("path, use")].filter((one) => {
              const at = one.getBoundingClientRect();
              return /--(float|simulated|fp16|device|lost|found|changed|soft)/.test(
                one.getAttribute("style")) && at.width + at.height > 2;
            }).length,
            area: box.width * box.height,
            rows: figure.querySelectorAll("details tbody tr").length,
            csv: figure.querySelectorAll("details a[download$='.csv']").length,
          };
        })"""
    )

    assert {one["name"] for one in charts} == {
        *("mistakes", "curve", "classes", "sizes", "stages", "course", "soak", "streams"),
        *("depth", *(f"histogram-{number}" for number in range(1, 7)), "tradeoff"),
        *(f"series-{number}" for number in range(1, 8)),
    }
    for one in charts:
        assert one["role"] == "img" and one["direct"] == ["title", "desc"], one
        assert all(one["labels"]) and one["drawn"] and one["area"] > 20_000, one
        assert one["rows"] > 0 and one["csv"] == 1, one


@pytest.mark.parametrize(("width", "scheme"), [(DESK, "light"), (PHONE, "dark")])
def test_axe_finds_nothing(browser: Browser, file: Path, width: int, scheme: Scheme) -> None:
    from axe_playwright_python.sync_playwright import Axe

    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page.goto(file.as_uri())
    # Rows are alike, and what is inside of a picture with a name is the picture's.
    page.evaluate(
        """() => {
          for (const one of document.querySelectorAll("details")) one.open = true;
          for (const row of document.querySelectorAll("tbody tr:nth-child(n + 4)")) row.remove();
        }"""
    )

    found = Axe().run(page, context={"exclude": [["svg[role=img] > *"]]})
    page.close()

    assert found.violations_count == 0, found.generate_report()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_nothing_is_wider_than_its_window(page: Page, scheme: Scheme) -> None:
    page.emulate_media(color_scheme=scheme)

    width, window = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")

    assert width <= window


def test_it_is_dark_where_the_reader_is(page: Page) -> None:
    def colours(scheme: Scheme) -> list[str]:
        page.emulate_media(color_scheme=scheme)
        found: list[str] = page.evaluate(
            """() => [
              getComputedStyle(document.body).backgroundColor,
              getComputedStyle(document.querySelector("#curve svg text")).fill,
              getComputedStyle(document.querySelector("#curve svg path[style*=device]")).stroke,
            ]"""
        )
        return found

    light, dark = colours("light"), colours("dark")

    assert all(one != other for one, other in zip(light, dark, strict=True))


def test_a_filter_leaves_what_was_asked_for(page: Page) -> None:
    visible = """() => [...document.querySelectorAll(".shot:not([hidden]) .mask")]
        .filter((one) => one.style.display !== "none").map((one) => one.dataset.class)"""
    before = page.evaluate(visible)

    page.select_option("#by-class", "=pig")
    pigs = page.evaluate(visible)
    page.check("#differing")
    same = page.evaluate(
        "[...document.querySelectorAll('.mask.same')].some((one) => one.style.display !== 'none')"
    )
    page.uncheck("#differing")
    page.select_option("#by-class", "")

    assert set(pigs) == {"pig"} and pigs.count("pig") == before.count("pig")
    assert not same
    assert page.evaluate(visible) == before


def test_a_class_may_have_any_name(browser: Browser, reckoned: Path, tmp_path: Path) -> None:
    known = of_demo(reckoned)
    assert known.evidence is not None
    names = ("two  spaces ", "", *known.evidence.classes[2:])
    evidence = known.evidence.model_copy(update={"classes": names})
    opened = browser.new_page()
    opened.goto(written(known.model_copy(update={"evidence": evidence}), tmp_path).as_uri())
    visible = """() => [...document.querySelectorAll(".shot:not([hidden]) .mask")]
        .filter((one) => one.style.display !== "none").map((one) => one.dataset.class)"""
    there = opened.evaluate(visible)

    chosen = {}
    for name in names[:2]:
        opened.select_option("#by-class", f"={name}")
        chosen[name] = opened.evaluate(visible)
    told = opened.inner_text("#hidden-note")
    opened.close()

    for name, found in chosen.items():
        assert set(found) == {name} and len(found) == there.count(name)
    assert told.endswith(("shown here has such an object.", "shown here have such an object."))


def test_columns_lie_beside_each_other_on_a_phone_and_can_be_reached_by_keys(
    page: Page,
) -> None:
    lie = """() => [...document.querySelectorAll(".panels")].map((one) => [
        new Set([...one.children].map((panel) => panel.getBoundingClientRect().top)).size,
        one.scrollWidth > one.clientWidth, one.tabIndex])"""
    width = page.viewport_size["width"] if page.viewport_size else 0
    for rows, scrolls, tab_index in page.evaluate(lie):
        assert (rows, scrolls, tab_index) == (1, width == PHONE, 0)


def test_no_figure_is_cut_on_paper(browser: Browser, file: Path) -> None:
    """Each lies within the paper's width, is lower than a page, and is not to be broken."""
    opened = browser.new_page(viewport=PRINTED)
    opened.goto(file.as_uri())
    opened.emulate_media(media="print")

    boxes = opened.evaluate(
        """() => [...document.querySelectorAll(".chart, .shot, table")]
            .filter((one) => one.checkVisibility({contentVisibilityAuto: true})).map((one) => {
          const box = one.getBoundingClientRect();
          return [one.id || one.className, box.left, box.right, box.height,
                  one.tagName === "TABLE" ? "avoid" : getComputedStyle(one).breakInside,
                  one.tagName === "TABLE"];
        })"""
    )
    opened.close()

    assert boxes
    for name, left, right, height, breaks, may_go_on in boxes:
        assert left >= 0 and right <= PRINTED["width"] + 1, name
        assert breaks == "avoid" and (may_go_on or height < PRINTED["height"]), name
