"""The page in a real browser."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from reports.archive import Archive
from reports.overview import overview
from reports.page import render_page

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="needs chromium on PATH"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Return a headless Chromium."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield started
        started.close()


@pytest.fixture
def page(browser: Browser, everything: Archive, tmp_path: Path) -> Iterator[Page]:
    """Return the open page; at the end it must have complained of nothing and asked for nothing."""
    file = tmp_path / "page.html"
    file.write_text(render_page(everything), encoding="utf-8")
    opened = browser.new_page(viewport={"width": 1200, "height": 900})
    complaints: list[str] = []
    opened.on("console", lambda message: complaints.append(message.text))
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on("request", lambda r: None if r.url.startswith(("file:", "data:")) else complaints.append(r.url))
    opened.goto(file.as_uri())
    opened.wait_for_selector("html[data-drawn]")
    yield opened
    opened.close()
    assert complaints == []


def test_what_explains_the_first_table_can_be_read_on_a_phone(page: Page) -> None:
    """The table scrolls sideways; its key stays on the screen."""
    page.set_viewport_size({"width": 420, "height": 900})
    box = page.locator("#overview-key").bounding_box()

    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 420


def column(page: Page, number: int) -> list[str]:
    """Return what the rows of the first table that are shown are sorted by in a column."""
    cells = f"#models-by-suite tbody tr:not([hidden]) > :nth-child({number})"
    return page.eval_on_selector_all(cells, "cells => cells.map(cell => cell.dataset.sort)")


def test_every_chart_is_drawn(page: Page) -> None:
    """Each place holds a picture with marks."""
    drawn = page.eval_on_selector_all(".chart", "all => all.map(c => c.querySelectorAll('svg path').length)")

    assert drawn
    assert min(drawn) > 2


def test_numbers_are_the_records(page: Page, everything: Archive) -> None:
    """The first table says what the counts of the records give, in percent."""
    lines = overview(everything)
    clean = [f"{round(100 * line.clean.share, 2)}" for line in lines if line.clean]
    worst = ["" if line.worst_case is None else f"{100 * line.worst_case.share}" for line in lines]

    assert column(page, 7) == clean
    assert column(page, 9) == worst
    # The network without feedback is the first: two of four.
    assert page.inner_text("#models-by-suite tbody tr:nth-child(1) td:nth-child(7)").startswith("50.0")


def test_a_press_on_a_heading_sorts(page: Page) -> None:
    """By number, up and then down, with what was not measured last both times; the keyboard does the same."""
    heading = page.locator("#models-by-suite th[data-kind] >> nth=8")
    measured = [value for value in column(page, 9) if value]
    missing = [""] * (len(column(page, 9)) - len(measured))
    heading.locator("button").click()
    rising, first = column(page, 9), heading.get_attribute("aria-sort")
    heading.locator("button").press("Enter")

    assert first == "ascending"
    assert rising == sorted(measured, key=float) + missing
    assert heading.get_attribute("aria-sort") == "descending"
    assert column(page, 9) == sorted(measured, key=float, reverse=True) + missing


def test_filters_leave_what_was_asked_for(page: Page) -> None:
    """A suite and a word; how many rows are left is said aloud."""
    every = len(column(page, 1))
    page.select_option("select[data-column=Suite]", "corruptions")
    suites = column(page, 4)
    page.fill("#search", "no such model")

    assert set(suites) == {"corruptions"}
    assert 0 < len(suites) < every
    assert column(page, 1) == []
    assert page.inner_text("output") == f"0 of {every} rows"
    assert page.get_attribute("output", "aria-live") == "polite"


def test_pointing_at_a_marker_shows_its_value(page: Page) -> None:
    """With its interval and n."""
    page.locator("#figure-epsilons_epsilons_cifar10 .mark-symbol path").first.hover()
    tip = page.locator("#vg-tooltip-element.visible")
    tip.wait_for()

    assert "accuracy (%)" in tip.inner_text()
    assert "95 % from" in tip.inner_text()


def test_a_hostile_name_runs_nothing(page: Page) -> None:
    """It is shown as it is."""
    assert page.locator("text=</script><script>alert(1)</script>").count() > 0


@pytest.mark.parametrize("width", [1200, 380])
def test_the_page_is_never_wider_than_the_window(page: Page, width: int) -> None:
    """Wide tables scroll in a region of their own."""
    page.set_viewport_size({"width": width, "height": 800})

    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_light_and_dark(page: Page) -> None:
    """The page follows the reader's setting, and what is printed is light."""
    grounds = {}
    for name, media in (
        ("light", {"color_scheme": "light"}),
        ("dark", {"color_scheme": "dark"}),
        ("print", {"color_scheme": "dark", "media": "print"}),
    ):
        page.emulate_media(**media)
        grounds[name] = page.evaluate("getComputedStyle(document.body).backgroundColor")

    assert grounds["dark"] == "rgb(20, 23, 27)"
    assert grounds["light"] == grounds["print"] == "rgb(255, 255, 255)"
