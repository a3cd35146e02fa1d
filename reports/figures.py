"""Figures as data: what is drawn, before anything draws it."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Literal

from reports.metrics import Accuracy, MeanAccuracy
from reports.values import Mean, Share


@dataclass(frozen=True)
class Point:
    """A value with its 95 % interval."""

    x: float | str
    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Series:
    """Points of one meaning: a line, the bars of one colour, or a row of a heat map."""

    label: str
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Panel:
    """One pair of axes."""

    title: str
    series: tuple[Series, ...]


@dataclass(frozen=True)
class Figure:
    """Panels that share their axes, with what a reader must know beside them."""

    title: str
    kind: Literal["curves", "bars", "points", "heat"]
    """Points are like bars but without a foot: for differences, which may be 0."""
    x_label: str
    y_label: str
    panels: tuple[Panel, ...]
    series_label: str = ""
    """What tells the series apart."""
    is_ordered: bool = False
    """Whether the series are steps of one quantity, to be told apart by a scale of colours."""
    places: tuple[str, ...] = ()
    """The order of bars, of points or of the columns of a heat map, whose places are names."""
    notes: tuple[str, ...] = ()
    provenance: tuple[str, ...] = ()

    @property
    def labels(self) -> list[str]:
        """The series of all panels, in the order in which they first appear."""
        return list(dict.fromkeys(series.label for panel in self.panels for series in panel.series))


SPREAD = 0.24
"""How far apart the points of one x may be drawn, as a share of the distance to the next x."""


def gap(panel: Panel) -> float:
    """Return the smallest distance between two x of curves; 1 if there is only one."""
    xs = sorted({float(point.x) for series in panel.series for point in series.points})
    return min((after - before for before, after in pairwise(xs)), default=1.0)


def aside(panel: Panel, position: int) -> float:
    """Return how far a curve is moved along x, so that intervals do not hide each other."""
    last = len(panel.series) - 1
    return gap(panel) * SPREAD * (position - last / 2) / max(1, last)


def percent_at(x: float | str, value: Accuracy | MeanAccuracy | Share) -> Point:
    """Return a share as a point, in percent."""
    low, high = value.interval
    return Point(x, 100 * value.share, 100 * low, 100 * high, value.n)


def mean_at(x: float | str, value: Mean) -> Point:
    """Return a mean as a point."""
    low, high = value.interval or (value.mean, value.mean)
    return Point(x, value.mean, low, high, value.n)


def filled(figure: Figure) -> Figure | None:
    """Return a figure without empty series and panels, None if nothing is left."""
    kept = (
        Panel(panel.title, tuple(series for series in panel.series if series.points))
        for panel in figure.panels
    )
    panels = tuple(panel for panel in kept if panel.series)
    return replace(figure, panels=panels) if panels else None


def as_data(figure: Figure) -> dict[str, Any]:
    """Return a figure as what JSON can hold."""
    return {
        "title": figure.title,
        "kind": figure.kind,
        "x": figure.x_label,
        "y": figure.y_label,
        "series": figure.series_label,
        "panels": [
            {
                "title": panel.title,
                "series": [
                    {"label": series.label, "points": [_rounded(point) for point in series.points]}
                    for series in panel.series
                ],
            }
            for panel in figure.panels
        ],
        "notes": [*figure.notes, *figure.provenance],
    }


def to_json(figure: Figure) -> str:
    """Return a figure's data as a JSON object."""
    return json.dumps(as_data(figure), indent=1, allow_nan=False, ensure_ascii=False) + "\n"


def _rounded(point: Point) -> dict[str, float | str | int]:
    x = point.x if isinstance(point.x, str) else round(point.x, 6)
    numbers = {name: round(getattr(point, name), 4) for name in ("value", "low", "high")}
    return {"x": x, **numbers, "n": point.n}
