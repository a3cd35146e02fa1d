"""Which images models were shown, as far as runs kept some."""

from __future__ import annotations

from dataclasses import dataclass

from reports.archive import Archive
from reports.attacks_run import attack_name
from reports.cell import Cell

SEVERITY = 3
"""Of the corruptions whose images are looked at."""


@dataclass(frozen=True)
class Example:
    """A picture of a few images as models were shown them."""

    title: str
    png: bytes


def examples(archive: Archive) -> list[Example]:
    """Return the pictures that runs have kept: clean, attacked, and corrupted at the middle severity."""
    found: dict[tuple[str, int, str], Example] = {}
    for record in archive.records:
        cell, done = record.cell, record.cell.perturbation
        if done and done.kind == "corruption" and done.settings["severity"] != SEVERITY:
            continue
        rank = 0 if done is None else 2 if done.kind == "corruption" else 1
        key = (cell.dataset, rank, _title(cell))
        if key not in found and (png := archive.stores[record.key].read_example(record)) is not None:
            found[key] = Example(_title(cell), png)
    return [found[key] for key in sorted(found)]


def _title(cell: Cell) -> str:
    done = cell.perturbation
    if done is None:
        return f"{cell.dataset}: clean"
    if done.kind == "corruption":
        return f"{cell.dataset}: {done.name.replace('_', ' ')}, severity {done.settings['severity']}"
    if done.kind == "noise":
        return f"{cell.dataset}: noise, sigma {done.settings['sigma']:.3g}"
    radius = f"epsilon {done.settings['epsilon']:.3g}"
    return f"{cell.dataset}: {attack_name(done)} ({cell.attack_target}) on {cell.source}, {radius}"
