"""Cells that share perturbed images, and what to call them while they are worked on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from reports.cell import Cell, Setting

Group = Sequence[Cell]
"""Cells with the same images key, at least one."""


def group_by_images(cells: Iterable[Cell]) -> list[list[Cell]]:
    """Return cells that share perturbed images together, in the order in which they first appear."""
    groups: dict[str, list[Cell]] = defaultdict(list)
    for cell in cells:
        groups[cell.images_key].append(cell)
    return list(groups.values())


def describe(groups: Sequence[Group]) -> list[str]:
    """Return a short name of what each group does, with just those settings that tell it from its like."""
    names = [_short(group) for group in groups]
    alike: dict[str, list[dict[str, Setting]]] = defaultdict(list)
    for name, group in zip(names, groups, strict=True):
        alike[name].append(_settings(group))
    return [
        ", ".join([name, *_differences(_settings(group), alike[name])])
        for name, group in zip(names, groups, strict=True)
    ]


def _short(group: Group) -> str:
    cell = group[0]
    models = ", ".join(dict.fromkeys(cell.model for cell in group))
    if cell.perturbation is None:
        return f"{models}: clean"
    settings = cell.perturbation.settings
    if cell.perturbation.kind == "corruption":
        return f"{models}: {cell.perturbation.name} severity {settings['severity']}"
    if cell.perturbation.kind == "noise":
        return f"{models}: {cell.perturbation.name} of sigma {settings['sigma']:.3g}"
    steps = f"-{settings['steps']}" if "steps" in settings else ""
    origin = f" from {cell.source}" if cell.is_transfer else ""
    return f"{models}: {cell.perturbation.name}{steps} {cell.attack_target}{origin}"


def _settings(group: Group) -> dict[str, Setting]:
    """Return what was chosen, that first which a reader looks for."""
    cell = group[0]
    settings = cell.perturbation.settings if cell.perturbation else {}
    sought = {name: settings[name] for name in ("epsilon",) if name in settings}
    return sought | {"iterations": cell.attack_iterations} | settings


def _differences(settings: dict[str, Setting], rivals: Sequence[dict[str, Setting]]) -> list[str]:
    told = []
    for name, value in settings.items():
        alike = [rival for rival in rivals if rival.get(name) == value]
        if len(alike) < len(rivals):
            words = f"{value:.3g}" if isinstance(value, float) else str(value)
            told.append(f"{name.replace('_', ' ')} {words}")
        rivals = alike
    return told
