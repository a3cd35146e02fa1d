"""Common corruptions as pictures: bars by kind, and curves of every kind over severity and iterations."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from reports.archive import Outcomes
from reports.cell import Identity
from reports.corruption_table import clean_accuracy, hits_by_kind, mean_over
from reports.figures import Figure, Panel, Point, Series, percent_at
from reports.metrics import ALEXNET_ERRORS, Accuracy
from reports.records import Record
from reports.subjects import Subject, labels_of, names_of, provenance, subject, subjects

Found = dict[tuple[str, int, int], Record]
"""(kind, severity, iterations) -> record of the last answer."""


def corruption_bars(records: Sequence[Record], archive: Outcomes) -> list[Figure]:
    """Return the mean accuracy over severities by kind, a colour per model after its last iteration."""
    ok = [record for record in records if record.status == "ok"]
    rows = _final(subjects(ok))
    if not rows:
        return []
    labels = labels_of(rows)
    series = []
    for row in rows:
        own = [record for record in ok if subject(record) == row]
        hits = hits_by_kind(own, archive)
        points = []
        if (clean := clean_accuracy(own)) is not None:
            points.append(percent_at("clean", clean))
        for kind in _ordered(set(hits)):
            if (mean := mean_over(hits, [kind])) is not None:
                points.append(percent_at(kind.replace("_", " "), mean))
        series.append(Series(labels[row], tuple(points)))
    return [
        Figure(
            title=f"Accuracy under common corruptions, {ok[0].cell.dataset}",
            kind="bars",
            x_label="corruption",
            y_label="accuracy (%)",
            panels=(Panel("", tuple(series)),),
            places=tuple(str(point.x) for point in max((s.points for s in series), key=len)),
            notes=("mean over severities; bars: 95 % intervals over images",),
            provenance=tuple(provenance(ok)),
        )
    ]


def severity_curves(records: Sequence[Record], archive: Outcomes) -> list[Figure]:
    """Return a figure per model: a panel per kind, accuracy against severity, a line per iteration."""

    def lines(found: Found, kind: str) -> tuple[Series, ...]:
        iterations = sorted({k for _, _, k in found})
        return tuple(
            Series(
                f"{k}", tuple(_point(s, found[n, s, k]) for n, s, j in sorted(found) if (n, j) == (kind, k))
            )
            for k in iterations
        )

    return _panels(records, "severity", "iterations", lines)


def iteration_curves(records: Sequence[Record], archive: Outcomes) -> list[Figure]:
    """Return a figure per model of two iterations or more: accuracy against them, a line per severity."""

    def lines(found: Found, kind: str) -> tuple[Series, ...]:
        severities = sorted({s for _, s, _ in found})
        return tuple(
            Series(
                f"{s}", tuple(_point(k, found[n, t, k]) for n, t, k in sorted(found) if (n, t) == (kind, s))
            )
            for s in severities
        )

    several = [r for r in records if _most_iterations(records, r) > 1]
    return _panels(several, "iterations", "severity", lines)


def _panels(
    records: Sequence[Record], x: str, lines_of: str, lines: Callable[[Found, str], tuple[Series, ...]]
) -> list[Figure]:
    ok = [r for r in records if r.status == "ok" and r.cell.readout == "last"]
    figures = []
    for model, name in names_of(r.cell.identity for r in ok).items():
        own = [r for r in ok if r.cell.identity == model]
        found: Found = {}
        for record in own:
            if (done := record.cell.perturbation) is not None:
                found[done.name, int(done.settings["severity"]), record.cell.iterations] = record
        kinds = _ordered({kind for kind, _, _ in found})
        if not kinds:
            continue
        figures.append(
            Figure(
                title=f"{name} on {own[0].cell.dataset} under common corruptions",
                kind="curves",
                x_label=x,
                y_label="accuracy (%)",
                panels=tuple(Panel(kind.replace("_", " "), lines(found, kind)) for kind in kinds),
                series_label=lines_of,
                is_ordered=True,
                notes=("the last answer is scored; bars: 95 % intervals",),
                provenance=tuple(provenance(own)),
            )
        )
    return figures


def _final(rows: Sequence[Subject]) -> list[Subject]:
    """Return the last answers after the most iterations of each model."""
    last = [row for row in rows if row.readout == "last"]
    most: dict[Identity, int] = {}
    for row in last:
        most[row.identity] = max(row.iterations, most.get(row.identity, 0))
    return [row for row in last if row.iterations == most[row.identity]]


def _most_iterations(records: Sequence[Record], record: Record) -> int:
    return max(r.cell.iterations for r in records if r.cell.identity == record.cell.identity)


def _ordered(kinds: set[str]) -> list[str]:
    """Return the 15 kinds of the benchmark in its order, then the others."""
    return [kind for kind in ALEXNET_ERRORS if kind in kinds] + sorted(kinds - ALEXNET_ERRORS.keys())


def _point(x: float, record: Record) -> Point:
    return percent_at(x, Accuracy(record.correct, record.n))
