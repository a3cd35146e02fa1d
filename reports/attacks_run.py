"""What attackers did, as far as tables name it."""

from __future__ import annotations

from collections.abc import Iterable

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
