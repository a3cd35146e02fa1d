"""Which record counts where several stand for one place."""

from __future__ import annotations

from collections.abc import Iterable

from reports.records import Record

Rank = tuple[int, bool, str, str]


def rank(record: Record) -> Rank:
    """Return what the largest record is first in.

    Most examples, then an attacker who knew the iterations, then the latest. No two cells have the same, so
    that the order of records tells nothing.
    """
    cell = record.cell
    return record.n, cell.attack_iterations == cell.iterations, record.provenance.finished_at, record.key


def largest(records: Iterable[Record]) -> Record | None:
    """Return the largest record, None if there is none."""
    return max(records, key=rank, default=None)


def one_of_each(records: Iterable[Record]) -> list[Record]:
    """Return the largest record of each series, in the order of the records.

    Those of a series differ only in how many images they ask for (`reports.cell.Cell.series_key`).
    """
    records = list(records)
    kept = {record.cell.series_key: record.key for record in sorted(records, key=rank)}
    keys = set(kept.values())
    return [record for record in records if record.key in keys]
