"""Folders of images and .npz files, and the folders of their corrupted copies; without torch."""

from __future__ import annotations

import hashlib
import os
import struct
import unicodedata
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Protocol
from zipfile import BadZipFile, ZipFile, ZipInfo, is_zipfile

import numpy as np
from numpy.typing import NDArray

from bench.errors import BenchError
from bench.progress import Advance
from reports.files import replace_file

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")

SMALLEST_SIDE = 28
"""As in corruptions.batch, which imports torch; a test holds them equal."""

BATCH_VALUES = 2**24
"""Values corrupted together, at most, unless one image has more."""

READ_AHEAD_VALUES = 2**26
"""Values read, at most and but for the last image, while waiting for others of their size."""

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

    def pending(self, name: str, severity: int) -> int:
        """Return how many copies are not there."""
        ...

    def write(self, name: str, severity: int, corrupt: Corrupt, advance: Advance) -> int:
        """Write those copies and return how many could be."""
        ...


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
        self._paths = _find(source)
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


class Archive:
    """An .npz file with `images` uint8 [n, h, w, c], and maybe `labels`; copies are TARGET/KIND_SEVERITY.npz.

    Raises:
        BenchError: If it is not such a file, or its images are too small.
    """

    def __init__(self, source: Path, target: Path, batch_size: int) -> None:
        self.failures: dict[str, str] = {}
        self.without_alpha: set[str] = set()
        self._target = target
        self._arrays = _read_arrays(source)
        images = self._arrays["images"]
        if images.shape[3] in (2, 4):
            self._arrays["images"] = images = images[..., :-1]
            self.without_alpha.add(f"all images of {source.name}")
        self.count = len(images)
        self.identity = f"sha256 {_hash(self._arrays)[:16]}"
        self._batch_size = min(batch_size, max(1, BATCH_VALUES // images[0].size))

    def pending(self, name: str, severity: int) -> int:
        """See Originals."""
        return 0 if self._copy(name, severity).exists() else self.count

    def write(self, name: str, severity: int, corrupt: Corrupt, advance: Advance) -> int:
        """See Originals."""
        damaged = np.empty_like(self._arrays["images"])
        for start in range(0, self.count, self._batch_size):
            rows = range(start, min(start + self._batch_size, self.count))
            damaged[rows.start : rows.stop] = corrupt(self._arrays["images"][rows.start : rows.stop], rows)
            advance(len(rows))
        arrays = self._arrays | {"images": damaged}
        write_file(self._copy(name, severity), partial(_write_npz, arrays=arrays))
        return self.count

    def _copy(self, name: str, severity: int) -> Path:
        return self._target / f"{name}_{severity}.npz"


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


def _find(source: Path) -> list[str]:
    def fail(error: OSError) -> None:
        raise BenchError(f"cannot read {error.filename}: {error.strerror}")

    found: dict[str, str] = {}
    for home, folders, files in os.walk(source, onerror=fail, followlinks=True):
        inside = Path(home).relative_to(source)
        # Hidden ones are not pictures (macOS keeps ._name.png beside name.png); links may lead back up.
        above = {*Path(home).resolve().parents, Path(home).resolve()}
        folders[:] = [f for f in folders if f[0] != "." and (Path(home) / f).resolve() not in above]
        for name in files:
            path = inside / name
            if name[0] == "." or path.suffix.lower() not in SUFFIXES:
                continue
            copy, text = path.with_suffix(".png").as_posix(), path.as_posix()
            if copy in found:
                first, second = sorted([found[copy], text])
                raise BenchError(f"{first} and {second} in {source} would have the same copy: rename one")
            found[copy] = text
    if not found:
        raise BenchError(f"{source} has no images ({', '.join(s[1:] for s in SUFFIXES)})")
    return sorted(found.values())


def _read_pixels(path: Path) -> tuple[Pixels, bool]:
    """Return an image's pixels, grey or colour, and whether an alpha channel was dropped."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            if min(image.size) < SMALLEST_SIDE:
                size = f"{image.height}x{image.width}"
                raise ValueError(f"{size} is smaller than {SMALLEST_SIDE}x{SMALLEST_SIDE}")
            if image.mode[0] in "IF":
                raise ValueError(f"mode {image.mode} is not 8 bits a channel")
            had_alpha = image.has_transparency_data
            # Transparent palettes cannot be turned into colours in one step.
            whole = image.convert("RGBA") if had_alpha and image.mode == "P" else image
            pixels = np.asarray(whole.convert("L" if image.mode in ("1", "L", "LA") else "RGB"))
    except UnidentifiedImageError as error:
        raise ValueError("it is no image, or damaged") from error
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


def _read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    try:
        with path.open("rb") as file:
            if not is_zipfile(file):
                raise ValueError("it is no zip archive, or cut off")
            file.seek(0)
            with np.load(file, allow_pickle=False) as found:
                arrays = {name: found[name] for name in ("images", "labels") if name in found}
    except (OSError, ValueError, EOFError, BadZipFile, zlib.error) as error:
        raise BenchError(f"{path} is not a readable .npz file: {error}") from error
    images = arrays.get("images", np.empty(0))
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] not in (1, 2, 3, 4):
        shown = f"{images.dtype} {list(images.shape)}" if "images" in arrays else "none"
        raise BenchError(f"{path} must hold `images` as uint8 [n, h, w, c] with c from 1 to 4, found {shown}")
    if not len(images):
        raise BenchError(f"{path} has no images")
    if min(images.shape[1:3]) < SMALLEST_SIDE:
        size = "x".join(map(str, images.shape[1:3]))
        raise BenchError(f"images of {path} are {size}, smaller than {SMALLEST_SIDE}x{SMALLEST_SIDE}")
    if "labels" in arrays and arrays["labels"].shape[:1] != images.shape[:1]:
        raise BenchError(f"{path} has {len(images)} images but labels {list(arrays['labels'].shape)}")
    return arrays


def _hash(arrays: dict[str, NDArray[Any]]) -> str:
    digest = hashlib.sha256()
    for name, values in arrays.items():
        digest.update(f"{name} {values.dtype.str} {values.shape} ".encode())
        digest.update(np.ascontiguousarray(values).data)
    return digest.hexdigest()


def _write_png(file: BinaryIO, pixels: Pixels) -> None:
    from PIL import Image

    flat = pixels if pixels.shape[2] == 3 else pixels[..., 0]
    Image.fromarray(np.ascontiguousarray(flat)).save(file, "PNG")


def _write_npz(file: BinaryIO, arrays: dict[str, NDArray[Any]]) -> None:
    """Write what numpy.savez does, but without a date or a system in it on any machine."""
    with ZipFile(file, "w") as archive:
        for name, values in arrays.items():
            entry = ZipInfo(f"{name}.npy")
            entry.create_system = 3
            with archive.open(entry, "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.ascontiguousarray(values), allow_pickle=False)
