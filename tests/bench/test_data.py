from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from bench import data
from bench.errors import BenchError

EMBEDDED = {
    "fashion_mnist": "cba5e4ebdc6b5b7c14c327b418aaaff58774a41abed0728d438a29e7fcff8bd4",
    "cifar10": "1c7db48cdafa032b59efc3c0c0e8b90dc8e0c721084282d272f517a0c160fb12",
}
"""Hashes of the first 1,000 official test images and labels."""


def full_set(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return noise of the size of a test set that begins with the embedded images."""
    known = data.DATASETS[name]
    first = data.evaluation_images(name, 1000)
    images = np.random.default_rng(0).integers(0, 256, (known.sizes["test"], *known.shape), np.uint8)
    labels = np.arange(known.sizes["test"]) % 10
    images[:1000], labels[:1000] = first.images, first.labels
    return images, labels


@pytest.mark.parametrize("name", EMBEDDED)
def test_embedded_images_are_the_official_ones(name: str) -> None:
    """The first 1,000 test images lie in the package without loss."""
    found = data.evaluation_images(name, 1000)

    assert found.images.shape == (1000, *data.DATASETS[name].shape)
    assert found.sha256 == EMBEDDED[name]
    assert np.bincount(found.labels, minlength=10).min() > 80


def test_the_assets_are_small() -> None:
    """All embedded images together take under 3 MB."""
    assert sum(path.stat().st_size for path in data.ASSETS.iterdir()) < 3e6


@pytest.mark.parametrize("name", EMBEDDED)
def test_fewer_examples_are_a_prefix(name: str) -> None:
    """Ten examples are the first ten, and their hash is their own."""
    ten, all_of_them = data.evaluation_images(name, 10), data.evaluation_images(name, 1000)

    assert np.array_equal(ten.images, all_of_them.images[:10])
    assert ten.sha256 != all_of_them.sha256


def test_more_examples_come_from_an_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """NAME_test.npz in --data-dir or BENCH_DATA_DIR; its images hash as the embedded ones do."""
    images, labels = full_set("fashion_mnist")
    np.savez(tmp_path / "fashion_mnist_test.npz", images=images, labels=labels)
    given = data.evaluation_images("fashion_mnist", 1500, tmp_path)
    monkeypatch.setenv("BENCH_DATA_DIR", str(tmp_path))

    assert np.array_equal(given.images, images[:1500])
    assert data.evaluation_images("fashion_mnist", 1500).sha256 == given.sha256
    assert data.LabelledImages(given.images[:1000], given.labels[:1000]).sha256 == EMBEDDED["fashion_mnist"]


def test_more_examples_come_from_torchvisions_layout(tmp_path: Path) -> None:
    """The four .gz files that torchvision keeps, found without a download."""
    images, labels = full_set("fashion_mnist")
    raw = tmp_path / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    for split, prefix in (("train", "train"), ("test", "t10k")):
        count = 10_000 if split == "test" else 1
        header = struct.pack(">IIII", 2051, count, 28, 28)
        pixels, classes = images[:count].tobytes(), labels[:count].astype(np.uint8).tobytes()
        for kind, content in (
            ("images-idx3", header + pixels),
            ("labels-idx1", struct.pack(">II", 2049, count) + classes),
        ):
            (raw / f"{prefix}-{kind}-ubyte").write_bytes(content)
            (raw / f"{prefix}-{kind}-ubyte.gz").write_bytes(gzip.compress(content, 1))
    found = data.evaluation_images("fashion_mnist", 1200, tmp_path)

    assert np.array_equal(found.images, images[:1200])
    assert np.array_equal(found.labels, labels[:1200])


def test_images_that_are_nowhere_give_one_line_with_all_ways(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Folder, environment variable and download are named, and nothing is half there."""
    from torchvision import datasets

    def offline(*_: object, **__: object) -> None:
        raise RuntimeError("Error downloading train-images-idx3-ubyte.gz")

    monkeypatch.setattr(datasets.FashionMNIST, "download", offline)
    with pytest.raises(BenchError) as caught:
        data.evaluation_images("fashion_mnist", 1001, tmp_path)
    message = str(caught.value)

    assert "\n" not in message
    for way in (
        "fashion_mnist_test.npz",
        "torchvision's FashionMNIST",
        "--data-dir or BENCH_DATA_DIR",
        "online",
    ):
        assert way in message


@pytest.mark.parametrize("examples", [0, -1, 10_001])
def test_impossible_counts_are_refused(examples: int) -> None:
    """More than the test set has, or none."""
    with pytest.raises(BenchError, match="has 10000 test images, cannot take"):
        data.evaluation_images("cifar10", examples)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"not an archive", "is not an .npz file"),
        ({"images": np.zeros((5, 28, 28, 1), np.uint8)}, "is not an .npz file with images and labels"),
        (
            {"images": np.zeros((5, 28, 28, 1)), "labels": np.zeros(5)},
            "must hold images as uint8, found float64",
        ),
        (
            {"images": np.zeros((5, 28, 28, 1), np.uint8), "labels": np.zeros(5)},
            "whole numbers, found float64",
        ),
        (
            {"images": np.zeros((5, 28, 28, 1), np.uint8), "labels": np.zeros(5, int)},
            r"has shape \(5, 28, 28, 1\), not \(10000, 28, 28, 1\)",
        ),
        (
            {"images": np.zeros((5, 28, 28, 1), np.uint8), "labels": np.array(["a"] * 5)},
            "whole numbers, found <U1",
        ),
        (
            {"images": np.zeros((10_000, 28, 28, 1), np.uint8), "labels": np.full(10_000, 99)},
            "has labels from 99 to 99, not 0 to 9",
        ),
        (
            {"images": np.zeros((10_000, 28, 28, 1), np.uint8), "labels": np.arange(10_000) % 10 - 1},
            "has labels from -1 to 8, not 0 to 9",
        ),
    ],
)
def test_bad_archives_are_refused(content, message: str, tmp_path: Path) -> None:
    """One line says what is wrong with the file."""
    path = tmp_path / "fashion_mnist_test.npz"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        np.savez(path, **content)

    with pytest.raises(BenchError, match=message):
        data.evaluation_images("fashion_mnist", 1001, tmp_path)


@pytest.mark.parametrize("damage", ["cut off", "one byte"])
def test_damaged_archives_are_refused(damage: str, tmp_path: Path) -> None:
    """Half a download, or a bad disk."""
    path = tmp_path / "fashion_mnist_test.npz"
    images, labels = full_set("fashion_mnist")
    np.savez(path, images=images, labels=labels)
    content = bytearray(path.read_bytes())
    if damage == "one byte":
        content[5000] ^= 255
    path.write_bytes(content if damage == "one byte" else content[: len(content) // 2])

    with pytest.raises(BenchError, match=r"is not an \.npz file with images and labels"):
        data.evaluation_images("fashion_mnist", 1001, tmp_path)


def test_unknown_datasets_are_refused_with_the_nearest_name() -> None:
    """A typo is answered with what was meant."""
    with pytest.raises(BenchError, match=r"unknown dataset 'cifar'; did you mean 'cifar10'\?"):
        data.evaluation_images("cifar", 10)
