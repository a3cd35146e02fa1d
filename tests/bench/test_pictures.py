from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from bench.corrupted_copies import Options, corrupt
from bench.errors import BenchError
from bench.pictures import folder, originals

from .conftest import FOG, NOISE, archive, content, pixels


def read(path: Path) -> np.ndarray:
    """Return the levels of a picture."""
    with Image.open(path) as image:
        return np.asarray(image)


def test_a_folder_keeps_its_layout(photos: Path, tmp_path: Path) -> None:
    """OUT/<kind>/<severity>/<relative path>.png for every picture, whatever its format, and nothing else."""
    options = Options(kinds="contrast,fog", severity="5,1", family="cifar", device="cpu")
    report = corrupt(photos, tmp_path / "out", options)

    stems = ("cat/a", "cat/b", "dog/deep/c", "dog/d", "grey")
    copies = {
        f"{kind}/{level}/{stem}.png" for kind in ("contrast", "fog") for level in "15" for stem in stems
    }
    assert content(tmp_path / "out").keys() == copies | {"corrupt.json"}
    assert (report.written, report.kept, report.is_complete) == (20, 0, True)


def test_copies_are_what_apply_makes(photos: Path, tmp_path: Path) -> None:
    """A folder's copy is the library's corruption of that picture, sizes and greyness kept."""
    import torch

    from corruptions import apply

    corrupt(photos, tmp_path / "out", NOISE)
    for source, copy in [("cat/a.png", "cat/a"), ("cat/b.bmp", "cat/b"), ("grey.jpg", "grey")]:
        clean = read(photos / source)
        images = torch.from_numpy(clean.copy().reshape(1, *clean.shape[:2], -1)).permute(0, 3, 1, 2) / 255
        owner = folder.Picture(source, clean).number
        expected = apply(images, "gaussian_noise", 3, family="cifar", indices=[owner]).mul(255).round().byte()
        found = read(tmp_path / f"out/gaussian_noise/3/{copy}.png")
        assert found.shape == clean.shape
        assert (found == expected[0].permute(1, 2, 0).numpy().reshape(found.shape)).all()


def test_numbers_of_paths_do_not_change() -> None:
    """They decide every draw for ever; accents count the same however a file system spells them."""
    numbers = [folder.Picture(path, pixels(1)).number for path in ("cat/a.png", "caf\u00e9", "cafe\u0301")]

    assert numbers[0] == 6_583_273_883_334_349_263
    assert numbers[1] == numbers[2] < 2**63


@pytest.mark.parametrize("batch_size", [1, 2])
def test_batches_change_no_byte(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch_size: int
) -> None:
    """Nor does a read-ahead so small that batches leave before they are full."""
    whole = archive(tmp_path / "x.npz", pixels(5, 28, 28, 1), labels=np.arange(5))
    for source in (photos, whole):
        corrupt(source, tmp_path / f"{source.name} 1", NOISE)
    monkeypatch.setattr(folder, "READ_AHEAD_VALUES", 5000)
    for source in (photos, whole):
        options = Options("gaussian_noise", "3", "cifar", 0, "cpu", batch_size)
        corrupt(source, tmp_path / f"{source.name} 2", options)
        assert content(tmp_path / f"{source.name} 1") == content(tmp_path / f"{source.name} 2")


def test_read_ahead_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many sizes a folder has, no more pictures are held than the bound and one batch."""
    monkeypatch.setattr(folder, "READ_AHEAD_VALUES", 10_000)
    taken = given = most = 0

    def many() -> Iterator[folder.Picture]:
        nonlocal taken
        for side in [30, 31, 32, 33] * 50:
            taken += 1
            yield folder.Picture(str(taken), pixels(side, side, 1))

    seen = []
    for batch in folder._batches(many(), 8):
        most = max(most, taken - given)
        given += len(batch)
        seen += [image.path for image in batch]
        assert len({image.pixels.shape for image in batch}) == 1
    assert most <= 12
    assert sorted(seen, key=int) == [str(number) for number in range(1, 201)]


def test_large_pictures_come_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch is bounded in memory too, not only in number."""
    monkeypatch.setattr(folder, "BATCH_VALUES", 2000)
    images = [folder.Picture(str(n), pixels(30, 30, 1)) for n in range(5)]

    assert [len(batch) for batch in folder._batches(images, 8)] == [2, 2, 1]


