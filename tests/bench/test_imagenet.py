"""ImageNet from a folder, and the networks that need it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from torchvision import transforms

import zoo
from bench import data, imagenet
from bench.cli import main
from bench.errors import BenchError
from zoo import assembled
from zoo.checkpoint import build, locate, read_into
from zoo.entry import Assembled, CheckpointError


@pytest.fixture(scope="session")
def validation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of 1,000 class folders with three photographs of noise in two of them."""
    folder = tmp_path_factory.mktemp("imagenet")
    for label in range(imagenet.CLASSES):
        (folder / "val" / f"n{label:08d}").mkdir(parents=True)
    sizes = {("n00000007", 2): (300, 250), ("n00000002", 3): (224, 240), ("n00000007", 1): (500, 375)}
    for (name, number), (width, height) in sizes.items():
        levels = np.random.default_rng(number).integers(0, 256, (height, width, 3), np.uint8)
        Image.fromarray(levels).save(folder / "val" / name / f"ILSVRC2012_val_{number:08d}.png")
    (folder / "val" / "n00000002" / "notes.txt").write_text("no image")
    return folder


def drawn_weights(folder: Path) -> Path:
    """Write the weights of a drawn peffnetb0 as the authors and torchvision store them."""
    torch.manual_seed(0)
    network = build(zoo.ENTRIES["peffnetb0"]).model
    folder.mkdir()
    torch.save(network.backbone.state_dict(), folder / "efficientnet.pth")
    for n, decoder in enumerate(network.decoders, 1):
        state = {f"pmodule.{name}": value for name, value in decoder.state_dict().items()}
        torch.save({"pcoderweights": state}, folder / f"pnet_pretrained_pc{n}_009.pth")
    return folder


def test_images_come_in_the_order_of_their_names(validation: Path) -> None:
    """Classes are mixed, labels are positions of class folders, and what is no image is passed over."""
    found = data.evaluation_images("imagenet", 3, validation)

    assert found.images.shape == (3, 224, 224, 3)
    assert found.labels.tolist() == [7, 7, 2]
    assert data.evaluation_images("imagenet", 2, validation).labels.tolist() == [7, 7]


def test_images_are_cut_as_torchvision_cuts_them(validation: Path) -> None:
    """Resize(224) and CenterCrop(224), to the pixel."""
    cut = transforms.Compose([transforms.Resize(224), transforms.CenterCrop(224)])
    path = validation / "val" / "n00000007" / "ILSVRC2012_val_00000001.png"
    found = data.evaluation_images("imagenet", 1, validation / "val")

    assert np.array_equal(found.images[0], np.asarray(cut(Image.open(path))))


@pytest.mark.parametrize("size", [(500, 375), (285, 290), (100, 287), (256, 256)])
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (imagenet.Preparation(None, 288), [transforms.CenterCrop(288)]),
        (
            imagenet.Preparation(256, 224, is_bicubic=True),
            [
                transforms.Resize(256, transforms.InterpolationMode.BICUBIC),
                transforms.CenterCrop(224),
            ],
        ),
        (imagenet.Preparation((224, 200), None), [transforms.Resize([224, 200])]),
    ],
)
def test_preparations_are_torchvisions(ours: imagenet.Preparation, theirs: list, size) -> None:
    """Resized or not, cut or filled with black, to the pixel."""
    levels = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    made = np.asarray(ours.apply(Image.fromarray(levels)))

    assert np.array_equal(made, np.asarray(transforms.Compose(theirs)(Image.fromarray(levels))))
    assert made.shape == ours.shape


def test_a_folder_that_is_no_imagenet_says_what_to_put_there(tmp_path: Path) -> None:
    """One line before anything is downloaded."""
    shown = CliRunner().invoke(main, ["run", "--model", "pvgg16", "--data-dir", str(tmp_path)])

    assert shown.exit_code == 2
    assert "put its validation images there, one folder per class" in shown.output
    assert shown.output.count("\n") == 1


def test_too_few_images_are_told(validation: Path) -> None:
    """The folder has three."""
    with pytest.raises(BenchError, match="holds 3 images, cannot take 4"):
        data.evaluation_images("imagenet", 4, validation)


