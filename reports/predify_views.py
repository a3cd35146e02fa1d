"""The Predify experiments as tables, a row a curve, and as figures."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from reports.archive import Outcomes
from reports.figures import Figure, Panel, Point, Series, mean_at, percent_at
from reports.metrics import Accuracy
from reports.predify_paper import Curve, Experiment, experiments
from reports.records import Record
from reports.subjects import failures, provenance
from reports.tables import Column, Row, Table
from reports.values import Mean, Share


def predify_tables(records: Sequence[Record], archive: Outcomes) -> list[Table]:
    """Return one table an experiment, from records of one suite, dataset and seed."""
    return [_table(experiment, records) for experiment in experiments(records, archive)]


def noise_figures(records: Sequence[Record], archive: Outcomes) -> list[Figure]:
    """Return accuracy under noise by iteration."""
    return _figures(records, archive, "accuracy under")


def corruption_curves(records: Sequence[Record], archive: Outcomes) -> list[Figure]:
    """Return the corruption error relative to the first pass, one panel per kind and one for their mean."""
    return _figures(records, archive, "corruption error")


def attack_figures(records: Sequence[Record], archive: Outcomes) -> list[Figure]:
    """Return the success of the targeted attack by iteration."""
    return _figures(records, archive, "success")


def projection_figures(records: Sequence[Record], archive: Outcomes) -> list[Figure]:
    """Return the distance of noisy representations to the clean ones, one panel per encoder."""
    return _figures(records, archive, "correlation distance")


def _table(experiment: Experiment, records: Sequence[Record]) -> Table:
    iterations = sorted({k for curve in experiment.curves for k in curve.values})
    has_change = any(curve.change for curve in experiment.curves)
    headings = [f"iteration {k}" for k in iterations] + (["change"] if has_change else [])
    rows = tuple(
        Row(
            curve.label,
            (*(curve.values.get(k) for k in iterations), *((curve.change,) if has_change else ())),
        )
        for curve in experiment.curves
    )
    return Table(
        f"{_where(records)}: {experiment.title}",
        tuple(Column(heading, is_attack=False) for heading in headings),
        rows,
        (*experiment.notes, *failures(records)),
        _made_with(records),
    )


def _figures(records: Sequence[Record], archive: Outcomes, title: str) -> list[Figure]:
    return [
        _figure(experiment, records)
        for experiment in experiments(records, archive)
        if experiment.title.startswith(title)
    ]


def _figure(experiment: Experiment, records: Sequence[Record]) -> Figure:
    panels = tuple(
        Panel(name, tuple(_series(curve, experiment.line) for curve in curves))
        for name, curves in _grouped(experiment.curves, experiment.panel).items()
    )
    return Figure(
        title=f"{_where(records)}: {experiment.title}",
        kind="curves",
        x_label="iterations",
        y_label=experiment.unit,
        panels=panels,
        series_label=experiment.line_label,
        is_ordered=bool(experiment.line_label),
        notes=(*experiment.notes, "bars: 95 % intervals"),
        provenance=_made_with(records),
    )


def _grouped(curves: Sequence[Curve], key: Callable[[Curve], str]) -> dict[str, list[Curve]]:
    groups: dict[str, list[Curve]] = {}
    for curve in curves:
        groups.setdefault(key(curve), []).append(curve)
    return groups


def _series(curve: Curve, line: Callable[[Curve], str]) -> Series:
    return Series(line(curve), tuple(_point(k, value) for k, value in sorted(curve.values.items())))


def _point(iteration: int, value: Accuracy | Share | Mean) -> Point:
    return mean_at(iteration, value) if isinstance(value, Mean) else percent_at(iteration, value)


def _where(records: Sequence[Record]) -> str:
    return f"{records[0].cell.suite} on {records[0].cell.dataset}"


def _made_with(records: Sequence[Record]) -> tuple[str, ...]:
    return tuple(provenance([record for record in records if record.status == "ok"]))
