"""Which corrupted images a run shows: made here, or read from a published set."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path

from bench.data import LabelledImages
from bench.errors import BenchError, UnknownName
from bench.suites import Corruptions
from corruptions import FAMILIES, SEVERITIES
from reports.cell import Cell

KINDS = tuple(name for family in FAMILIES.values() for name in family)


def wanted(kinds: Iterable[str] | None, severities: Iterable[int] | None, folder: Path | None) -> Corruptions:
    """Return what was asked for, by default everything.

    Args:
        kinds: Names of corruptions.
        severities: From 1 to 5.
        folder: A published set in its layout; None makes the images here.

    Raises:
        BenchError: If a kind or severity is unknown, or the folder holds no published set.
    """
    chosen = KINDS if kinds is None else tuple(dict.fromkeys(kinds))
    for kind in chosen:
        if kind not in KINDS:
            raise UnknownName("corruption", kind, KINDS)
    levels = SEVERITIES if severities is None else tuple(sorted(set(severities)))
    for level in levels:
        if level not in SEVERITIES:
            raise BenchError(f"severity must be from 1 to 5, got {level}")
    return Corruptions(chosen, levels, None if folder is None else partial(_hash, folder))


def read(folder: Path, cell: Cell) -> LabelledImages:
    """Return the published images that a cell shows."""
    done = cell.perturbation
    if done is None:
        raise ValueError("a clean cell has no corrupted images")
    return _read(folder, done.name, int(done.settings["severity"]), cell.examples)


def _hash(folder: Path, kind: str, severity: int, examples: int) -> str:
    return _read(folder, kind, severity, examples).sha256


def _read(folder: Path, kind: str, severity: int, examples: int) -> LabelledImages:
    from corruptions import open_official

    try:
        images, labels = open_official(folder).read(kind, severity, range(examples))
    except (OSError, ValueError) as error:
        raise BenchError(str(error)) from error
    pixels = (images * 255).round_().byte().permute(0, 2, 3, 1).contiguous()
    return LabelledImages(pixels.numpy(), labels.numpy())
