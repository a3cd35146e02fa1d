"""The readers of the published sets, on small sets in their layout."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from corruptions import CifarC, ImageNetC, official, open_official


@pytest.fixture
def cifar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A CIFAR-10-C of ten test images, where a pixel holds severity and index."""
    monkeypatch.setattr(official, "CIFAR_IMAGES", 10)
    images = np.zeros((50, 32, 32, 3), np.uint8)
    for row in range(50):
        images[row] = (row // 10 + 1, row % 10, 255)
    np.save(tmp_path / "fog.npy", images)
    np.save(tmp_path / "labels.npy", np.tile(np.arange(10, dtype=np.uint8), 5))
    return tmp_path


@pytest.fixture
def imagenet(tmp_path: Path) -> Path:
    """An ImageNet-C of two classes with two images each, where a pixel holds class and number."""
    for severity in range(1, 6):
        for label, wnid in enumerate(("n01440764", "n01443537")):
            folder = tmp_path / "blur" / "glass_blur" / str(severity) / wnid
            folder.mkdir(parents=True)
            for number in range(2):
                pixels = np.full((230, 226, 3), 255, np.uint8)
                pixels[3:227, 1:225] = (100 * label, 40 * severity, 60 * number)
                Image.fromarray(pixels).save(
                    folder / f"ILSVRC2012_val_{number}.JPEG", quality=100, subsampling=0
                )
    return tmp_path


def test_cifar_rows_are_severities(cifar: Path) -> None:
    """Severity s is the s-th block of rows; images are [n, 3, 32, 32] in [0, 1] in the order asked for."""
    images, labels = CifarC(cifar).read("fog", 4, [7, 2])
    assert images.shape == (2, 3, 32, 32)
    assert images.mul(255)[:, :, 0, 0].tolist() == [[4, 7, 255], [4, 2, 255]]
    assert labels.tolist() == [7, 2]
    assert labels.dtype == torch.int64


def test_cifar_files_are_not_read_whole(cifar: Path) -> None:
    """Files are memory-mapped."""
    mapped = CifarC(cifar)._open("fog", (50, 32, 32, 3))
    assert isinstance(mapped, np.memmap)


def test_imagenet_labels_are_the_classes_in_order(imagenet: Path) -> None:
    """Labels number the class folders; the central 224x224 pixels are taken, without resizing."""
    reader = ImageNetC(imagenet)
    assert reader.corruptions == ("glass_blur",)
    assert len(reader.files("glass_blur", 2)) == 4
    images, labels = reader.read("glass_blur", 2, [0, 3])
    assert images.shape == (2, 3, 224, 224)
    assert labels.tolist() == [0, 1]
    means = images.mul(255).mean((2, 3))
    assert torch.allclose(means, torch.tensor([[0.0, 80, 0], [100, 80, 60]]), atol=3)


def test_imagenet_comes_in_the_order_of_its_names(imagenet: Path) -> None:
    """As the clean images do, whose classes are mixed: the first few are not all of one class."""
    files = ImageNetC(imagenet).files("glass_blur", 1)

    assert [file.name[-6] for file in files] == ["0", "0", "1", "1"]
    assert ImageNetC(imagenet).read("glass_blur", 1, range(3))[1].tolist() == [0, 1, 0]


def test_the_folder_tells_which_set_it_is(cifar: Path) -> None:
    """A folder with labels.npy is CIFAR-C."""
    assert isinstance(open_official(cifar), CifarC)


def test_the_folder_tells_which_set_it_is_imagenet(imagenet: Path) -> None:
    """A folder of <corruption>/<severity>, in groups or not, is ImageNet-C."""
    assert isinstance(open_official(imagenet), ImageNetC)
    assert isinstance(open_official(imagenet / "blur"), ImageNetC)


def _is_one_line(error: BaseException) -> bool:
    return "\n" not in str(error)


def test_missing_and_mis_sized_files_are_named(cifar: Path, tmp_path: Path) -> None:
    """Every damage of the folder is one line with the file and what was expected."""
    reader = CifarC(cifar)
    with pytest.raises(FileNotFoundError, match=r"snow\.npy is missing; corruptions there: fog") as caught:
        reader.read("snow", 1, [0])
    assert _is_one_line(caught.value)
    np.save(cifar / "snow.npy", np.zeros((49, 32, 32, 3), np.uint8))
    with pytest.raises(ValueError, match=r"snow\.npy holds uint8 \(49, 32, 32, 3\), expected uint8 \(50"):
        reader.read("snow", 1, [0])
    (cifar / "frost.npy").write_bytes(b"<html>quota exceeded</html>")
    with pytest.raises(ValueError, match=r"frost\.npy is not a readable \.npy file") as caught:
        reader.read("frost", 1, [0])
    assert _is_one_line(caught.value)
    with pytest.raises(ValueError, match="severity must be 1, 2, 3, 4 or 5, got 0"):
        reader.read("fog", 0, [0])
    with pytest.raises(ValueError, match="index 10 is not among the 10 images"):
        reader.read("fog", 1, [3, 10])
    with pytest.raises(FileNotFoundError, match=r"has no labels\.npy"):
        CifarC(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"neither labels\.npy"):
        open_official(tmp_path / "empty")


def test_damaged_imagenet_is_named(imagenet: Path) -> None:
    """A missing corruption, an unreadable image and a small one are one line each."""
    reader = ImageNetC(imagenet)
    with pytest.raises(FileNotFoundError, match="has no folder fog/1; corruptions there: glass_blur"):
        reader.read("fog", 1, [0])
    first, second = reader.files("glass_blur", 3)[:2]
    first.write_bytes(b"not an image")
    with pytest.raises(ValueError, match="is not a readable image"):
        reader.read("glass_blur", 3, [0])
    Image.new("RGB", (100, 300)).save(second)
    with pytest.raises(ValueError, match="is 300x100, smaller than 224x224"):
        reader.read("glass_blur", 3, [1])
    with pytest.raises(ValueError, match="index 4 is not among the 4 images"):
        reader.read("glass_blur", 3, [4])
