"""Which tables a results folder gives."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

from reports.attack_tables import cascade_tables, transfer_tables
from reports.cnnf_paper import adversarial_tables
from reports.corruption_table import corruption_tables
from reports.records import Record, Store
from reports.tables import Table

TABLES: dict[str, Callable[[Sequence[Record], Store], list[Table]]] = {
    "adversarial": adversarial_tables,
    "autoattack": cascade_tables,
    "clean": adversarial_tables,
    "cnnf-paper": adversarial_tables,
    "corruptions": corruption_tables,
    "smoke": adversarial_tables,
    "strongest": cascade_tables,
    "transfer": transfer_tables,
}
"""Suite -> what makes its tables."""


def tables_of(records: Iterable[Record], store: Store) -> list[Table]:
    """Return the tables of every suite, suite version, dataset and seed that the records hold.

    Raises:
        RecordError: If a table needs outcomes that are missing or damaged.
    """
    groups: dict[tuple[str, int, str, int], list[Record]] = defaultdict(list)
    for record in records:
        cell = record.cell
        groups[cell.suite, cell.suite_version, cell.dataset, cell.seed].append(record)
    return [
        table
        for (suite, *_), group in sorted(groups.items())
        for table in TABLES.get(suite, adversarial_tables)(group, store)
    ]
