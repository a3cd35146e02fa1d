"""Which corrupted images a run shows: made here, or read from a published set."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bench.data import LabelledImages
from bench.data import dataset as known_dataset
from bench.errors import BenchError, UnknownName
from bench.kinds import GROUPS
from bench.suites import Corruptions
from corruptions import SEVERITIES
from reports.cell import Cell

if TYPE_CHECKING:
    from torch import Tensor

AT_ONCE = 1000
"""Published images that are read at once."""


def wanted(
    kinds: Iterable[str] | None,
    severities: Iterable[int] | None,
    folder: Path | None,
    dataset: str,
    clean: Callable[[int], LabelledImages],
) -> Corruptions:
    """Return what was asked for, by default everything.

    The hash of published images is taken when it is asked for, and then the folder is looked at: it must show
    the dataset's own images, told by their size and labels.

    Args:
        kinds: Names of corruptions.
        severities: From 1 to 5.
        folder: A published set in its layout; None makes the images here.
        dataset: What the images are of.
        clean: Number of examples to those images before they were corrupted.

    Raises:
        BenchError: If a kind or severity is unknown.
    """
    known = GROUPS["all"]
    chosen = known if kinds is None else tuple(dict.fromkeys(kinds))
    for kind in chosen:
        if kind not in known:
            raise UnknownName("corruption", kind, known)
    levels = SEVERITIES if severities is None else tuple(sorted(set(severities)))
    for level in levels:
        if level not in SEVERITIES:
            raise BenchError(f"severity must be from 1 to 5, got {level}")
    return Corruptions(chosen, levels, None if folder is None else partial(_hash, folder, dataset, clean))


def read(folder: Path, cell: Cell) -> LabelledImages:
    """Return the published images that a cell shows."""
    done = cell.perturbation
    if done is None:
        raise ValueError("a clean cell has no corrupted images")
    return _read(folder, done.name, int(done.settings["severity"]), cell.examples)


def _hash(
    folder: Path,
    dataset: str,
    clean: Callable[[int], LabelledImages],
    kind: str,
    severity: int,
    examples: int,
) -> str:
    found, shape = _read(folder, kind, severity, examples), known_dataset(dataset).shape
    if found.images.shape[1:] != shape:
        size, wanted = ("x".join(map(str, sizes)) for sizes in (found.images.shape[1:], shape))
        raise BenchError(f"{folder} holds images of {size}, those of {dataset} are {wanted}")
    if not np.array_equal(found.labels, clean(examples).labels):
        raise BenchError(
            f"the labels in {folder} are not those of the first {examples} images of {dataset}: "
            "is it another set, or incomplete?"
        )
    return found.sha256


def _read(folder: Path, kind: str, severity: int, examples: int) -> LabelledImages:
    from corruptions import open_official

    try:
        reader = open_official(folder)
        # As floats in [0, 1] all at once would need four times the memory.
        spans = [range(at, min(at + AT_ONCE, examples)) for at in range(0, examples, AT_ONCE)]
        parts = [_as_bytes(*reader.read(kind, severity, span)) for span in spans]
    except (OSError, ValueError) as error:
        raise BenchError(str(error)) from error
    return LabelledImages(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _as_bytes(images: Tensor, labels: Tensor) -> LabelledImages:
    pixels = (images * 255).round_().byte().permute(0, 2, 3, 1).contiguous()
    return LabelledImages(pixels.numpy(), labels.numpy())
