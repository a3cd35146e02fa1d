"""ImageNet's validation images from a local folder; without torch."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bench.errors import BenchError

if TYPE_CHECKING:
    from PIL import Image

CLASSES = 1000
SIDE = 224
SUFFIXES = {".jpeg", ".jpg", ".png"}


@dataclass(frozen=True)
class Preparation:
    """How photographs become as large as a network wants them: torchvision's Resize and CenterCrop."""

    resize: int | tuple[int, int] | None = SIDE
    """Pixels of the shorter side, or (height, width); None leaves the size."""
    crop: int | None = SIDE
    """Side of the square that is cut from the middle; None cuts nothing. What it lacks is black."""
    is_bicubic: bool = False
    """Or else bilinear."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """(h, w, c) of what it makes.

        Raises:
            ValueError: If that depends on the photograph.
        """
        if self.crop is not None:
            return self.crop, self.crop, 3
        if isinstance(self.resize, tuple):
            return *self.resize, 3
        raise ValueError(f"{self} makes images of different sizes")

    def apply(self, image: Image.Image) -> Image.Image:
        """Return a photograph as the network wants it."""
        from PIL import Image

        kind = Image.Resampling.BICUBIC if self.is_bicubic else Image.Resampling.BILINEAR
        if self.resize is not None:
            image = image.resize(self._size(image), kind)
        if self.crop is None:
            return image
        left, top = (_offset(length, self.crop) for length in image.size)
        return image.crop((left, top, left + self.crop, top + self.crop))

    def _size(self, image: Image.Image) -> tuple[int, int]:
        """Return (width, height) to resize to; the longer side is cut to whole pixels."""
        if isinstance(self.resize, tuple):
            return self.resize[1], self.resize[0]
        shorter, side = min(image.size), self.resize or min(image.size)
        width, height = (side if length == shorter else int(side * length / shorter) for length in image.size)
        return width, height


PREDIFY = Preparation()
"""The Predify authors': the shorter side is resized to 224 pixels and the middle cut out."""


def read(
    folder: Path, examples: int, preparation: Preparation = PREDIFY
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return the first images [n, h, w, 3] and their labels [n], in the order of the file names.

    That is the official order of ILSVRC2012_val_00000001.JPEG and so on, whose classes are mixed. A label is
    the position of the image's folder among the 1,000 class folders in alphabetical order.

    Args:
        folder: Holds the class folders, or a folder `val` that does.
        examples: How many, at least 1.
        preparation: How they are resized and cut.

    Raises:
        BenchError: If the folder is something else, holds fewer images, or one of them cannot be read.
    """
    root, classes = find(folder)
    listed = _listed(root, classes)
    if len(listed) < examples:
        raise BenchError(f"{root} holds {len(listed)} images, cannot take {examples}")
    chosen = listed[:examples]
    with ThreadPoolExecutor() as pool:
        images = list(pool.map(partial(_image, preparation), [path for path, _ in chosen]))
    return np.stack(images), np.array([label for _, label in chosen], np.int64)


def find(folder: Path) -> tuple[Path, list[str]]:
    """Return the folder of the class folders and their names; arguments and errors as for `read`."""
    root = folder / "val" if (folder / "val").is_dir() else folder
    classes = sorted(entry.name for entry in os.scandir(root) if entry.is_dir()) if root.is_dir() else []
    if len(classes) != CLASSES:
        raise BenchError(
            f"no ImageNet in {root}: put its validation images there, one folder per class (n01440764, ...; "
            f"{CLASSES} of them, found {len(classes)}), and name it with --data-dir or BENCH_DATA_DIR"
        )
    return root, classes


def _listed(root: Path, classes: list[str]) -> list[tuple[Path, int]]:
    found = [
        (Path(entry.path), label)
        for label, name in enumerate(classes)
        for entry in os.scandir(root / name)
        if Path(entry.name).suffix.lower() in SUFFIXES
    ]
    return sorted(found, key=lambda pair: (pair[0].name, pair[1]))


def _image(preparation: Preparation, path: Path) -> NDArray[np.uint8]:
    from PIL import Image

    try:
        with Image.open(path) as file:
            image = file.convert("RGB")
    except OSError as error:
        raise BenchError(f"{path} cannot be read: {error}") from error
    return np.asarray(preparation.apply(image))


def _offset(length: int, side: int) -> int:
    """Return where a square begins; a half is rounded to even, and outside the image towards it."""
    return round((length - side) / 2) if length >= side else -((side - length) // 2)
