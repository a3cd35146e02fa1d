"""What a training refuses or cannot do, each in one line."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bench.data import LabelledImages
from bench.errors import BenchError
from bench.locks import held
from bench.training import loop, session, train

from .conftest import RECIPE, run


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("learning_rate = 0.05", "learning_rate = 0.04"), "learning_rate was 0.05, is 0.04"),
        (("steps = 1", "steps = 2"), "attack was "),
    ],
)
def test_another_recipe_in_the_same_folder_is_refused(
    toy: Path, tmp_path: Path, change: tuple[str, str], message: str
) -> None:
    """A folder belongs to one recipe; the line names what differs."""
    run(toy, tmp_path / "out", max_minutes=0.0)
    toy.write_text(RECIPE.replace(*change))
    with pytest.raises(BenchError, match=message) as caught:
        run(toy, tmp_path / "out")
    assert "\n" not in str(caught.value)


def test_another_length_in_the_same_folder_is_refused(toy: Path, tmp_path: Path) -> None:
    """--epochs is part of the recipe: the schedule depends on it."""
    run(toy, tmp_path / "out", max_minutes=0.0)
    with pytest.raises(BenchError, match=r"epochs was 2\.5, is 3"):
        run(toy, tmp_path / "out", epochs=3.0)


def test_other_images_or_weights_in_the_same_folder_are_refused(
    toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run is not continued on other images."""
    run(toy, tmp_path / "out", max_minutes=0.0)
    other = LabelledImages(np.zeros((44, 16, 16, 3), np.uint8), np.zeros(44, np.int64))
    monkeypatch.setattr(session, "train_images", lambda name, folder: other)
    with pytest.raises(BenchError, match="on other training images or from other weights"):
        run(toy, tmp_path / "out")


def test_a_folder_in_use_is_refused(toy: Path, tmp_path: Path) -> None:
    """Two trainings would overwrite each other's state."""
    with (
        held(tmp_path / "run", ".train.lock", ""),
        pytest.raises(BenchError, match=r"another training is using .*run"),
    ):
        run(toy, tmp_path / "run")


def test_a_folder_that_cannot_be_written_is_refused(toy: Path, tmp_path: Path) -> None:
    """One line, before anything is computed."""
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(BenchError, match=r"cannot write to .*file/run: Not a directory"):
        run(toy, tmp_path / "file" / "run")


def test_a_full_disk_keeps_the_last_state(toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run ends with one line, and goes on from what was saved before."""
    run(toy, tmp_path, max_minutes=1e-9)
    before = (tmp_path / "state.pt").read_bytes()

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(loop, "replace_bytes", full)
    with pytest.raises(BenchError, match=r"cannot write to .*: No space left on device"):
        run(toy, tmp_path)
    assert (tmp_path / "state.pt").read_bytes() == before


def test_damaged_state_is_refused(toy: Path, tmp_path: Path) -> None:
    """A state that cannot be read is named, not traced back."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "state.pt").write_bytes(b"PK\x03\x04 not quite")
    with pytest.raises(BenchError, match=r"state.pt cannot be read, remove it to start afresh") as caught:
        run(toy, tmp_path / "out")
    assert "\n" not in str(caught.value)


def test_a_foreign_state_is_refused(toy: Path, tmp_path: Path) -> None:
    """A file of that name that holds something else is left alone."""
    (tmp_path / "out").mkdir()
    torch.save({"epoch": 3}, tmp_path / "out/state.pt")
    with pytest.raises(BenchError, match=r"state.pt is not the state of a training; choose another --out"):
        run(toy, tmp_path / "out")


def test_too_little_memory_is_one_line(toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It names what to lower."""

    def full(*_: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.\nTried to allocate")

    monkeypatch.setattr(loop.Run, "take_step", full)
    with pytest.raises(BenchError, match=r"^cpu has too little memory: lower batch_size \(8\)$"):
        run(toy, tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("held_out = 6", "held_out = 40"), "has 44 training images, too few for held_out 40"),
        (("size = 16", "size = 20"), "image_sizes: 20 pixels are more than the 16 of the images"),
    ],
)
def test_recipe_that_does_not_fit_the_images_is_refused(
    toy: Path, tmp_path: Path, change: tuple[str, str], message: str
) -> None:
    """What only the dataset can tell is refused before training, in one line."""
    toy.write_text(RECIPE.replace(*change))
    with pytest.raises(BenchError, match=message):
        run(toy, tmp_path / "out")


def test_network_of_one_size_refuses_others(toy: Path, tmp_path: Path) -> None:
    """Progressive image sizes are for networks that take them."""
    toy.write_text(RECIPE.replace('"toy"', '"cnn_fmnist"'))
    with pytest.raises(BenchError, match="image_sizes: cnn_fmnist takes no images of 8 pixels"):
        run(toy, tmp_path / "out")


def test_unusable_device_is_refused(toy: Path, tmp_path: Path) -> None:
    """A device that is not there is said in one line."""
    with pytest.raises(BenchError, match=r"device .*'abacus'"):
        train(str(toy), tmp_path / "out", device="abacus", progress=False)


def test_diverging_run_stops(toy: Path, tmp_path: Path) -> None:
    """A loss that is not finite ends the run with advice, and is not saved over the last good state."""
    toy.write_text(RECIPE.replace("learning_rate = 0.05", "learning_rate = 1e30"))
    with pytest.raises(BenchError, match="the loss of epoch 1 is not finite: lower learning_rate"):
        run(toy, tmp_path / "out", save_minutes=0.0)
    state = torch.load(tmp_path / "out/state.pt", weights_only=True)

    assert all(value.isfinite().all() for value in state["model"].values())
    assert state["loss_sum"].isfinite()
