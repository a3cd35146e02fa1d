"""Datasets: ordered images with known hashes, without torch.

The first 1,000 test images of Fashion-MNIST and CIFAR-10 come with the package. More of them, the training
images and CIFAR-100 come from a local folder or a download; ImageNet from a local folder alone.
"""

from __future__ import annotations

import hashlib
import os
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from bench import imagenet
from bench.errors import BenchError, UnknownName

ASSETS = Path(__file__).parent / "assets"
EMBEDDED = 1000

Split = Literal["train", "test"]


class LabelledImages(NamedTuple):
    """Images in the official order."""

    images: NDArray[np.uint8]
    """[n, h, w, c]"""
    labels: NDArray[np.int64]
    """[n]"""

    @property
    def sha256(self) -> str:
        """Hash of shape, pixels and labels, the same wherever the images came from."""
        digest = hashlib.sha256(repr(self.images.shape).encode())
        digest.update(np.ascontiguousarray(self.images).data)
        digest.update(self.labels.astype("<i8").tobytes())
        return digest.hexdigest()


@dataclass(frozen=True)
class Dataset:
    """An image classification dataset with an official order."""

    name: str
    torchvision: str | None
    """Name of its class in torchvision.datasets; None for ImageNet, which is read by `bench.imagenet`."""
    shape: tuple[int, int, int]
    """(h, w, c)"""
    classes: tuple[str, ...]
    sizes: dict[Split, int]
    embedded: int = field(default=0, kw_only=True)
    """Test images that come with the package, the first ones."""


DATASETS: dict[str, Dataset] = {
    "fashion_mnist": Dataset(
        name="fashion_mnist",
        torchvision="FashionMNIST",
        shape=(28, 28, 1),
        classes=(
            "T-shirt/top",
            "Trouser",
            "Pullover",
            "Dress",
            "Coat",
            "Sandal",
            "Shirt",
            "Sneaker",
            "Bag",
            "Ankle boot",
        ),
        sizes={"train": 60_000, "test": 10_000},
        embedded=EMBEDDED,
    ),
    "cifar10": Dataset(
        name="cifar10",
        torchvision="CIFAR10",
        shape=(32, 32, 3),
        classes=("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
        sizes={"train": 50_000, "test": 10_000},
        embedded=EMBEDDED,
    ),
    "cifar100": Dataset(
        name="cifar100",
        torchvision="CIFAR100",
        shape=(32, 32, 3),
        classes=tuple(map(str, range(100))),
        sizes={"train": 50_000, "test": 10_000},
    ),
    "imagenet": Dataset(
        name="imagenet",
        torchvision=None,
        shape=(imagenet.SIDE, imagenet.SIDE, 3),
        classes=tuple(map(str, range(imagenet.CLASSES))),
        sizes={"train": 0, "test": 50_000},
    ),
}


def dataset(name: str) -> Dataset:
    """Return the dataset of that name, or raise UnknownName."""
    if name not in DATASETS:
        raise UnknownName("dataset", name, DATASETS)
    return DATASETS[name]


def evaluation_images(
    name: str,
    examples: int,
    data_dir: Path | None = None,
    preparation: imagenet.Preparation = imagenet.PREDIFY,
) -> LabelledImages:
    """Return the first `examples` test images: the embedded ones where they suffice.

    Args:
        name: A key of DATASETS.
        examples: How many, at least 1.
        data_dir: Where to look for more; by default the environment variable BENCH_DATA_DIR.
        preparation: How photographs of ImageNet are resized and cut.

    Raises:
        BenchError: If the dataset is unknown or smaller, or if its images are nowhere to be had.
    """
    known = dataset(name)
    if not 1 <= examples <= known.sizes["test"]:
        raise BenchError(f"{name} has {known.sizes['test']} test images, cannot take {examples}")
    if known.torchvision is None:
        return LabelledImages(*imagenet.read(_folder(data_dir), examples, preparation))
    found = _embedded(known) if examples <= known.embedded else _full(known, "test", data_dir)
    return LabelledImages(found.images[:examples], found.labels[:examples])


def require(name: str, data_dir: Path | None = None) -> None:
    """Raise BenchError if a dataset is not where it must be by hand: cheap, to be asked before downloads."""
    if dataset(name).torchvision is None:
        imagenet.find(_folder(data_dir))


def train_images(name: str, data_dir: Path | None = None) -> LabelledImages:
    """Return all training images; arguments and errors as for `evaluation_images`."""
    known = dataset(name)
    if known.sizes["train"] == 0:
        raise BenchError(f"the training images of {name} are not supported")
    return _full(known, "train", data_dir)


def _folder(data_dir: Path | None) -> Path:
    return data_dir or Path(os.environ.get("BENCH_DATA_DIR", "data"))


def _embedded(known: Dataset) -> LabelledImages:
    from PIL import Image

    height, width, channels = known.shape
    with Image.open(ASSETS / f"{known.name}.webp") as sheet:
        pixels = np.asarray(sheet.convert("RGB"))
    rows, columns = pixels.shape[0] // height, pixels.shape[1] // width
    tiles = pixels[..., :channels].reshape(rows, height, columns, width, channels).swapaxes(1, 2)
    labels = np.frombuffer((ASSETS / f"{known.name}_labels.bin").read_bytes(), np.uint8)
    return LabelledImages(tiles.reshape(-1, *known.shape), labels.astype(np.int64))


def _full(known: Dataset, split: Split, data_dir: Path | None) -> LabelledImages:
    folder = _folder(data_dir)
    archive = folder / f"{known.name}_{split}.npz"
    found = _read_archive(archive) if archive.is_file() else _read_torchvision(known, split, folder)
    expected = (known.sizes[split], *known.shape)
    if found.images.shape != expected or found.labels.shape != expected[:1]:
        raise BenchError(f"{known.name} ({split}) in {folder} has shape {found.images.shape}, not {expected}")
    if found.labels.min() < 0 or found.labels.max() >= len(known.classes):
        span = f"from {found.labels.min()} to {found.labels.max()}"
        raise BenchError(
            f"{known.name} ({split}) in {folder} has labels {span}, not 0 to {len(known.classes) - 1}"
        )
    return found


def _read_archive(path: Path) -> LabelledImages:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            images, labels = arrays["images"], arrays["labels"]
    except (OSError, ValueError, TypeError, KeyError, EOFError, BadZipFile, zlib.error) as error:
        raise BenchError(f"{path} is not an .npz file with images and labels: {error}") from error
    if images.dtype != np.uint8:
        raise BenchError(f"{path} must hold images as uint8, found {images.dtype}")
    if labels.dtype.kind not in "iu":
        raise BenchError(f"{path} must hold labels as whole numbers, found {labels.dtype}")
    return LabelledImages(images, labels.astype(np.int64))


def _read_torchvision(known: Dataset, split: Split, folder: Path) -> LabelledImages:
    from torchvision import datasets

    load = getattr(datasets, str(known.torchvision))
    try:
        found = load(folder, train=split == "train", download=True)
    except (OSError, RuntimeError) as error:
        reason = str(error).split("\n")[0]
        raise BenchError(
            f"no {split} images of {known.name}: put {known.name}_{split}.npz "
            f"(images uint8 [n, h, w, c], labels) or torchvision's {known.torchvision} files into {folder} "
            f"(--data-dir or BENCH_DATA_DIR), or go online so that torchvision can download them ({reason})"
        ) from error
    return LabelledImages(
        np.asarray(found.data, np.uint8).reshape(-1, *known.shape), np.asarray(found.targets, np.int64)
    )
