from __future__ import annotations

import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

import reports.page.render
from reports.cell import Perturbation
from reports.page import render_page
from reports.page.content import content

VENDOR = Path(reports.page.render.__file__).parent / "vendor"


class Elements(HTMLParser):
    """All elements of a page with their attributes, and the text of its scripts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data: str) -> None:
        if self.found and self.found[-1][0] == "script":
            self.scripts[-1] += data


@pytest.fixture
def page(everything) -> Elements:
    cards = {"cnnf_cifar": {"sha256": "a" * 64, "note": "<b>&", "recipe": {"epochs": 3}, "accuracies": [1]}}
    record = next(r for r in everything.records if r.cell.perturbation is None)
    everything.stores[record.key].keep_example(record.cell.images_key, b"\x89PNG")
    return Elements(render_page(everything, cards))


def test_it_is_one_file(page: Elements) -> None:
    """No element names another file, and the page forbids itself the network."""
    sources = [
        value
        for _, attributes in page.found
        for name, value in attributes.items()
        if name in ("src", "href", "srcset", "data", "action") and value
    ]
    (policy,) = (a["content"] for tag, a in page.found if tag == "meta" and "http-equiv" in a)

    assert all(source.startswith(("#", "data:")) for source in sources)
    assert policy.startswith("default-src 'none';")
    assert not any("sourceMappingURL" in script for script in page.scripts)


def test_a_hostile_name_is_text(everything) -> None:
    """A model named as the end of a script ends nothing and starts nothing."""
    text = render_page(everything)
    page = Elements(text)

    assert not any("alert(1)" in script and "<script" in script for script in page.scripts)
    assert "<script>alert(1)" not in text
    assert "&lt;/script&gt;&lt;script&gt;alert(1)" in text


def test_charts_are_data(page: Elements, everything) -> None:
    """Every one can be read, says what it shows, and has markers, intervals and values on hover."""
    charts = [json.loads(script) for script in page.scripts if script.startswith('{"$schema"')]

    assert charts
    for chart in charts:
        assert "The values follow as a table." in chart["description"]
        assert any("tooltip" in layer["encoding"] for layer in chart["layer"])
        assert all(row["low"] <= row["value"] <= row["high"] for row in chart["data"]["values"])


def test_tables_are_tables(page: Elements) -> None:
    """Headings have a scope, sortable ones a state; what scrolls can be reached by the keyboard."""
    headings = [attributes for tag, attributes in page.found if tag == "th"]
    scrolling = [a for _, a in page.found if a.get("class") == "scroll"]

    assert all(heading["scope"] in ("col", "row", "colgroup") for heading in headings)
    assert sum(heading.get("aria-sort") == "none" for heading in headings) == 10
    assert all(region["tabindex"] == "0" and region["role"] == "region" for region in scrolling)
    assert [a["alt"] for tag, a in page.found if tag == "img"] == ["cifar10: clean: a row of test images"]


def test_cards_are_shown_for_their_own_weights(everything) -> None:
    """With nested entries by name; a card of other weights is none."""
    own = {"cnnf_cifar": {"sha256": "a" * 64, "recipe": {"epochs": 3, "rate": 1 / 3}}}
    others = {"cnnf_cifar": {"sha256": "f" * 64, "recipe": {"epochs": 3}}}

    assert "<dt>recipe: epochs</dt><dd>3</dd><dt>recipe: rate</dt><dd>0.333333</dd>" in render_page(
        everything, own
    )
    assert "recipe: epochs" not in render_page(everything, others)


def test_settings_are_shown_with_their_model(stored) -> None:
    """Two settings of the same weights are two models, told apart in the overview."""
    settings = {"beta": [0.8, 0.7], "compat": None}
    page = render_page(stored(([True], {"settings": settings}), ([True], {"settings": {"beta": 0.7}})), {})

    assert "<dt>settings</dt><dd>beta (0.8, 0.7)</dd>" in page
    assert "<dt>settings</dt><dd>beta 0.7</dd>" in page
    assert len(set(re.findall(r"cnnf_cifar settings \w{8}", page))) == 2
    assert "<dt>settings</dt>" not in render_page(stored(([True], {})), {})


def test_seeds_are_shown_where_there_are_several(stored) -> None:
    """Two lines of the overview that differ in nothing else say which is which."""
    once, twice = (stored(*(([True], {"seed": seed}) for seed in seeds)) for seeds in ((0,), (0, 1)))
    shown = content(twice, {})["overview"]

    assert ("Seed", "number") not in content(once, {})["overview"]["columns"]
    place = shown["columns"].index(("Seed", "number"))
    assert [row[place].text for row in shown["rows"]] == ["0", "1"]
    assert {len(row) for row in shown["rows"]} == {len(shown["columns"])}


def test_noise_and_a_perfect_first_pass_have_a_page(stored) -> None:
    """Images of noise can be looked at; over an error of 0 there is no ratio to draw."""
    noise = Perturbation(
        kind="noise", name="gaussian", backend="native", settings={"sigma": 0.25, "deviation": 0.5}
    )
    fog = Perturbation(kind="corruption", name="fog", backend="native", settings={"severity": 1})
    archive = stored(
        *(
            ([True] * 4, {"suite": "predify-paper", "perturbation": done, "iterations": iterations})
            for done in (noise, fog)
            for iterations in (0, 1)
        )
    )
    for record in archive.records:
        archive.stores[record.key].keep_example(record.cell.images_key, b"PNG")
    page = render_page(archive)

    assert "cifar10: noise, sigma 0.25" in page
    assert "figure-predify-noise" in page
    assert "figure-predify-corruptions" not in page


def test_the_library_is_the_one_that_was_vendored() -> None:
    """Each file has the hash that its README names, and a licence beside it."""
    listed = re.findall(r"\| (\S+\.min\.js) \|.*\| (\w{64}) \|", (VENDOR / "README.md").read_text())

    assert {name for name, _ in listed} == {path.name for path in VENDOR.glob("*.js")}
    for name, sha256 in listed:
        assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == sha256
        assert (VENDOR / name.replace(".min.js", ".LICENSE")).read_text().strip()
