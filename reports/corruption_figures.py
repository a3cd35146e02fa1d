"""Common corruptions as pictures: bars by kind, and curves of every kind over severity and iterations."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from reports.archive import Outcomes
from reports.corruption_table import Hits, alike, clean_accuracy, hits_by_kind, mean_over, omissions
from reports.figures import Figure, Panel, Point, Series, percent_at
from reports.metrics import ALEXNET_ERRORS, Accuracy
from reports.records import Record
from reports.series import rank
from reports.subjects import final, labels_of, names_of, provenance, subject, subjects

Found = dict[tuple[str, int, int], Record]
"""(kind, severity, iterations) -> record of the last answer."""


def corruption_bars(records: Sequence[Record], archive: Outcomes) -> list[Figure]:
    """Return the mean accuracy over severities by kind, a colour per model after its last iteration."""
    ok = [record for record in records if record.status == "ok"]
    rows = final(row for row in subjects(ok) if row.readout == "last")
    if not rows:
        return []
    labels = labels_of(rows)
    own = [[record for record in ok if subject(record) == row] for row in rows]
    found = [hits_by_kind(records_of, archive) for records_of in own]
    series = [
        Series(labels[row], _bars(records_of, hits))
        for row, records_of, hits in zip(rows, own, alike(found), strict=True)
    ]
    drawn = {point.x for bars in series for point in bars.points}
    kinds = [kind.replace("_", " ") for kind in _ordered({kind for hits in found for kind in hits})]
    return [
        Figure(
            title=f"Accuracy under common corruptions, {ok[0].cell.dataset}",
            kind="bars",
            x_label="corruption",
            y_label="accuracy (%)",
            panels=(Panel("", tuple(series)),),
            places=tuple(place for place in ("clean", *kinds) if place in drawn),
            notes=(
                "mean over severities; bars: 95 % intervals over images",
                *omissions([labels[row] for row in rows], found),
            ),
            provenance=tuple(provenance(ok)),
        )
    ]


def _bars(records: Sequence[Record], hits: Hits) -> tuple[Point, ...]:
    clean = clean_accuracy(records)
    means = {kind: mean_over(hits, [kind]) for kind in _ordered(set(hits))}
    shown = {"clean": clean} | {kind.replace("_", " "): mean for kind, mean in means.items()}
    return tuple(percent_at(place, value) for place, value in shown.items() if value is not None)


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
        for record in sorted(own, key=rank):
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


def _most_iterations(records: Sequence[Record], record: Record) -> int:
    return max(r.cell.iterations for r in records if r.cell.identity == record.cell.identity)


def _ordered(kinds: set[str]) -> list[str]:
    """Return the 15 kinds of the benchmark in its order, then the others."""
    return [kind for kind in ALEXNET_ERRORS if kind in kinds] + sorted(kinds - ALEXNET_ERRORS.keys())


def _point(x: float, record: Record) -> Point:
    return percent_at(x, Accuracy(record.correct, record.n))
