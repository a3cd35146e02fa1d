"""How far restored images are from the clean ones, by corruption and iteration."""

from __future__ import annotations

from collections.abc import Sequence

from reports.archive import Outcomes
from reports.records import Record
from reports.series import one_of_each
from reports.subjects import failures, labels_of, provenance, subjects
from reports.tables import Column, Row, Table
from reports.values import Mean


def restoration_tables(records: Sequence[Record], store: Outcomes) -> list[Table]:
    """Return one table from records of one suite and dataset: a row per model and image, one column per pass.

    A value is the mean over examples of the root mean squared difference to the clean image, in [0, 1] pixel
    units; its interval is over examples.
    """
    ok = one_of_each(record for record in records if record.status == "ok")
    models = {row.identity: row for row in reversed(subjects(ok))}
    last = max((record.cell.iterations for record in ok), default=0)
    names = labels_of(list(models.values()))
    rows = []
    for identity, row in reversed(models.items()):
        label = names[row].removesuffix(f" ({row.readout})")
        own = [r for r in ok if r.cell.identity == identity]
        for shown in dict.fromkeys(_shown(record) for record in own):
            by_iteration = {r.cell.iterations: r for r in own if _shown(r) == shown}
            values = [by_iteration.get(k) for k in range(last + 1)]
            means = tuple(_distance(record, store) if record else None for record in values)
            rows.append(Row(f"{label}, {shown}", means))
    cell = records[0].cell
    columns = [Column("shown", is_attack=False)]
    columns += [Column(f"iteration {k}", is_attack=False) for k in range(1, last + 1)]
    notes = (
        "root mean squared difference to the clean image in [0, 1] pixel units: of the image shown, and of "
        "what the feedback made of it at each iteration",
        *failures(records),
    )
    made_with = tuple(provenance(ok))
    title = f"{cell.suite} on {cell.dataset}: distance to the clean image"
    return [Table(title, tuple(columns), tuple(rows), notes, made_with)]


def _shown(record: Record) -> str:
    done = record.cell.perturbation
    return f"{done.name} severity {done.settings['severity']}" if done else "clean"


def _distance(record: Record, store: Outcomes) -> Mean | None:
    return Mean.of(list(store.read_outcomes(record)["distance"]))
