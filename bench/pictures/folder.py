"""A folder of images, and those of their corrupted copies."""

from __future__ import annotations

import hashlib
import os
import struct
import unicodedata
import zlib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from bench.errors import BenchError
from bench.pictures.originals import BATCH_VALUES, SMALLEST_SIDE, Corrupt, Pixels, write_file
from bench.progress import Advance

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")

READ_AHEAD_VALUES = 2**26
"""Values read, at most and but for the last image, while waiting for others of their size."""


class Picture(NamedTuple):
    """An image of a folder."""

    path: str
    """Within the folder, with slashes."""
    pixels: Pixels
    """[h, w, c]"""

    @property
    def number(self) -> int:
        """Whom its random draws belong to: a number that depends on the path alone."""
        # Some file systems decompose accents.
        name = unicodedata.normalize("NFC", self.path).encode(errors="surrogateescape")
        return int.from_bytes(hashlib.sha256(name).digest()[:8]) >> 1


class Folder:
    """A folder of images, those in its folders included; copies are TARGET/KIND/SEVERITY/PATH.png.

    Raises:
        BenchError: If it has no images, or two that would have the same copy.
    """

    def __init__(self, source: Path, target: Path, batch_size: int) -> None:
        self.identity = f"folder {source.resolve().name}"
        self.failures: dict[str, str] = {}
        self.without_alpha: set[str] = set()
        self._source, self._target, self._batch_size = source, target, batch_size
        self._paths, self.skipped = _find(source)
        self.count = len(self._paths)

    def pending(self, name: str, severity: int) -> int:
        """See Originals."""
        return len(self._pending(name, severity))

    def _pending(self, name: str, severity: int) -> list[str]:
        if not (self._target / name / str(severity)).is_dir():
            return self._paths
        return [path for path in self._paths if not self._copy(name, severity, path).exists()]

    def write(self, name: str, severity: int, corrupt: Corrupt, advance: Advance) -> int:
        """See Originals."""

        def save(picture: Picture, pixels: Pixels) -> None:
            write_file(self._copy(name, severity, picture.path), partial(_write_png, pixels=pixels))

        written = 0
        pictures = self._read(self._pending(name, severity), advance)
        # Compressing costs more than most corruptions do, and lets other threads run.
        with ThreadPoolExecutor() as pool:
            for batch in _batches(pictures, self._batch_size):
                pixels = np.stack([picture.pixels for picture in batch])
                for _ in pool.map(save, batch, corrupt(pixels, [picture.number for picture in batch])):
                    written += 1
                    advance(1)
        return written

    def _copy(self, name: str, severity: int, path: str) -> Path:
        return (self._target / name / str(severity) / path).with_suffix(".png")

    def _read(self, paths: Iterable[str], advance: Advance) -> Iterator[Picture]:
        """Read the images that can be, and take note of the others."""
        for path in paths:
            if path not in self.failures:
                try:
                    pixels, had_alpha = _read_pixels(self._source / path)
                except _UNREADABLE as error:
                    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
                    self.failures[path] = " ".join(reason.split())
                else:
                    if had_alpha:
                        self.without_alpha.add(path)
                    yield Picture(path, pixels)
                    continue
            advance(1)


def _find(source: Path) -> tuple[list[str], list[str]]:
    """Return the images of a folder, and the files that are none or of a kind that is not read."""

    def fail(error: OSError) -> None:
        raise BenchError(f"cannot read {error.filename}: {error.strerror}")

    found: dict[str, str] = {}
    skipped = []
    for home, folders, files in os.walk(source, onerror=fail, followlinks=True):
        inside = Path(home).relative_to(source)
        # Hidden ones are not pictures (macOS keeps ._name.png beside name.png); links may lead back up.
        above = {*Path(home).resolve().parents, Path(home).resolve()}
        folders[:] = [f for f in folders if f[0] != "." and (Path(home) / f).resolve() not in above]
        for name in files:
            path = inside / name
            if name[0] == ".":
                continue
            if path.suffix.lower() not in SUFFIXES:
                skipped.append(path.as_posix())
                continue
            copy, text = path.with_suffix(".png").as_posix(), path.as_posix()
            if copy in found:
                first, second = sorted([found[copy], text])
                raise BenchError(f"{first} and {second} in {source} would have the same copy: rename one")
            found[copy] = text
    if not found:
        raise BenchError(f"{source} has no images ({', '.join(s[1:] for s in SUFFIXES)})")
    return sorted(found.values()), sorted(skipped)


def _read_pixels(path: Path) -> tuple[Pixels, bool]:
    """Return an image's pixels, upright, grey or colour, and whether an alpha channel was dropped."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            if min(image.size) < SMALLEST_SIDE:
                size = f"{image.height}x{image.width}"
                raise ValueError(f"{size} is smaller than {SMALLEST_SIDE}x{SMALLEST_SIDE}")
            if image.mode[0] in "IF":
                raise ValueError(f"mode {image.mode} is not 8 bits per channel")
            had_alpha = image.has_transparency_data
            # Copies have no EXIF that would turn them when shown.
            upright = ImageOps.exif_transpose(image)
            # Transparent palettes cannot be turned into colours in one step.
            whole = upright.convert("RGBA") if had_alpha and image.mode == "P" else upright
            pixels = np.asarray(whole.convert("L" if image.mode in ("1", "L", "LA") else "RGB"))
    except UnidentifiedImageError as error:
        raise ValueError("not an image, or damaged") from error
    except Image.DecompressionBombError as error:
        raise ValueError(str(error)) from error
    return pixels.reshape(*pixels.shape[:2], -1), had_alpha


_UNREADABLE = (OSError, ValueError, SyntaxError, EOFError, struct.error, zlib.error)
"""What Pillow raises on damaged files."""


def _batches(pictures: Iterable[Picture], batch_size: int) -> Iterator[list[Picture]]:
    """Gather images of equal size."""
    waiting: dict[tuple[int, ...], list[Picture]] = {}
    held = 0
    for picture in pictures:
        batch = waiting.setdefault(picture.pixels.shape, [])
        batch.append(picture)
        held += picture.pixels.size
        is_full = len(batch) == batch_size or (len(batch) + 1) * picture.pixels.size > BATCH_VALUES
        if not is_full and held < READ_AHEAD_VALUES:
            continue
        size = picture.pixels.shape if is_full else max(waiting, key=lambda s: len(waiting[s]) * np.prod(s))
        held -= len(waiting[size]) * int(np.prod(size))
        yield waiting.pop(size)
    yield from waiting.values()


def _write_png(file: BinaryIO, pixels: Pixels) -> None:
    from PIL import Image

    flat = pixels if pixels.shape[2] == 3 else pixels[..., 0]
    Image.fromarray(np.ascontiguousarray(flat)).save(file, "PNG")
