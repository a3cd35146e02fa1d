"""Self-consistency of CNN-F by iteration: are feedback and feedforward features coming together?

For the images shown, iteration k has the relative distance ||g_k - h_{k-1}|| / ||h_{k-1}|| between what the
feedback made and the feature it was made from, and the share of labels that differ from those before it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from reports.archive import Outcomes
from reports.attacks_run import attack_name
from reports.figures import Figure, Panel, Point, Series, mean_at, percent_at
from reports.records import Record
from reports.series import Rank, rank
from reports.subjects import failures, names_of, provenance
from reports.tables import Column, Row, Table
from reports.values import Mean, Share, Value

ORDER = (None, "corruption", "attack")
Steps = dict[int, Record]
"""Iterations -> the record of the answer after them."""


def consistency_tables(records: Sequence[Record], archive: Outcomes) -> list[Table]:
    """Return one table per model: a row per kind of images, two columns per iteration."""
    tables = []
    for model, shown in _by_model(records).items():
        iterations = sorted({k for steps in shown.values() for k in steps if k})
        columns = [
            Column(f"mismatch ({k})", is_attack=False, group="mismatch", under=f"{k}") for k in iterations
        ] + [
            Column(f"labels that change ({k})", is_attack=False, group="labels that change (%)", under=f"{k}")
            for k in iterations
        ]
        rows = []
        for images, steps in shown.items():
            mismatches: list[Value | None] = [_mismatch(steps, k, archive) for k in iterations]
            changes: list[Value | None] = [_changed(steps, k, archive) for k in iterations]
            rows.append(Row(images, (*mismatches, *changes)))
        used = [record for steps in shown.values() for record in steps.values()]
        notes = (
            "mismatch (k): mean over images of ||g_k - h_(k-1)|| / ||h_(k-1)||",
            "labels that change (k): in percent, answers that differ from those after k - 1 iterations",
            *failures(records),
        )
        title = f"Self-consistency of {model} on {used[0].cell.dataset}"
        tables.append(Table(title, tuple(columns), tuple(rows), notes, tuple(provenance(used))))
    return tables


def consistency_figures(records: Sequence[Record], archive: Outcomes) -> list[Figure]:
    """Return two figures per model: mismatch and share of changing labels against iterations."""
    figures = []
    for model, shown in _by_model(records).items():
        used = [record for steps in shown.values() for record in steps.values()]
        mismatch, changes = [], []
        for images, steps in shown.items():
            apart: list[Point] = []
            moved: list[Point] = []
            for k in sorted(steps):
                if (mean := _mismatch(steps, k, archive)) is not None:
                    apart.append(mean_at(k, mean))
                if (share := _changed(steps, k, archive)) is not None:
                    moved.append(percent_at(k, share))
            mismatch.append(Series(images, tuple(apart)))
            changes.append(Series(images, tuple(moved)))
        for what, label, series in (
            ("mismatch", "||g - h|| / ||h||", mismatch),
            ("changing labels", "labels that change (%)", changes),
        ):
            figures.append(
                Figure(
                    title=f"Self-consistency of {model} on {used[0].cell.dataset}: {what}",
                    kind="curves",
                    x_label="iteration",
                    y_label=label,
                    panels=(Panel("", tuple(series)),),
                    series_label="images",
                    notes=("bars: 95 % intervals over images",),
                    provenance=tuple(provenance(used)),
                )
            )
    return figures


def _by_model(records: Sequence[Record]) -> dict[str, dict[str, Steps]]:
    """Return model -> images -> iterations -> the largest record, clean images first."""
    found: dict[str, dict[str, Steps]] = defaultdict(lambda: defaultdict(dict))
    ok = [r for r in records if r.status == "ok" and r.cell.probe == "consistency"]
    names = names_of(record.cell.identity for record in ok)
    for record in sorted(ok, key=_order):
        found[names[record.cell.identity]][_images(record)][record.cell.iterations] = record
    return found


def _order(record: Record) -> tuple[str, int, str, Rank]:
    done = record.cell.perturbation
    return (record.cell.model, ORDER.index(done.kind if done else None), _images(record), rank(record))


def _images(record: Record) -> str:
    done = record.cell.perturbation
    if done is None:
        return "clean"
    if done.kind == "corruption":
        return f"{done.name} {done.settings['severity']}"
    return f"{attack_name(done)} ({record.cell.attack_target})"


def _mismatch(steps: Steps, k: int, archive: Outcomes) -> Mean | None:
    if k not in steps:
        return None
    return Mean.of([float(value) for value in archive.read_outcomes(steps[k])["mismatch"]])


def _changed(steps: Steps, k: int, archive: Outcomes) -> Share | None:
    if k not in steps or k - 1 not in steps:
        return None
    after, before = (archive.read_outcomes(steps[j]).set_index("example")["prediction"] for j in (k, k - 1))
    common = after.index.intersection(before.index)
    return Share(int((after[common] != before[common]).sum()), len(common))
