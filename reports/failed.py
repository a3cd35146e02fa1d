"""The table of a suite of which nothing is left to show."""

from __future__ import annotations

from collections.abc import Sequence

from reports.records import Record
from reports.subjects import labels_of, provenance, subject, subjects
from reports.tables import Column, Row, Table
from reports.values import Remark


def failed_cells(records: Sequence[Record]) -> list[Table]:
    """Return one table of how many cells of each answer failed; none if all went well."""
    failed = [record for record in records if record.status == "error"]
    if not failed:
        return []
    rows = []
    for answer, label in labels_of(subjects(failed)).items():
        own = [record for record in records if subject(record) == answer]
        count = sum(record.status == "error" for record in own)
        rows.append(Row(label, (Remark(f"{count} of {len(own)}"),)))
    cell = records[0].cell
    return [
        Table(
            f"{cell.suite} on {cell.dataset}: not enough to show",
            (Column("failed cells", is_attack=False),),
            tuple(rows),
            (f"first error: {failed[0].error}",),
            tuple(provenance(records)),
        )
    ]
