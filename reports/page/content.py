"""What stands on the page, ready for the template: texts, numbers and charts, no markup."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from reports.archive import Archive
from reports.attacks_run import attack_name, attacked
from reports.catalogue import TABLES, made
from reports.drawing import OKABE_ITO, colours
from reports.examples import examples
from reports.figures import Figure
from reports.metrics import Accuracy, MeanAccuracy
from reports.overview import Line, overview
from reports.page import charts
from reports.records import Record
from reports.subjects import names_of, settings_of
from reports.tables import DASH, Column, Table
from reports.values import Value, fields, texts
from reports.writing import all_figures

Cards = Mapping[str, Mapping[str, Any]]
"""Model -> card of its weights."""


@dataclass(frozen=True)
class Entry:
    """One field of a table on the page."""

    text: str
    sort: str | float | bool | None = ""
    """What it is sorted by; nothing for what was not measured."""
    details: str = ""
    remark: str = ""
    heat: str = ""
    """Its colour on a heat map."""
    ink: str = ""


OVERVIEW = (
    ("Model", "text"),
    ("Weights", "text"),
    ("Dataset", "text"),
    ("Suite", "text"),
    ("Iterations", "number"),
    ("Readout", "text"),
    ("Clean", "number"),
    ("Weakest attack", "number"),
    ("Worst case", "number"),
    ("Corrupted", "number"),
)
"""Columns of the first table and how they are sorted."""
SEED = 4
"""Place of the column of seeds, which is shown where there are several."""


def content(archive: Archive, cards: Cards) -> dict[str, Any]:
    """Return the variables of the template.

    Raises:
        RecordError: If outcomes are missing or damaged.
    """
    lines = overview(archive)
    has_seeds = len({line.seed for line in lines}) > 1
    names = names_of(line.answer.identity for line in lines)
    figures = {name: figure for name, figure in all_figures(archive).items() if figure.kind != "heat"}
    return {
        "overview": {
            "columns": [*OVERVIEW[:SEED], *([("Seed", "number")] if has_seeds else []), *OVERVIEW[SEED:]],
            "rows": [_overview_row(line, names[line.answer.identity], has_seeds) for line in lines],
        },
        "choices": {
            "Dataset": sorted({line.dataset for line in lines}),
            "Suite": sorted({line.suite for line in lines}),
        },
        "tables": [
            _table(f"{stem}_{k}", table, is_heat=kind == "matrix")
            for kind in TABLES
            for stem, shown in made(TABLES, kind, archive)
            for k, table in enumerate(shown, 1)
        ],
        "figures": [_figure(name, figure) for name, figure in figures.items()],
        "models": _models(archive, cards),
        "examples": examples(archive),
    }


def _overview_row(line: Line, name: str, has_seeds: bool) -> list[Entry]:
    answer = line.answer
    words = (
        name,
        f"{line.checkpoint} {answer.weights[:12]}",
        line.dataset,
        line.suite,
        *((line.seed,) if has_seeds else ()),
        answer.iterations,
        answer.readout,
    )
    weakest = replace(_entry(line.weakest), remark=line.weakest_attack)
    numbers = (_entry(line.clean), weakest, _entry(line.worst_case), _entry(line.corrupted))
    return [*(Entry(str(word), str(word)) for word in words), *numbers]


def _entry(value: Value | None, is_heat: bool = False) -> Entry:
    """Return a value as text, with the number that it is sorted by."""
    if value is None:
        return Entry(DASH)
    shown = texts(value)
    heat, ink = _heat(value) if is_heat else ("", "")
    return Entry(shown.number, fields(value)["value"], " ".join(shown.details), heat=heat, ink=ink)


def _table(name: str, table: Table, is_heat: bool) -> dict[str, Any]:
    rows = [
        {"label": row.label, "cells": [_entry(value, is_heat) for value in row.values]} for row in table.rows
    ]
    return {
        "id": name,
        "title": table.title,
        "groups": _groups(table.columns),
        "columns": table.columns,
        "rows": rows,
        "notes": table.footnotes,
        "is_heat": is_heat,
    }


def _groups(columns: Sequence[Column]) -> list[tuple[str, int]]:
    """Return the upper header line as (text, width); nothing if no column is in a group."""
    if not any(column.group for column in columns):
        return []
    return [(name, len(list(own))) for name, own in groupby(columns, key=lambda column: column.group)]


def _heat(value: Value) -> tuple[str, str]:
    """Return the colour of an accuracy and that of the text on it; nothing for other values."""
    import matplotlib
    from matplotlib.colors import to_hex

    if not isinstance(value, Accuracy | MeanAccuracy):
        return "", ""
    colour = to_hex(matplotlib.colormaps["cividis"](value.share))
    return colour, "#ffffff" if value.share < 0.55 else "#000000"


def _figure(name: str, figure: Figure) -> dict[str, Any]:
    labels = figure.labels
    return {
        "id": name,
        "title": figure.title,
        "kind": figure.kind,
        "is_small": len(figure.panels) > 2,
        "legend_title": figure.series_label,
        "legend": [
            {"label": label, "shape": "square" if figure.kind == "bars" else charts.shape(k), "position": k}
            for k, label in enumerate(labels)
        ],
        "colours": _series_colours(figure),
        "x": figure.x_label,
        "y": figure.y_label,
        "panels": [
            {"title": p.title, "chart": charts.chart(figure, p), "rows": charts.rows(p)}
            for p in figure.panels
        ],
        "notes": (*figure.notes, *figure.provenance),
    }


def _series_colours(figure: Figure) -> list[tuple[str, str]]:
    """Return the colour of each series on a light and on a dark page."""
    light = colours(figure)
    if light[0] in OKABE_ITO:
        return [(colour, charts.DARK_OKABE_ITO[k]) for k, colour in enumerate(light)]
    # The scale is the other way round where dark is far from the ink.
    import matplotlib
    from matplotlib.colors import to_hex

    last = max(1, len(light) - 1)
    dark = [to_hex(matplotlib.colormaps["viridis"](1 - 0.65 * k / last)) for k in range(len(light))]
    return list(zip(light, dark, strict=True))


def _models(archive: Archive, cards: Cards) -> list[dict[str, Any]]:
    found = []
    for model, name in names_of(r.cell.identity for r in archive.records).items():
        own = [r for r in archive.records if r.cell.identity == model]
        card = cards.get(model.model, {})
        is_own = card.get("sha256") == model.weights
        found.append(
            {
                "name": name,
                "label": own[0].label,
                "weights": model.weights,
                "settings": settings_of(model),
                "checkpoint": own[0].provenance.checkpoint,
                "threats": _threats(own),
                "card": _flat(card) if is_own else [],
                "published": archive.published.get(model.model),
            }
        )
    return found


def _threats(records: Sequence[Record]) -> list[str]:
    """Return what attackers of a model were allowed and knew, a line for radii that met the same attacks."""
    by_radius: dict[tuple[str, float], set[str]] = defaultdict(set)
    for record in attacked(records):
        cell, done = record.cell, record.cell.perturbation
        if done is not None:
            knows = f"gradients of {cell.source}" if cell.is_transfer else str(cell.attack_target)
            radius = (str(done.settings["norm"]), float(done.settings["epsilon"]))
            by_radius[radius].add(f"{attack_name(done)} ({knows})")
    radii: dict[tuple[str, str], list[str]] = defaultdict(list)
    for (norm, epsilon), attacks in sorted(by_radius.items()):
        radii[norm, ", ".join(sorted(attacks))].append(f"{epsilon:.5g}")
    return [
        f"{norm}, epsilon {', '.join(found)} in [0, 1]: {attacks}" for (norm, attacks), found in radii.items()
    ]


def _flat(card: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Return the entries of a card by name, but its log and its accuracies, which the tables show."""
    lines: list[tuple[str, str]] = []
    for name, value in card.items():
        if name in ("accuracies", "log"):
            continue
        if isinstance(value, Mapping):
            lines += _flat(value, f"{prefix}{name}: ")
        else:
            text = f"{value:.6g}" if isinstance(value, float) else str(value)
            lines.append((f"{prefix}{name}".replace("_", " "), text))
    return lines