def test_a_damaged_image_is_named(tmp_path: Path) -> None:
    """One line with its path."""
    for label in range(imagenet.CLASSES):
        (tmp_path / f"n{label:08d}").mkdir()
    (tmp_path / "n00000000" / "a.JPEG").write_bytes(b"not a picture")
    with pytest.raises(BenchError, match=r"a\.JPEG cannot be read"):
        data.evaluation_images("imagenet", 1, tmp_path)


def test_there_is_no_training_on_imagenet(tmp_path: Path) -> None:
    """Said, not tried."""
    with pytest.raises(BenchError, match="training images of imagenet are not supported"):
        data.train_images("imagenet", tmp_path)


def test_the_whole_command_on_a_few_images(validation: Path, tmp_path: Path) -> None:
    """Weights from a local folder, images from another: accuracy after each iteration."""
    weights = drawn_weights(tmp_path / "weights")
    options = ["--checkpoint", str(weights), "--data-dir", str(validation), "--iterations", "1"]
    options += ["--suite", "predify-noise", "--examples", "2", "--results", str(tmp_path / "results")]
    shown = CliRunner().invoke(main, ["run", "--model", "peffnetb0", *options])

    assert shown.exit_code == 0, shown.output
    assert "predify-noise on imagenet" in shown.output
    assert "n=2" in shown.output


def test_a_folder_of_weights_is_hashed_whole(tmp_path: Path) -> None:
    """Another value in any file is another model."""
    weights = drawn_weights(tmp_path / "weights")
    entry = zoo.ENTRIES["peffnetb0"]
    before = locate(entry, str(weights)).sha256
    path = weights / "pnet_pretrained_pc3_009.pth"
    state = torch.load(path, weights_only=True)
    state["pcoderweights"]["pmodule.1.bias"][0] += 1
    torch.save(state, path)

    assert locate(entry, str(weights)).sha256 != before


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda folder: (folder / "efficientnet.pth").unlink(), "one .pth file of the backbone"),
        (lambda folder: (folder / "pnet_pretrained_pc3_009.pth").unlink(), "_pc3"),
        (lambda folder: (folder / "efficientnet.pth").write_bytes(b"x"), "is not a checkpoint"),
    ],
)
def test_a_folder_that_lacks_something_is_refused(tmp_path: Path, spoil, message: str) -> None:
    """One error says which file."""
    weights = drawn_weights(tmp_path / "weights")
    spoil(weights)
    entry = zoo.ENTRIES["peffnetb0"]
    with pytest.raises(CheckpointError, match=message):
        read_into(build(entry), locate(entry, str(weights)))


def test_an_empty_folder_is_no_checkpoint(tmp_path: Path) -> None:
    """It says what belongs there."""
    with pytest.raises(CheckpointError, match=r"holds no \.pth files"):
        locate(zoo.ENTRIES["peffnetb0"], str(tmp_path))


def test_downloads_are_compared_with_their_first_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hash of the first use is kept beside the file; another content is refused afterwards."""
    import zipfile

    import pooch

    weights = drawn_weights(tmp_path / "weights")
    parts = Assembled("https://one.example/efficientnet.pth", "https://two.example/feedback.zip?dl=1")

    def retrieve(url: str, known_hash: None, fname: str, path: Path) -> str:
        target = Path(path) / fname
        target.parent.mkdir(parents=True, exist_ok=True)
        if fname.endswith(".zip"):
            with zipfile.ZipFile(target, "w") as archive:
                for file in weights.glob("*_pc*.pth"):
                    archive.write(file, file.name)
        else:
            target.write_bytes((weights / fname).read_bytes())
        return str(target)

    monkeypatch.setattr(pooch, "retrieve", retrieve)
    monkeypatch.setattr(pooch, "os_cache", lambda name: tmp_path / "cache")
    folder = assembled.fetch(parts, "peffnetb0")
    assembled.read_into(build(zoo.ENTRIES["peffnetb0"]), folder)
    (weights / "efficientnet.pth").write_bytes(b"something else")

    with pytest.raises(CheckpointError, match="not the file of its first use"):
        assembled.fetch(parts, "peffnetb0")
