"""Figures drawn by matplotlib, for print: a marker beside every colour, intervals, no colour-only meaning."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from reports.figures import Figure, Panel, Series, aside, gap

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

OKABE_ITO = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#000000", "#F0E442")
"""Colours that people with any colour vision tell apart (Okabe & Ito 2008); yellow, the palest, last."""
MARKERS = "osD^vP*X<>"
HATCHES = ("", "//", "..", "xx", "\\\\", "++", "--", "oo")
STYLE: dict[Any, Any] = {
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.5,
    "legend.frameon": False,
    "lines.linewidth": 1.2,
    "lines.markersize": 4,
    # The same figure is the same file.
    "svg.hashsalt": "feedback-bench",
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
}
LEFT_OUT: dict[str, dict[str, Any]] = {
    "pdf": {"CreationDate": None, "Producer": None, "Creator": None},
    "svg": {"Date": None, "Creator": None},
    "png": {"Software": None},
}
"""Metadata that is left out of a file so that it depends on the figure alone."""
DESCRIPTION = {"pdf": "Subject", "svg": "Description", "png": "Description"}
"""Where a file says what the figure was made with."""
WIDTH = 6.8
"""Inches: the text width of most papers."""
ROOM = 100
"""Letters of the tick labels that fit beside each other below one pair of axes."""
TICKS = 15
"""Numbers that fit there."""


def draw(figure: Figure) -> dict[str, bytes]:
    """Return a figure as PDF, SVG and PNG (200 dots an inch), with title and provenance as metadata."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    with matplotlib.rc_context(STYLE):
        canvas = _canvas(figure)
        FigureCanvasAgg(canvas)
        # Finding the places of everything takes most of the time, and they are the same in every format.
        canvas.draw_without_rendering()
        canvas.set_layout_engine("none")
        files = {}
        for style, left_out in LEFT_OUT.items():
            buffer = io.BytesIO()
            told = {"Title": figure.title, DESCRIPTION[style]: "; ".join(figure.provenance)}
            metadata = left_out | {key: text for key, text in told.items() if text}
            canvas.savefig(buffer, format=style, metadata=metadata, dpi=200)
            files[style] = buffer.getvalue()
    return files


def colours(figure: Figure) -> list[str]:
    """Return one colour per series: a scale for steps of a quantity, else distinct ones."""
    count = len(figure.labels)
    if not figure.is_ordered and count <= len(OKABE_ITO):
        return list(OKABE_ITO[:count])
    import matplotlib
    from matplotlib.colors import to_hex

    # The palest end of the scale would not be seen on paper.
    return [to_hex(matplotlib.colormaps["viridis"](0.9 * k / max(1, count - 1))) for k in range(count)]


def _canvas(figure: Figure) -> Canvas:
    from matplotlib.figure import Figure as Canvas

    columns = _columns(figure)
    rows = math.ceil(len(figure.panels) / columns)
    canvas = Canvas(figsize=(WIDTH, _height(figure, columns, rows)), layout="constrained")
    grid = canvas.subplots(rows, columns, squeeze=False, sharex=False, sharey=True)
    axes = list(grid.flat)
    for unused in axes[len(figure.panels) :]:
        unused.remove()
    drawn = axes[: len(figure.panels)]
    for position, (panel, axis) in enumerate(zip(figure.panels, drawn, strict=True)):
        axis.set_title(panel.title)
        DRAWERS[figure.kind](figure, panel, axis)
        if figure.kind != "heat" and position % columns == 0:
            axis.set_ylabel(figure.y_label)
        # The panels above an empty place have nothing below them that says what x is.
        is_lowest = position + columns >= len(drawn)
        if figure.kind != "heat" and is_lowest:
            axis.set_xlabel(figure.x_label)
        axis.tick_params(labelbottom=is_lowest)
    canvas.suptitle(figure.title, fontsize=9)
    if figure.kind != "heat":
        _legend(figure, canvas, drawn)
    return canvas


def _columns(figure: Figure) -> int:
    """Return how many panels stand side by side."""
    panels = len(figure.panels)
    if figure.kind != "curves":
        return 1
    return 5 if panels > 6 else 3 if panels == 3 else min(panels, 2)


def _height(figure: Figure, columns: int, rows: int) -> float:
    if figure.kind == "heat":
        return sum(1.5 + 0.26 * len(panel.series) for panel in figure.panels)
    height = 1.45 if columns > 3 else 2.5
    legend = 0.2 * math.ceil(len(figure.labels) / 4)
    return 0.6 + rows * height + legend


def _legend(figure: Figure, canvas: Canvas, axes: Sequence[Axes]) -> None:
    handles: dict[str, Any] = {}
    for axis in axes:
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    if len(handles) > 1:
        labels = [label for label in figure.labels if label in handles]
        canvas.legend(
            [handles[label] for label in labels],
            labels,
            title=figure.series_label or None,
            loc="outside lower center",
            ncols=min(4, len(labels)),
        )