def test_an_npz_keeps_order_and_labels(tmp_path: Path) -> None:
    """Row i is image i corrupted with draws of index i; labels and their type are copied."""
    import torch

    from corruptions import apply

    images, labels = pixels(5, 28, 30, 3), np.array([4, 0, 3, 1, 2], np.int16)
    source = archive(tmp_path / "x.npz", images, labels=labels)
    report = corrupt(source, tmp_path / "out", NOISE)

    expected = apply(torch.from_numpy(images).permute(0, 3, 1, 2) / 255, "gaussian_noise", 3, family="cifar")
    with np.load(tmp_path / "out/gaussian_noise_3.npz") as made:
        assert set(made) == {"images", "labels"}
        assert (made["images"] == expected.mul(255).round().byte().permute(0, 2, 3, 1).numpy()).all()
        assert made["images"].dtype == np.uint8
        assert (made["labels"] == labels).all()
        assert made["labels"].dtype == np.int16
    assert (report.written, report.kept) == (5, 0)


def test_labels_are_optional(tmp_path: Path) -> None:
    """An .npz without labels has copies without labels."""
    corrupt(archive(tmp_path / "x.npz", pixels(2, 28, 28, 1)), tmp_path / "out", FOG)

    with np.load(tmp_path / "out/fog_2.npz") as made:
        assert list(made) == ["images"]
        assert made["images"].shape == (2, 28, 28, 1)


def test_an_npz_carries_no_date(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its bytes depend on the arrays alone, not on the clock."""
    source = archive(tmp_path / "x.npz", pixels(2, 28, 28, 1))
    corrupt(source, tmp_path / "now", FOG)
    monkeypatch.setattr(time, "time", lambda: 1.9e9)
    corrupt(source, tmp_path / "later", FOG)

    assert content(tmp_path / "now") == content(tmp_path / "later")


@pytest.mark.parametrize(
    ("mode", "shape"), [("RGBA", (32, 32, 3)), ("LA", (32, 32)), ("P", (32, 32, 3)), ("1", (32, 32))]
)
def test_modes(tmp_path: Path, mode: str, shape: tuple[int, ...]) -> None:
    """Grey stays grey, all else becomes RGB, alpha is dropped, and one note says so."""
    opaque = Image.fromarray(pixels(32, 32, 3)).convert("L" if mode in ("LA", "1") else "RGB")
    image = opaque.convert(mode)
    (tmp_path / "photos").mkdir()
    more = {"transparency": bytes(range(256))} if mode == "P" else {}
    for name in ("a.png", "b.png"):
        image.save(tmp_path / "photos" / name, **more)
    report = corrupt(tmp_path / "photos", tmp_path / "out", FOG)

    assert read(tmp_path / "out/fog/2/a.png").shape == shape
    assert report.is_complete
    notes = [line for line in report.lines() if "alpha" in line]
    assert notes == ([] if mode == "1" else ["alpha dropped: a.png and 1 more"])


def test_photographs_stand_upright(tmp_path: Path) -> None:
    """A copy has no EXIF: its pixels stand as viewers show the original's."""
    levels = pixels(28, 40, 3)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    (tmp_path / "in").mkdir()
    Image.fromarray(levels).save(tmp_path / "in/turned.png", exif=exif)
    Image.fromarray(np.rot90(levels, -1)).save(tmp_path / "in/upright.png")
    corrupt(tmp_path / "in", tmp_path / "out", Options("brightness", "3", "cifar", 0, "cpu"))

    turned, upright = (read(tmp_path / f"out/brightness/3/{name}.png") for name in ("turned", "upright"))
    assert turned.shape == (40, 28, 3)
    assert (turned == upright).all()


def test_other_files_are_told(photos: Path, tmp_path: Path) -> None:
    """Nobody has to find out that pictures of an unknown kind have no copies."""
    Image.fromarray(pixels(30, 30, 3)).save(photos / "cat" / "moving.gif")
    (photos / ".hidden").write_text("no picture")
    report = corrupt(photos, tmp_path / "out", FOG)

    assert report.is_complete
    assert report.skipped == ["cat/moving.gif", "notes.txt"]
    assert report.lines()[1] == "left alone, no kind of image that is read: cat/moving.gif and 1 more"


@pytest.mark.parametrize("channels", [2, 4])
def test_alpha_of_an_npz_is_dropped(tmp_path: Path, channels: int) -> None:
    """The rest is corrupted as if it had never been there."""
    images = pixels(3, 28, 28, channels)
    report = corrupt(archive(tmp_path / "with.npz", images), tmp_path / "with", FOG)
    corrupt(archive(tmp_path / "without.npz", images[..., :-1]), tmp_path / "without", FOG)

    assert content(tmp_path / "with") == content(tmp_path / "without")
    assert report.lines()[1] == "alpha dropped: all images of with.npz"


def test_links_are_followed_but_not_in_circles(photos: Path, tmp_path: Path) -> None:
    """Class folders are often links; one that leads back up ends the search there."""
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "cat").symlink_to(photos / "cat")
    (photos / "cat" / "up").symlink_to(photos)
    report = corrupt(tmp_path / "linked", tmp_path / "out", FOG)

    assert content(tmp_path / "out").keys() == {"corrupt.json", "fog/2/cat/a.png", "fog/2/cat/b.png"}
    assert report.is_complete


