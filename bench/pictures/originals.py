"""What images to corrupt have in common, wherever they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np
from numpy.typing import NDArray

from bench.errors import BenchError
from bench.progress import Advance
from reports.files import replace_file

SMALLEST_SIDE = 28
"""As in corruptions.batch, which imports torch; a test holds them equal."""

BATCH_VALUES = 2**24
"""Values corrupted together, at most, unless one image has more."""

Pixels = NDArray[np.uint8]

Corrupt = Callable[[Pixels, Sequence[int]], Pixels]
"""From images [n, h, w, c] and whom their random draws belong to, to corrupted images."""


class Originals(Protocol):
    """Images, and where their copies go."""

    identity: str
    """Tells them from other images, in the settings."""
    count: int
    failures: dict[str, str]
    """Image -> why it could not be read."""
    without_alpha: set[str]
    """Images whose alpha channel was dropped."""
    skipped: list[str]
    """Files beside the images that are not read."""

    def pending(self, name: str, severity: int) -> int:
        """Return how many copies are not there."""
        ...

    def write(self, name: str, severity: int, corrupt: Corrupt, advance: Advance) -> int:
        """Write those copies and return how many could be."""
        ...


def write_file(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a file whole or not at all, and the folders it is in.

    Raises:
        BenchError: If it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, write)
    except OSError as error:
        raise BenchError(f"cannot write {path}: {error.strerror or error}") from error
