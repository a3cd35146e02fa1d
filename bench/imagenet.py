"""ImageNet's validation images from a local folder, as the Predify authors evaluate them; without torch."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.errors import BenchError

CLASSES = 1000
SIDE = 224
"""The shorter side is resized to this many pixels and the middle cut out, as in the authors' scripts."""
SUFFIXES = {".jpeg", ".jpg", ".png"}


def read(folder: Path, examples: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return the first images [n, 224, 224, 3] and their labels [n], in the order of the file names.

    That is the official order of ILSVRC2012_val_00000001.JPEG and so on, whose classes are mixed. A label is
    the position of the image's folder among the 1,000 class folders in alphabetical order.

    Args:
        folder: Holds the class folders, or a folder `val` that does.
        examples: How many, at least 1.

    Raises:
        BenchError: If the folder is something else, holds fewer images, or one of them cannot be read.
    """
    root, classes = find(folder)
    listed = _listed(root, classes)
    if len(listed) < examples:
        raise BenchError(f"{root} holds {len(listed)} images, cannot take {examples}")
    chosen = listed[:examples]
    with ThreadPoolExecutor() as pool:
        images = list(pool.map(_image, [path for path, _ in chosen]))
    return np.stack(images), np.array([label for _, label in chosen], np.int64)


def find(folder: Path) -> tuple[Path, list[str]]:
    """Return the folder of the class folders and their names; arguments and errors as for `read`."""
    root = folder / "val" if (folder / "val").is_dir() else folder
    classes = sorted(entry.name for entry in os.scandir(root) if entry.is_dir()) if root.is_dir() else []
    if len(classes) != CLASSES:
        raise BenchError(
            f"no ImageNet in {root}: put its validation images there, one folder a class (n01440764, ...; "
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


def _image(path: Path) -> NDArray[np.uint8]:
    from PIL import Image

    try:
        with Image.open(path) as file:
            image = file.convert("RGB")
    except OSError as error:
        raise BenchError(f"{path} cannot be read: {error}") from error
    scale = SIDE / min(image.size)
    # As torchvision's Resize and CenterCrop: the longer side is cut to whole pixels, the middle rounded.
    width, height = (SIDE if side == min(image.size) else int(side * scale) for side in image.size)
    image = image.resize((width, height), Image.Resampling.BILINEAR)
    left, top = round((width - SIDE) / 2), round((height - SIDE) / 2)
    return np.asarray(image.crop((left, top, left + SIDE, top + SIDE)))