def test_every_image_advances_the_bar(photos: Path, tmp_path: Path) -> None:
    """Failed ones too, else a bar would never be full."""
    (photos / "broken.png").write_bytes(b"")
    images = folder.Folder(photos, tmp_path / "out", 2)
    counts: list[int] = []
    written = [images.write("fog", level, lambda batch, _: batch, counts.append) for level in (1, 2)]

    assert written == [5, 5]
    assert sum(counts) == 12


def test_the_smallest_side_is_the_librarys() -> None:
    """Too small pictures are found when they are read, by the bound of the corruptions."""
    from corruptions.batch import SMALLEST_SIDE

    assert originals.SMALLEST_SIDE == SMALLEST_SIDE


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"labels": np.arange(2)}, "[n, h, w, c] with c from 1 to 4, found none"),
        ({"images": np.zeros((2, 28, 28, 1))}, "found float64 [2, 28, 28, 1]"),
        ({"images": pixels(2, 28, 28)}, "found uint8 [2, 28, 28]"),
        ({"images": pixels(0, 28, 28, 1)}, "x.npz has no images"),
        ({"images": pixels(2, 27, 28, 1)}, "are 27x28, smaller than 28x28"),
        ({"images": pixels(2, 28, 28, 1), "labels": np.arange(3)}, "has 2 images but labels [3]"),
        ({"images": np.array([None])}, "is not a readable .npz file"),
    ],
)
def test_bad_archives_are_one_line(tmp_path: Path, arrays: dict[str, np.ndarray], message: str) -> None:
    """Each names the file and what it holds."""
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(BenchError) as caught:
        corrupt(tmp_path / "x.npz", tmp_path / "out", FOG)

    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("damage", [lambda data: b"", lambda data: data[:200], lambda data: b"x" * 99])
def test_damaged_archives_are_one_line(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    """Empty, cut off, or something else under that name."""
    path = archive(tmp_path / "x.npz", pixels(2, 28, 28, 1))
    path.write_bytes(damage(path.read_bytes()))

    with pytest.raises(BenchError, match=r"x.npz is not a readable .npz file"):
        corrupt(path, tmp_path / "out", FOG)
