"""What attackers did, as far as tables name it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from reports.cell import Cell, Perturbation
from reports.records import Record

TARGETS = ("first", "e2e", "e2e_avg")


def attack_name(done: Perturbation) -> str:
    """Return a short name of an attack: its kind in capitals and its steps, as "PGD-40"."""
    steps = f"-{done.settings['steps']}" if "steps" in done.settings else ""
    backend = "" if done.backend == "native" else f" by {done.backend}"
    return f"{done.name.upper()}{steps}{backend}"


def is_attacked(cell: Cell) -> bool:
    """Whether an attacker made the images."""
    return cell.perturbation is not None and cell.perturbation.kind == "attack"


def attacked(records: Iterable[Record]) -> list[Record]:
    """Return the finished records of attacks."""
    return [record for record in records if record.status == "ok" and is_attacked(record.cell)]


def untouched(records: Iterable[Record]) -> list[Record]:
    """Return the finished records of clean images."""
    return [r for r in records if r.status == "ok" and r.cell.perturbation is None and r.cell.probe is None]


def latest(records: Sequence[Record]) -> Record | None:
    """Return the record with most examples, then whose attacker knew the iterations, then the latest."""

    def rank(record: Record) -> tuple[int, bool, str]:
        cell = record.cell
        return (record.n, cell.attack_iterations == cell.iterations, record.provenance.finished_at)

    return max(records, key=rank, default=None)