def _draw_curves(figure: Figure, panel: Panel, axis: Axes) -> None:
    names, colour = figure.labels, colours(figure)
    xs = sorted({float(point.x) for series in panel.series for point in series.points})
    for position, series in enumerate(panel.series):
        k = names.index(series.label)
        moved = aside(panel, position)
        axis.errorbar(
            [float(point.x) + moved for point in series.points],
            [point.value for point in series.points],
            yerr=_bars(series),
            label=series.label,
            color=colour[k],
            marker=MARKERS[k % len(MARKERS)],
            markeredgecolor="white",
            markeredgewidth=0.4,
            elinewidth=0.7,
            capsize=1.5,
        )
    margin = gap(panel) / 3
    axis.set_xlim(xs[0] - margin, xs[-1] + margin)
    if all(x.is_integer() for x in xs):
        # Every one where they fit.
        axis.set_xticks(xs[:: math.ceil(len(xs) / TICKS)])
    if "%" in figure.y_label:
        axis.set_ylim(-3, 103)


def _bars(series: Series) -> tuple[list[float], list[float]]:
    """Return how far the interval of each point goes down and up."""
    below = [max(0.0, point.value - point.low) for point in series.points]
    above = [max(0.0, point.high - point.value) for point in series.points]
    return below, above


def _draw_bars(figure: Figure, panel: Panel, axis: Axes) -> None:
    colour = colours(figure)
    for k, series, xs in _beside_each_other(figure, panel):
        axis.bar(
            xs,
            [point.value for point in series.points],
            0.8 / len(panel.series),
            yerr=_bars(series),
            label=series.label,
            color=colour[k],
            hatch=HATCHES[k % len(HATCHES)],
            edgecolor="white",
            linewidth=0.3,
            error_kw={"elinewidth": 0.7, "capsize": 1.2, "ecolor": "#333333"},
        )
    _name_places(figure, axis)
    if "%" in figure.y_label:
        axis.set_ylim(0, 103)


def _draw_points(figure: Figure, panel: Panel, axis: Axes) -> None:
    colour = colours(figure)
    axis.axhline(0, color="#333333", linewidth=0.7)
    for k, series, xs in _beside_each_other(figure, panel):
        axis.errorbar(
            xs,
            [point.value for point in series.points],
            yerr=_bars(series),
            label=series.label,
            color=colour[k],
            marker=MARKERS[k % len(MARKERS)],
            linestyle="none",
            elinewidth=0.9,
            capsize=1.5,
        )
    _name_places(figure, axis)


def _beside_each_other(figure: Figure, panel: Panel) -> Iterator[tuple[int, Series, list[float]]]:
    """Yield each series with its number in the figure and where its points are."""
    places, names = figure.places, figure.labels
    width = 0.8 / len(panel.series)
    for k, series in enumerate(panel.series):
        offset = (k - (len(panel.series) - 1) / 2) * width
        yield names.index(series.label), series, [places.index(str(p.x)) + offset for p in series.points]


def _name_places(figure: Figure, axis: Axes) -> None:
    is_narrow = len(figure.places) * max(map(len, figure.places)) > ROOM
    turned: dict[str, Any] = {"rotation": 55, "ha": "right", "rotation_mode": "anchor"} if is_narrow else {}
    axis.set_xticks(range(len(figure.places)), figure.places, **turned)
    axis.grid(visible=False, axis="x")


def _draw_heat(figure: Figure, panel: Panel, axis: Axes) -> None:
    import numpy as np

    places = figure.places
    found = {(series.label, str(point.x)): point for series in panel.series for point in series.points}
    most = max(point.n for point in found.values())
    rows = [[found.get((series.label, place)) for place in places] for series in panel.series]
    values = [[math.nan if point is None else point.value for point in row] for row in rows]
    image = axis.imshow(values, vmin=0, vmax=100, cmap="cividis", aspect="auto")
    for (down, across), point in ((at, rows[at[0]][at[1]]) for at in np.ndindex(len(rows), len(places))):
        text = "-" if point is None else f"{point.value:.1f}" + (f"\nn={point.n}" if point.n < most else "")
        ink = "white" if point is not None and point.value < 55 else "black"
        axis.text(across, down, text, ha="center", va="center", color=ink, fontsize=6, linespacing=0.9)
    axis.set_xticks(range(len(places)), places, rotation=35, ha="right", rotation_mode="anchor")
    axis.set_yticks(range(len(panel.series)), [series.label for series in panel.series])
    axis.grid(visible=False)
    if axis.figure is not None:
        axis.figure.colorbar(image, ax=axis, label=figure.y_label, fraction=0.03, pad=0.02)


DRAWERS: dict[str, Callable[[Figure, Panel, Axes], None]] = {
    "curves": _draw_curves,
    "bars": _draw_bars,
    "points": _draw_points,
    "heat": _draw_heat,
}
