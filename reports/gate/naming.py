"""What a cell is called, and what tells two cells apart."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from reports.cell import Cell, canonical

ANSWERER = frozenset({"weights", "settings", "source_weights", "source_settings", "data"})
"""Fields that say what a cell was answered with, not what it asks."""


def question(cell: Cell, *others: str) -> str:
    """Return what a cell asks: all its fields but those of the answerer and `others`, as canonical JSON."""
    return canonical(cell.model_dump(exclude={*ANSWERER, *others}))


def differences(first: Cell, second: Cell) -> list[str]:
    """Return the fields in which two questions differ, as "name FIRST, now SECOND"."""
    before, after = _flat(first), _flat(second)
    return changes_of(
        {name: value for name, value in before.items() if name.split()[0] not in ANSWERER},
        {name: value for name, value in after.items() if name.split()[0] not in ANSWERER},
    )


def changes_of(before: Mapping[str, object], now: Mapping[str, object]) -> list[str]:
    """Return the entries in which two mappings differ, as "name BEFORE, now NOW"."""
    return [
        f"{name} {before.get(name)}, now {now.get(name)}"
        for name in {**before, **now}
        if before.get(name) != now.get(name)
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
    """Return all fields of a cell, those of its perturbation and all settings among them."""
    fields = cell.model_dump()
    for owner in ("settings", "source_settings"):
        fields |= {f"{owner} {name}": value for name, value in fields.pop(owner).items()}
    done = fields.pop("perturbation") or {}
    settings = {f"{done['name']} {name}": value for name, value in done.pop("settings", {}).items()}
    return fields | {f"perturbation {name}": value for name, value in done.items()} | settings
