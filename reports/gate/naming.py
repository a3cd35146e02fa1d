"""What a cell is called, and what tells two cells apart."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence

from reports.cell import Cell

HASHES = frozenset({"weights", "source_weights", "data"})
"""Fields that say what a cell was answered with, not what it asks."""


def without_hashes(cell: Cell, *others: str) -> str:
    """Return the question that a cell asks: all its fields but hashes and `others`, as canonical JSON."""
    return json.dumps(cell.model_dump(exclude={*HASHES, *others}), sort_keys=True)


def differences(first: Cell, second: Cell) -> list[str]:
    """Return the fields in which two questions differ, as "name FIRST, now SECOND"."""
    before, after = _flat(first), _flat(second)
    names = [name for name in before | after if name not in HASHES]
    return [
        f"{name} {before.get(name)}, now {after.get(name)}"
        for name in names
        if before.get(name) != after.get(name)
    ]


def names_of(cells: Sequence[Cell]) -> list[str]:
    """Return short names of cells; those that would be the same get what tells them apart."""
    names = [_short_name(cell) for cell in cells]
    alike: dict[str, list[int]] = defaultdict(list)
    for index, name in enumerate(names):
        alike[name].append(index)
    for name, indices in alike.items():
        fields = [_flat(cells[index]) for index in indices]
        telling = [key for key in fields[0] if len({str(own.get(key)) for own in fields}) > 1]
        for index, own in zip(indices, fields, strict=True):
            remarks = ", ".join(f"{key} {str(own.get(key))[:12]}" for key in telling)
            names[index] = f"{name}, {remarks}" if remarks else name
    return names


def order(cell: Cell) -> tuple[object, ...]:
    """Return what cells are sorted by, whatever the order in which a run finished them."""
    done = cell.perturbation
    # Numbers before words, so that any two values of a setting can be compared.
    settings = () if done is None else ((n, isinstance(v, str), v) for n, v in sorted(done.settings.items()))
    kind = () if done is None else (done.kind, done.name, done.backend)
    attacker = (cell.is_transfer, cell.source or "", cell.attack_target or "", cell.attack_iterations)
    answer = (cell.iterations, cell.readout == "avg", cell.examples, cell.seed, cell.probe or "")
    return (cell.suite, cell.dataset, cell.model, kind, tuple(settings), attacker, answer)


def _short_name(cell: Cell) -> str:
    model = f"{cell.model} ({cell.readout})" if cell.iterations else cell.model
    done = cell.perturbation
    if done is None:
        return f"{model}: clean"
    if done.kind == "corruption":
        return f"{model}: {done.name} severity {done.settings['severity']}"
    if done.kind == "noise":
        return f"{model}: {done.name} of sigma {done.settings['sigma']:.3g}"
    steps = f"-{done.settings['steps']}" if "steps" in done.settings else ""
    origin = f" from {cell.source}" if cell.is_transfer else ""
    return f"{model}: {done.name}{steps} {cell.attack_target}{origin}"


def _flat(cell: Cell) -> dict[str, object]:
    """Return all fields of a cell, those of its perturbation and their settings among them."""
    fields = cell.model_dump()
    done = fields.pop("perturbation") or {}
    settings = {f"{done['name']} {name}": value for name, value in done.pop("settings", {}).items()}
    return fields | {f"perturbation {name}": value for name, value in done.items()} | settings
