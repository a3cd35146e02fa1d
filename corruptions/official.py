"""Readers of the published corrupted sets: CIFAR-10-C, CIFAR-100-C and ImageNet-C.

The files are the authors' own, downloaded and unpacked by the user. Nothing is read before images are
asked for, and of a CIFAR file only the images asked for.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from os import PathLike
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from corruptions.names import SEVERITIES

CIFAR_IMAGES = 10_000
"""Test images, and so rows per severity."""

SIDE = 224


class CifarC:
    """A folder of CIFAR-10-C or CIFAR-100-C: `<corruption>.npy` and `labels.npy`.

    Severity s is rows (s - 1) * 10,000 to s * 10,000 of each file, in the order of the test set.

    Raises:
        FileNotFoundError: If the folder has no `labels.npy`.
    """

    def __init__(self, folder: str | PathLike[str]) -> None:
        self._folder = Path(folder)
        if not (self._folder / "labels.npy").is_file():
            raise FileNotFoundError(f"{self._folder} is not a CIFAR-C folder: it has no labels.npy")

    def __len__(self) -> int:
        """Return the number of images of one corruption at one severity."""
        return CIFAR_IMAGES

    @property
    def corruptions(self) -> tuple[str, ...]:
        """The corruptions whose file is there."""
        return tuple(sorted(path.stem for path in self._folder.glob("*.npy") if path.stem != "labels"))

    def read(
        self, name: str, severity: int, indices: Sequence[int]
    ) -> tuple[Float[Tensor, "n 3 32 32"], Int[Tensor, " n"]]:
        """Return images in [0, 1] and labels.

        Args:
            name: A corruption.
            severity: From 1 to 5.
            indices: Places in the test set.

        Raises:
            FileNotFoundError: If the corruption's file is not there.
            ValueError: If a file has another shape or type than the published ones, or the severity or an
                index is out of range.
        """
        _check_severity(severity)
        _check_range(indices, CIFAR_IMAGES)
        rows = (severity - 1) * CIFAR_IMAGES + np.asarray(indices, dtype=np.int64)
        pixels = torch.from_numpy(self._open(name, (5 * CIFAR_IMAGES, 32, 32, 3))[rows])
        labels = torch.from_numpy(self._open("labels", (5 * CIFAR_IMAGES,))[rows].astype(np.int64))
        return pixels.permute(0, 3, 1, 2).contiguous().float().div_(255), labels

    def _open(self, name: str, shape: tuple[int, ...]) -> np.memmap:
        path = self._folder / f"{name}.npy"
        if not path.is_file():
            known = ", ".join(self.corruptions) or "none"
            raise FileNotFoundError(f"{path} is missing; corruptions there: {known}")
        try:
            values: np.memmap = np.load(path, mmap_mode="r", allow_pickle=False)
        except (ValueError, EOFError, OSError) as error:
            raise ValueError(f"{path} is not a readable .npy file: {error}") from error
        is_right_type = values.dtype == np.uint8 or (name == "labels" and values.dtype.kind in "iu")
        if values.shape != shape or not is_right_type:
            raise ValueError(f"{path} holds {values.dtype} {values.shape}, expected uint8 {shape}")
        return values


class ImageNetC:
    """A folder of ImageNet-C: `<corruption>/<severity>/<class>/*.JPEG`.

    Images are 224x224 as published; larger ones lose their margins, none is resized. Labels number the
    1,000 class folders in alphabetical order. Archives unpack into a folder per group (`noise`, `blur`,
    `weather`, `digital`, `extra`), which is looked into too.

    Raises:
        FileNotFoundError: If there is no such folder.
    """

    def __init__(self, folder: str | PathLike[str]) -> None:
        self._folder = Path(folder)
        if not self._folder.is_dir():
            raise FileNotFoundError(f"{self._folder} is not a folder")

    @functools.cached_property
    def _homes(self) -> dict[str, Path]:
        places = sorted(self._folder.glob("*/1")) + sorted(self._folder.glob("*/*/1"))
        return {place.parent.name: place.parent for place in places if place.is_dir()}

    @property
    def corruptions(self) -> tuple[str, ...]:
        """The corruptions whose folder is there."""
        return tuple(sorted(self._homes))

    def files(self, name: str, severity: int) -> list[Path]:
        """Return the images of one corruption at one severity, in the order of their file names.

        That is the official order of ImageNet's validation images, whose classes are mixed, so that a few of
        them are of many classes and the same as a few clean ones.

        Raises:
            FileNotFoundError: If they are not there.
            ValueError: If the severity is not from 1 to 5.
        """
        _check_severity(severity)
        return self._files(name, severity)[0]

    @functools.lru_cache(maxsize=8)  # noqa: B019 (a handful of readers live as long as the process)
    def _files(self, name: str, severity: int) -> tuple[list[Path], list[int]]:
        if name not in self._homes:
            known = ", ".join(self.corruptions) or "none"
            raise FileNotFoundError(f"{self._folder} has no folder {name}/1; corruptions there: {known}")
        folder = self._homes[name] / str(severity)
        classes = sorted(path for path in folder.glob("*") if path.is_dir())
        found = [
            (path, label)
            for label, home in enumerate(classes)
            for path in home.iterdir()
            if path.suffix.lower() in (".jpeg", ".jpg", ".png")
        ]
        found.sort(key=lambda pair: (pair[0].name, pair[1]))
        if not found:
            raise FileNotFoundError(f"{folder} holds no images in class folders")
        return [path for path, _ in found], [label for _, label in found]

    def read(
        self, name: str, severity: int, indices: Sequence[int]
    ) -> tuple[Float[Tensor, "n 3 224 224"], Int[Tensor, " n"]]:
        """Return images in [0, 1] and labels.

        Args:
            name: A corruption.
            severity: From 1 to 5.
            indices: Places in `files(name, severity)`.

        Raises:
            FileNotFoundError: If the images are not there.
            ValueError: If an image is smaller than 224x224 or not readable, or the severity or an index is
                out of range.
        """
        _check_severity(severity)
        paths, labels = self._files(name, severity)
        _check_range(indices, len(paths))
        images = torch.empty(len(indices), 3, SIDE, SIDE)
        with ThreadPoolExecutor() as pool:
            found = pool.map(_read_image, [paths[index] for index in indices])
            for image, pixels in zip(images, found, strict=True):
                image.copy_(pixels)
        return images, torch.tensor([labels[index] for index in indices], dtype=torch.int64)


def open_official(folder: str | PathLike[str]) -> CifarC | ImageNetC:
    """Return the reader for a folder: of CIFAR-C if it has a `labels.npy`, else of ImageNet-C.

    Raises:
        FileNotFoundError: If the folder is neither.
    """
    if (Path(folder) / "labels.npy").is_file():
        return CifarC(folder)
    reader = ImageNetC(folder)
    if not reader.corruptions:
        raise FileNotFoundError(
            f"{folder} holds neither labels.npy (CIFAR-C) nor <corruption>/1/ (ImageNet-C)"
        )
    return reader


def _read_image(path: Path) -> Float[Tensor, "3 224 224"]:
    from PIL import Image

    try:
        with Image.open(path) as image:
            pixels = np.array(image.convert("RGB"))
    except OSError as error:
        raise ValueError(f"{path} is not a readable image: {error}") from error
    height, width = pixels.shape[:2]
    if min(height, width) < SIDE:
        raise ValueError(f"{path} is {height}x{width}, smaller than {SIDE}x{SIDE}")
    top, left = (height - SIDE) // 2, (width - SIDE) // 2
    crop = pixels[top : top + SIDE, left : left + SIDE]
    return torch.from_numpy(crop).permute(2, 0, 1).float().div_(255)


def _check_severity(severity: int) -> None:
    if severity not in SEVERITIES:
        raise ValueError(f"severity must be 1, 2, 3, 4 or 5, got {severity!r}")


def _check_range(indices: Sequence[int], count: int) -> None:
    wrong = [index for index in indices if not 0 <= index < count]
    if wrong:
        raise ValueError(f"index {wrong[0]} is not among the {count} images")
