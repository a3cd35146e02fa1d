from __future__ import annotations

import io
import re
from dataclasses import replace

import matplotlib
import pytest
from PIL import Image

from reports.catalogue import FIGURES
from reports.drawing import OKABE_ITO, colours, draw
from reports.figures import Figure, Panel, Point, Series, as_data, aside, filled
from reports.writing import all_figures


def figure(count: int = 2, kind: str = "curves", panels: int = 1, **changes: object) -> Figure:
    """Return a figure of some lines through the same points."""
    points = tuple(Point(f"k{x}" if kind != "curves" else x, 50, 40, 60, 9) for x in range(3))
    series = tuple(Series(f"line {k}", points) for k in range(count))
    fields = {"places": ("k0", "k1", "k2")} if kind != "curves" else {}
    drawn = tuple(Panel(f"panel {k}", series) for k in range(panels))
    return Figure("title", kind, "x (unit)", "y (%)", drawn, **(fields | changes))


@pytest.mark.parametrize(
    ("kind", "panels"), [("curves", 1), ("curves", 7), ("bars", 1), ("points", 1), ("heat", 1)]
)
def test_every_kind_is_drawn_in_every_format(kind: str, panels: int) -> None:
    """PDF, SVG with real text, and PNG with something on it."""
    files = draw(figure(kind=kind, panels=panels))
    picture = Image.open(io.BytesIO(files["png"])).convert("L")

    assert files["pdf"].startswith(b"%PDF-")
    assert b"y (%)" in files["svg"]
    assert files.keys() == {"pdf", "svg", "png"}
    assert picture.width > 1000
    assert picture.getextrema()[0] < 100


def test_every_lowest_panel_says_what_x_is() -> None:
    """Of seven panels in rows of five, also the three above an empty place; three stand in one row."""
    assert draw(figure(panels=7))["svg"].count(b"x (unit)") == 5
    assert draw(figure(panels=5))["svg"].count(b"x (unit)") == 2
    assert draw(figure(panels=3))["svg"].count(b"x (unit)") == 3


def test_the_same_figure_is_the_same_files() -> None:
    """No date and no random name is in them."""
    first, second = draw(figure()), draw(figure())

    assert first == second
    assert not any(b"CreationDate" in content or b"dc:date" in content for content in first.values())


def test_files_say_what_they_were_made_with() -> None:
    """Each holds title and provenance as metadata, whatever the letters, wherever it is copied alone."""
    files = draw(replace(figure(), title="a < b", provenance=("n = 9", "weights: µ (sha256 abc)")))
    picture = Image.open(io.BytesIO(files["png"]))
    told = "n = 9; weights: µ (sha256 abc)"

    assert (picture.text["Title"], picture.text["Description"]) == ("a < b", told)
    assert b"<dc:title>a &lt; b</dc:title>" in files["svg"]
    assert f"<dc:description>{told}</dc:description>".encode() in files["svg"]
    assert b"/Title (a < b)" in files["pdf"]
    assert told.encode("utf-16-be") in unescaped(files["pdf"])


def unescaped(pdf: bytes) -> bytes:
    """Return the bytes of a PDF file with the backslashes of its strings resolved."""
    return re.sub(rb"\\(.)", rb"\1", pdf, flags=re.DOTALL)


def test_drawing_leaves_matplotlib_as_it_was() -> None:
    """A person's own settings survive a report."""
    before = dict(matplotlib.rcParams)
    draw(figure())

    assert dict(matplotlib.rcParams) == before


def test_lines_differ_in_colour_and_in_marker() -> None:
    """Few are told apart by a palette for any colour vision, many and ordered ones by a scale."""
    assert colours(figure(3)) == list(OKABE_ITO[:3])
    for many in (figure(12), figure(4, is_ordered=True)):
        assert len(set(colours(many))) == len(many.labels)
        assert not set(colours(many)) & set(OKABE_ITO)


def test_intervals_stand_side_by_side() -> None:
    """Lines through the same points are moved apart, evenly and by less than half the way to the next x."""
    panel = figure(3).panels[0]
    moved = [aside(panel, position) for position in range(3)]

    assert moved == pytest.approx([-0.12, 0, 0.12])
    assert aside(figure(1).panels[0], 0) == 0


def test_the_data_of_a_figure_is_all_that_is_drawn(everything) -> None:
    """Each has its values, its intervals around them, n, and where they are from."""
    figures = all_figures(everything)

    # Those of the Predify paper are tested beside their tables.
    expected = {name for name in FIGURES if not name.startswith("predify-")}
    assert {name.split("_")[0] for name in figures} == expected
    for found in figures.values():
        assert any("sha256" in note for note in as_data(found)["notes"])
        for panel in found.panels:
            for point in (point for series in panel.series for point in series.points):
                assert point.low <= point.value <= point.high
                assert point.n > 0


def test_what_has_no_points_is_left_out() -> None:
    """A curve alone in its panel takes the panel along, and the last panel the figure."""
    line, empty = figure(1).panels[0].series[0], Series("empty", ())
    whole, none = Panel("whole", (empty, line)), Panel("none", (empty,))

    assert filled(replace(figure(), panels=(none, whole))).panels == (Panel("whole", (line,)),)
    assert filled(replace(figure(), panels=(none,))) is None
    assert filled(figure()) == figure()


@pytest.mark.parametrize(
    ("places", "angle"), [(("clean", "mean of 10 epsilons"), 0), (("noise " * 9, "fog") * 2, 55)]
)
def test_names_of_places_are_turned_only_where_they_do_not_fit(places, angle) -> None:
    """A long name on end takes the room of the panels."""
    from reports.drawing import _canvas

    points = tuple(Point(place, 1, 0, 2, 9) for place in places)
    drawn = _canvas(Figure("t", "points", "x", "y", (Panel("", (Series("a", points),)),), places=places))

    assert {label.get_rotation() for label in drawn.axes[0].get_xticklabels()} == {angle}
