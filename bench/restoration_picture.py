"""The picture of the restoration suite: images, corrupted images and what the feedback makes of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

import numpy as np
import torch
from jaxtyping import Float

from bench.devices import Machine
from bench.models import Candidate
from bench.perturbation import perturber_of, to_images
from bench.provenance import collect
from bench.reporting import mendable
from reports.cell import Cell, key_of
from reports.files import replace_file
from reports.subjects import software

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from bench.data import LabelledImages
    from bench.probes import Walker

EXAMPLES = 4
"""Images shown of each corruption: the first of the test set."""
Levels = Float[np.ndarray, "rows n h w c"]


def draw(
    candidate: Candidate,
    cells: Sequence[Cell],
    images: Callable[[Cell], LabelledImages],
    machine: Machine,
    folder: Path,
) -> Path:
    """Write FOLDER/restoration-MODEL-KEY.png, unless it is there, and return its path.

    From the top: the corrupted images, the feedback's image after each iteration, the clean images.

    Args:
        candidate: The model.
        cells: Those of the suite, whose content the key is; the corrupted images are among theirs.
        images: Loads the images that a cell starts from.
        machine: Where to compute.
        folder: An existing one.
    """
    path = folder / f"restoration-{candidate.scored.name}-{key_of(cells)[:12]}.png"
    if path.exists():
        return path
    shown = {cell.perturbation.name: cell for cell in cells if cell.perturbation}
    columns = {name: _column(candidate, cell, images(cell), machine) for name, cell in shown.items()}
    figure = _figure(columns, candidate.label)
    metadata = {"Software": None, "Description": _made_with(candidate, cells[0], machine)}

    def save(file: BinaryIO) -> None:
        figure.savefig(file, format="png", dpi=150, metadata=metadata)

    with mendable():
        replace_file(path, save)
    return path


def _made_with(candidate: Candidate, cell: Cell, machine: Machine) -> str:
    """Return the provenance of a picture, as under a table."""
    lines = [
        f"suite {cell.suite}, version {cell.suite_version}, seed {cell.seed}",
        f"n = {min(EXAMPLES, cell.examples)}",
        f"weights: {cell.model} ({candidate.checkpoint}, sha256 {cell.weights[:12]})",
        f"made with {software(collect(machine, candidate.checkpoint))}",
    ]
    return "; ".join(lines)


def _column(candidate: Candidate, cell: Cell, found: LabelledImages, machine: Machine) -> Levels:
    """Return what is shown of one corruption, in [0, 1]: corrupted, restored ..., clean."""
    model = candidate.load()
    if isinstance(model, torch.nn.Module):
        model.to(machine.device, machine.dtype)
    examples = range(min(EXAMPLES, cell.examples))
    clean = to_images(found.images[: len(examples)], machine)
    with torch.no_grad():
        corrupted = perturber_of(cell, None).perturb(clean, torch.zeros(len(clean)), examples).images
        # One by one: an answer may depend on who shares a batch.
        walks = [cast("Walker", model).walk(one, candidate.scored.iterations) for one in corrupted.split(1)]
        steps = [torch.cat([step.image for step in same]) for same in list(zip(*walks, strict=True))[1:]]
    rows = torch.stack([corrupted, *steps, clean]).clamp(0, 1)
    return rows.permute(0, 1, 3, 4, 2).float().cpu().numpy()


def _figure(columns: dict[str, Levels], label: str) -> Figure:
    from matplotlib.figure import Figure

    rows, examples = next(iter(columns.values())).shape[:2]
    height, width, label_width = 0.62 * rows + 0.5, 0.62 * examples * len(columns) + 1.0, 0.8
    figure = Figure(figsize=(width, height))
    figure.text(0.5, 1 - 0.06 / height, f"{label}: what the feedback makes of images", ha="center", va="top")
    place = {"left": label_width / width, "right": 0.995, "bottom": 0.005, "top": 1 - 0.45 / height}
    outer = figure.add_gridspec(1, len(columns), wspace=0.04, **place)
    titles = ["corrupted", *(f"iteration {k}" for k in range(1, rows - 1)), "clean"]
    for position, (name, levels) in enumerate(columns.items()):
        group = outer[position].subgridspec(rows, examples, wspace=0.04, hspace=0.04)
        for row, example in product(range(rows), range(examples)):
            axis = figure.add_subplot(group[row, example], xticks=[], yticks=[])
            axis.imshow(levels[row, example].squeeze(), cmap="gray", vmin=0, vmax=1)
            if position == 0 and example == 0:
                axis.set_ylabel(titles[row], rotation=0, ha="right", va="center", fontsize=8)
            if row == 0 and example == examples // 2:
                axis.set_title(name.replace("_", " "), fontsize=9, loc="left", ha="center", pad=3)
    return figure
