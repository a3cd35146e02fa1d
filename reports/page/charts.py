"""Figures as Vega-Lite charts.

Colours are CSS variables of the page (`--series-0`, ...): light, dark and print need no second drawing.
"""

from __future__ import annotations

from typing import Any

from reports.figures import Figure, Panel, aside, gap

SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
"""Names the language; nothing is fetched from there."""
SHAPES = (
    "circle",
    "square",
    "triangle-up",
    "diamond",
    "triangle-down",
    "cross",
    "triangle-right",
    "triangle-left",
)
DARK_OKABE_ITO = ("#56B4E9", "#E69F00", "#2fd0a2", "#ff8a4c", "#e59cc4", "#9bd0f5", "#ffffff", "#F0E442")
"""The colours of `reports.drawing.OKABE_ITO` made lighter for a dark page, in their order."""
CONFIG: dict[str, Any] = {
    "background": None,
    "font": "system-ui, sans-serif",
    "view": {"stroke": None},
    "axis": {
        "labelColor": "currentColor",
        "titleColor": "currentColor",
        "domainColor": "currentColor",
        "tickColor": "currentColor",
        "gridColor": "currentColor",
        "gridOpacity": 0.12,
        "titleFontWeight": "normal",
    },
}


def chart(figure: Figure, panel: Panel) -> dict[str, Any]:
    """Return the chart of one panel of curves, bars or points, with its values on hover."""
    return {
        "$schema": SCHEMA,
        "description": description(figure, panel),
        "width": "container",
        "height": 160 if len(figure.panels) > 2 else 280,
        "autosize": {"type": "fit", "contains": "padding"},
        "config": CONFIG,
        "data": {"values": rows(panel)},
        **(_curves(figure, panel) if figure.kind == "curves" else _places(figure)),
    }


def description(figure: Figure, panel: Panel) -> str:
    """Return what a screen reader says of a chart."""
    title = f"{figure.title}, {panel.title}" if panel.title else figure.title
    names = ", ".join(series.label for series in panel.series)
    return f"{title}: {figure.y_label} against {figure.x_label} for {names}. The values follow as a table."


def rows(panel: Panel) -> list[dict[str, Any]]:
    """Return a panel as one record a point; `at` is where on the x axis it is drawn."""
    return [
        {
            "series": series.label,
            "x": point.x,
            "at": point.x if isinstance(point.x, str) else point.x + aside(panel, position),
            "value": round(point.value, 4),
            "low": round(point.low, 4),
            "high": round(point.high, 4),
            "n": point.n,
        }
        for position, series in enumerate(panel.series)
        for point in series.points
    ]


def shape(position: int) -> str:
    """Return the marker of a series."""
    return SHAPES[position % len(SHAPES)]


def _curves(figure: Figure, panel: Panel) -> dict[str, Any]:
    xs = sorted({float(point.x) for series in panel.series for point in series.points})
    axis = {"values": xs, "format": "d"} if all(x.is_integer() for x in xs) else {"tickCount": 6}
    margin = gap(panel) / 3
    x = {
        "field": "at",
        "type": "quantitative",
        "title": figure.x_label,
        "axis": axis,
        "scale": {"domain": [xs[0] - margin, xs[-1] + margin], "nice": False},
    }
    shapes = {
        "field": "series",
        "scale": {"domain": figure.labels, "range": [shape(k) for k in range(len(figure.labels))]},
        "legend": None,
    }
    return {
        "encoding": {"x": x, "color": _color(figure)},
        "layer": [
            {"mark": {"type": "rule", "opacity": 0.6}, "encoding": _interval(figure)},
            {"mark": {"type": "line", "strokeWidth": 1.6}, "encoding": {"y": _y(figure, "value")}},
            {
                "mark": {"type": "point", "filled": True, "size": 60, "opacity": 1},
                "encoding": {"y": _y(figure, "value"), "shape": shapes, "tooltip": _tooltip(figure)},
            },
        ],
    }


def _places(figure: Figure) -> dict[str, Any]:
    labels = figure.labels
    places = {"field": "x", "type": "nominal", "sort": list(figure.places), "title": None}
    x = {**places, "axis": {"labelAngle": -55}}
    aside = {"field": "series", "sort": labels}
    mark = "bar" if figure.kind == "bars" else {"type": "point", "filled": True, "size": 60, "opacity": 1}
    return {
        "encoding": {"x": x, "xOffset": aside},
        "layer": [
            {
                "mark": mark,
                "encoding": {
                    "y": _y(figure, "value"),
                    "color": _color(figure),
                    "tooltip": _tooltip(figure),
                },
            },
            {"mark": {"type": "rule", "color": "currentColor"}, "encoding": _interval(figure)},
        ],
    }


def _y(figure: Figure, field: str) -> dict[str, Any]:
    scale = {"domain": [0, 100]} if "%" in figure.y_label else {"zero": figure.kind == "points"}
    return {"field": field, "type": "quantitative", "title": figure.y_label, "scale": scale}


def _interval(figure: Figure) -> dict[str, Any]:
    return {"y": _y(figure, "low"), "y2": {"field": "high"}, "tooltip": _tooltip(figure)}


def _color(figure: Figure) -> dict[str, Any]:
    colours = [f"var(--series-{k})" for k in range(len(figure.labels))]
    return {"field": "series", "scale": {"domain": figure.labels, "range": colours}, "legend": None}


def _tooltip(figure: Figure) -> list[dict[str, str]]:
    return [
        {"field": "series", "type": "nominal", "title": figure.series_label or "model"},
        {"field": "x", "type": "nominal", "title": figure.x_label},
        {"field": "value", "type": "quantitative", "format": ".3~f", "title": figure.y_label},
        {"field": "low", "type": "quantitative", "format": ".3~f", "title": "95 % from"},
        {"field": "high", "type": "quantitative", "format": ".3~f", "title": "95 % to"},
        {"field": "n", "type": "quantitative", "title": "n"},
    ]
