"""An .npz file of images, and those of their corrupted copies."""

from __future__ import annotations

import hashlib
import zlib
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO
from zipfile import BadZipFile, ZipFile, ZipInfo, is_zipfile

import numpy as np
from numpy.typing import NDArray

from bench.errors import BenchError
from bench.pictures.originals import BATCH_VALUES, SMALLEST_SIDE, Corrupt, write_file
from bench.progress import Advance


class Archive:
    """An .npz file with `images` uint8 [n, h, w, c], and maybe `labels`; copies are TARGET/KIND_SEVERITY.npz.

    Raises:
        BenchError: If it is not such a file, or its images are too small.
    """

    def __init__(self, source: Path, target: Path, batch_size: int) -> None:
        self.failures: dict[str, str] = {}
        self.without_alpha: set[str] = set()
        self.skipped: list[str] = []
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


def _write_npz(file: BinaryIO, arrays: dict[str, NDArray[Any]]) -> None:
    """Write what numpy.savez does, but without a date or a system in it on any machine."""
    with ZipFile(file, "w") as archive:
        for name, values in arrays.items():
            entry = ZipInfo(f"{name}.npy")
            entry.create_system = 3
            with archive.open(entry, "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.ascontiguousarray(values), allow_pickle=False)
