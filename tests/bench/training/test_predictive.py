"""Training of predictive-coding networks: the backbone first, then its feedback, then the balance of both."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file

from bench.cli import main
from bench.data import LabelledImages
from bench.errors import BenchError
from bench.training import balances, load_recipe, session, train
from bench.training.objective import frozen, prediction_loss
from zoo import ENTRIES
from zoo.checkpoint import build
from zoo.cnnf import two_conv

BACKBONE = """
model = "toy_plain"
epochs = 2
batch_size = 8
held_out = 6
flip = true
learning_rate = 0.05
schedule = "cosine"
ema_decay = 0.5
label_smoothing = 0.1
"""
FEEDBACK = """
model = "toy_pcn"
start_from = "toy_plain"
objective = "prediction_errors"
epochs = 3
batch_size = 8
held_out = 6
optimiser = "adam"
learning_rate = 0.01
schedule = "cosine"
"""


@pytest.fixture(autouse=True)
def toy(monkeypatch: pytest.MonkeyPatch) -> LabelledImages:
    """A plain network of four channels, its predictive-coding one, and 44 images of 16 pixels."""
    for name, known in (("toy_plain", "cnn_cifar_plain"), ("toy_pcn", "pcn_cifar")):
        entry = replace(ENTRIES[known], name=name, settings={"widths": (4, 8)}, checkpoints={})
        monkeypatch.setitem(ENTRIES, name, replace(entry, iterations=min(entry.iterations, 2)))
    rng = np.random.default_rng(0)
    found = LabelledImages(rng.integers(0, 256, (44, 16, 16, 3), np.uint8), rng.integers(0, 10, 44))
    monkeypatch.setattr(session, "train_images", lambda name, folder: found)
    monkeypatch.setattr(balances.data, "train_images", lambda name, folder: found)
    return found


def run(folder: Path, name: str, recipe: str, **settings: str) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.toml"
    path.write_text(recipe)
    return train(str(path), folder / name, device="cpu", progress=False, **settings)


@pytest.fixture
def backbone(tmp_path: Path) -> Path:
    """Return trained weights of the plain network."""
    return run(tmp_path, "plain", BACKBONE)


def test_feedback_is_learnt_and_the_backbone_kept(
    tmp_path: Path, backbone: Path, toy: LabelledImages
) -> None:
    """The errors of the predictions fall; every weight of the backbone is the one it came with."""
    weights = load_file(run(tmp_path, "pcn", FEEDBACK, start_from=str(backbone)))
    images = torch.from_numpy(toy.images).permute(0, 3, 1, 2).float() / 255

    def errors(state: dict[str, torch.Tensor] | None) -> float:
        torch.manual_seed(0)
        model = build(ENTRIES["toy_pcn"])
        model.model.backbone.load_state_dict(inner)
        if state is not None:
            model.load_state_dict(state)
        with frozen(model), torch.no_grad():
            return float(prediction_loss(model, images))

    inner = {name.removeprefix("model.network."): value for name, value in load_file(backbone).items()}
    assert errors(weights) < 0.9 * errors(None)
    for name, value in inner.items():
        assert torch.equal(weights[f"model.backbone.{name}"], value), name


def test_the_moving_average_has_the_networks_statistics(tmp_path: Path) -> None:
    """Batch normalisation's running means are in the checkpoint, and its counters stay whole numbers."""
    weights = load_file(run(tmp_path, "plain", BACKBONE))
    means = [value for name, value in weights.items() if name.endswith("running_mean")]
    counters = {int(value) for name, value in weights.items() if name.endswith("num_batches_tracked")}

    assert all(mean.abs().max() > 0 for mean in means)
    assert counters == {8}


def test_an_interrupted_run_ends_as_an_uninterrupted_one(
    tmp_path: Path, backbone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Statistics and frozen weights survive a stop to the bit."""
    step = session.Reporter.step

    def interrupted(self: session.Reporter, done: int) -> None:
        step(self, done)
        if done == 3:
            os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as context:
        context.setattr(session.Reporter, "step", interrupted)
        for name, recipe in (("plain", BACKBONE), ("pcn", FEEDBACK)):
            with pytest.raises(KeyboardInterrupt):
                run(tmp_path / "parts", name, recipe, start_from=str(backbone))
    for name, recipe in (("plain", BACKBONE), ("pcn", FEEDBACK)):
        parts = run(tmp_path / "parts", name, recipe, start_from=str(backbone))
        whole = run(tmp_path / "whole", name, recipe, start_from=str(backbone))
        assert parts.read_bytes() == whole.read_bytes()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('start_from = "toy_plain"\n', "", "needs start_from"),
        ("schedule", "[attack]\nepsilon = 0.1\nstep_size = 0.1\nsteps = 1\n#", "schedule is missing"),
        ('"toy_pcn"', '"toy_plain"', "no feedback weights"),
    ],
)
def test_recipes_that_make_no_sense_are_refused(tmp_path: Path, backbone: Path, old, new, message) -> None:
    """In one line, before anything is trained."""
    with pytest.raises(BenchError, match=message):
        run(tmp_path, "bad", FEEDBACK.replace(old, new), start_from=str(backbone))


def test_feedback_is_not_attacked(tmp_path: Path) -> None:
    """Reconstruction is learnt on clean images."""
    path = tmp_path / "attacked.toml"
    path.write_text(FEEDBACK + "[attack]\nepsilon = 0.1\nstep_size = 0.1\nsteps = 1\n")
    with pytest.raises(BenchError, match="takes no"):
        load_recipe(str(path))


def test_feedback_starts_from_a_plain_network_only(tmp_path: Path, backbone: Path) -> None:
    """Weights of the whole network would bring feedback weights that are then trained again."""
    whole = run(tmp_path, "pcn", FEEDBACK, start_from=str(backbone))
    with pytest.raises(BenchError, match="not those of a plain network"):
        run(tmp_path, "again", FEEDBACK, start_from=str(whole))


def test_a_damaged_start_is_refused(tmp_path: Path, backbone: Path) -> None:
    """What is trained on top would carry the damage under the hash of a good run."""
    backbone.write_bytes(backbone.read_bytes()[:-1] + b"?")
    with pytest.raises(BenchError, match=r"cannot start from .*: plain\.safetensors is damaged"):
        run(tmp_path, "pcn", FEEDBACK, start_from=str(backbone))


def test_cnnf_makes_no_predictions() -> None:
    """The objective is that of the other family."""
    with pytest.raises(TypeError, match="CNN-F makes no predictions"):
        prediction_loss(two_conv(0), torch.rand(1, 1, 28, 28))


def test_tuned_weights_are_in_their_range_and_help(tmp_path: Path, backbone: Path) -> None:
    """The loss on noisy images falls; beta and lambda stay at or above 0 and below 1 together."""
    weights = run(tmp_path, "pcn", FEEDBACK, start_from=str(backbone))
    found = balances.tune("toy_pcn", str(weights), steps=40, batch_size=16, device="cpu")

    assert np.mean(found.losses[-10:]) < np.mean(found.losses[:10])
    for beta, lambda_, alpha in found.balances:
        assert min(beta, lambda_, alpha) >= 0
        assert beta + lambda_ <= 1
    assert found.as_toml().startswith("beta = [")


def test_what_has_no_predictive_coding_is_not_tuned() -> None:
    """One line."""
    shown = CliRunner().invoke(main, ["tune", "cnn_cifar_plain"])

    assert shown.exit_code == 2
    assert "cnn_cifar_plain has no predictive coding to tune" in shown.output
