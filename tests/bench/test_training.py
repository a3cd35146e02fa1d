"""Training runs at toy size: exact resumption, refusals, and what is left behind."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import zoo
from bench.data import LabelledImages
from bench.errors import BenchError
from bench.holding import held
from bench.training import loop, progress, session, train
from zoo import ENTRIES

RECIPE = """
model = "toy"
seed = 3
epochs = 2.5
batch_size = 8
held_out = 6
flip = true
crop_padding = 2
image_sizes = [{ epochs = 1.5, size = 8 }, { epochs = 1, size = 16 }]
learning_rate = 0.05
nesterov = true
weight_decay = 5e-4
schedule = "cosine"
warmup_epochs = 0.5
gradient_clip = 0.5
ema_decay = 0.9
clean_weight = 0.05
reconstruction_weight = 0.1
[attack]
epsilon = "8/255"
step_size = "10/255"
steps = 1
"""
STEPS = 10
"""Of RECIPE: 38 training images are 4 batches of 8."""


@pytest.fixture(autouse=True)
def toy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A small network on 38 + 6 images of 16 pixels; returns the path of its recipe."""
    settings = {"depth": 10, "width": 1, "feedback_to": 1}
    entry = replace(ENTRIES["cnnf_cifar"], name="toy", settings=settings, iterations=1, checkpoints={})
    monkeypatch.setitem(ENTRIES, "toy", entry)
    rng = np.random.default_rng(0)
    found = LabelledImages(rng.integers(0, 256, (44, 16, 16, 3), np.uint8), rng.integers(0, 10, 44))
    monkeypatch.setattr(session, "train_images", lambda name, folder: found)
    path = tmp_path / "toy.toml"
    path.write_text(RECIPE)
    return path


def run(recipe: Path, out: Path, device: str = "cpu", **settings: Any) -> Path:
    return train(str(recipe), out, device=device, progress=False, **settings)


def interrupt_at(monkeypatch: pytest.MonkeyPatch, *steps: int) -> None:
    """Press Ctrl-C, once each, while these steps are being made."""
    pending, forward = set(steps), session.Reporter.step

    def step(self: progress.Reporter, done: int) -> None:
        forward(self, done)
        if done in pending:
            pending.remove(done)
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(session.Reporter, "step", step)


def untimed(out: Path) -> list[dict[str, Any]]:
    """The log without what depends on the clock."""
    clocked = {"seconds", "images_per_second", "data_share", "minutes_left"}
    rows = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    return [{key: value for key, value in row.items() if key not in clocked} for row in rows]


def assert_same_state(one: Path, other: Path) -> None:
    states = [torch.load(out / "state.pt", weights_only=True) for out in (one, other)]
    for part in ("model", "average"):
        for name, value in states[0][part].items():
            assert torch.equal(value, states[1][part][name]), (part, name)
    momenta = [[row["momentum_buffer"] for row in state["optimiser"]["state"].values()] for state in states]
    assert all(map(torch.equal, *momenta))
    assert torch.equal(states[0]["generator"], states[1]["generator"])


def test_interrupted_run_ends_as_an_uninterrupted_one(
    toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C in the middle of an epoch, at its end, and before any: the result is the same to the bit."""
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    expected = run(toy, whole)
    interrupt_at(monkeypatch, 1, 3, 4, 9)
    for done in (1, 3, 4, 9):
        with pytest.raises(KeyboardInterrupt):
            run(toy, parts)
        assert torch.load(parts / "state.pt", weights_only=True)["step"] == done
        assert not (parts / "toy.safetensors").exists()
    found = run(toy, parts)
    assert found.read_bytes() == expected.read_bytes()
    assert_same_state(whole, parts)
    assert untimed(parts) == untimed(whole)


def test_time_limit_stops_cleanly_and_the_rest_follows(
    toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """--max-minutes leaves weights and a card that says unfinished; several calls add up to a whole run."""
    whole, parts = run(toy, tmp_path / "whole"), tmp_path / "parts"
    minutes = iter(range(10_000))
    clock = SimpleNamespace(monotonic=lambda: 60.0 * next(minutes))
    monkeypatch.setattr(session, "time", clock)
    steps = []
    for _ in range(20):
        path = run(toy, parts, max_minutes=12.0, save_minutes=3.0)
        card = json.loads(path.with_suffix(".json").read_text())
        steps.append(card["steps"])
        assert card["is_finished"] == (card["steps"] == STEPS)
        if card["is_finished"]:
            break
    assert 1 < len(steps) < 20
    assert steps == sorted(set(steps))
    assert path.read_bytes() == whole.read_bytes()


def test_killed_run_loses_no_more_than_since_the_last_save(
    toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A state saved in the middle of an epoch is continued exactly after a crash."""
    whole, killed = run(toy, tmp_path / "whole"), tmp_path / "killed"

    class Crash(Exception):
        """Stands for anything that ends the process."""

    def crash(self: progress.Reporter, done: int) -> None:
        if done == 7:
            raise Crash

    monkeypatch.setattr(session.Reporter, "step", crash)
    with pytest.raises(Crash):
        run(toy, killed, save_minutes=0.0)
    assert torch.load(killed / "state.pt", weights_only=True)["step"] == 6
    monkeypatch.setattr(session.Reporter, "step", lambda self, done: None)
    assert run(toy, killed).read_bytes() == whole.read_bytes()


def test_card_says_what_the_file_is(toy: Path, tmp_path: Path) -> None:
    """The card's hash, counts and accuracies belong to the float16 file beside it."""
    path = run(toy, tmp_path / "out")
    card = json.loads(path.with_suffix(".json").read_text())
    weights = load_file(path)
    assert path == tmp_path / "out" / "toy.safetensors"
    assert card["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert {value.dtype for value in weights.values()} == {torch.float16}
    assert card["parameters"] == sum(value.numel() for value in weights.values())
    assert (card["name"], card["model"], card["dtype"]) == ("toy", "toy", "float16")
    assert (card["steps"], card["epochs"], card["is_finished"]) == (STEPS, 2.5, True)
    assert card["recipe"]["attack"]["epsilon"] == 8 / 255
    assert card["dataset"]["name"] == "cifar10"
    assert card["held_out"]["examples"] == 6
    for kind in ("clean_accuracy", "robust_accuracy"):
        assert set(card["held_out"][kind]) == {"last", "avg"}
        assert all(share * 6 == pytest.approx(round(share * 6)) for share in card["held_out"][kind].values())
    assert card["accuracies"] == []
    assert str(tmp_path) not in path.with_suffix(".json").read_text()


def test_the_moving_average_is_what_ships(toy: Path, tmp_path: Path) -> None:
    """With ema_decay the shipped weights are the averaged ones, rounded, and load into the zoo's network."""
    path = run(toy, tmp_path / "out")
    state = torch.load(tmp_path / "out" / "state.pt", weights_only=True)
    model = zoo.load("toy", str(path))
    for name, value in model.state_dict().items():
        assert value.dtype == torch.float32
        assert torch.equal(value.half(), state["average"][name].half())
    assert any(not torch.equal(state["average"][name], state["model"][name]) for name in state["model"])


def test_log_has_a_line_an_epoch(toy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each epoch, the last part of one too, leaves its numbers in log.jsonl and on standard output."""
    train(str(toy), tmp_path / "out", device="cpu", progress=True)
    rows = [json.loads(line) for line in (tmp_path / "out" / "log.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    assert [row["step"] for row in rows] == [4, 8, STEPS]
    assert [row["image_size"] for row in rows] == [8, 16, 16]
    assert rows[-1]["minutes_left"] == 0
    for row in rows:
        assert 0 < row["learning_rate"] <= 0.05
        assert row["held_out"] == 6
        assert 0 <= row["clean_accuracy"] <= 1
        assert 0 <= row["robust_accuracy"] <= row["clean_accuracy"] + 0.5
        assert 0 < row["data_share"] < 1
        assert row["loss"] > 0
        assert row["images_per_second"] > 0
        assert row["seconds"] > 0
    printed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert printed == rows
    assert json.loads((tmp_path / "out" / "toy.json").read_text())["log"] == rows


def test_what_a_killed_run_left_half_written_is_removed(toy: Path, tmp_path: Path) -> None:
    """The state is the largest file of a run; what others keep there stays."""
    out = tmp_path / "out"
    out.mkdir()
    (out / ".state.pt.4711.tmp").write_bytes(b"half")
    (out / ".mine.tmp").write_bytes(b"whole")
    run(toy, out, max_minutes=0.0)

    assert not (out / ".state.pt.4711.tmp").exists()
    assert (out / ".mine.tmp").exists()


def test_finished_run_is_left_alone(toy: Path, tmp_path: Path) -> None:
    """The same command on a finished run only says where the weights are."""
    path = run(toy, tmp_path / "out")
    before = {file: file.stat().st_mtime_ns for file in (tmp_path / "out").iterdir()}
    assert run(toy, tmp_path / "out") == path
    assert {file: file.stat().st_mtime_ns for file in (tmp_path / "out").iterdir()} == before


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


def test_a_damaged_card_is_written_again(toy: Path, tmp_path: Path) -> None:
    """A finished run whose card cannot be read measures and writes it once more."""
    path = run(toy, tmp_path / "out").with_suffix(".json")
    card, weights = json.loads(path.read_text()), path.with_suffix(".safetensors").read_bytes()
    for damage in ("{", "[]", "{}"):
        path.write_text(damage)
        run(toy, tmp_path / "out")
        assert json.loads(path.read_text()) == card
    assert path.with_suffix(".safetensors").read_bytes() == weights


def test_a_run_from_before_a_setting_goes_on(toy: Path, tmp_path: Path) -> None:
    """A state written when recipes knew fewer settings had what is the default now."""
    run(toy, tmp_path, max_minutes=1e-9)
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    del state["identity"]["recipe"]["compile_on_cpu"]
    torch.save(state, tmp_path / "state.pt")
    run(toy, tmp_path)
    assert torch.load(tmp_path / "state.pt", weights_only=True)["step"] == STEPS

    del state["identity"]["recipe"]["nesterov"]
    torch.save(state, tmp_path / "state.pt")
    with pytest.raises(BenchError, match="nesterov was False, is True"):
        run(toy, tmp_path)


def test_too_little_memory_is_one_line(toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It names what to lower."""

    def full(*_: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.\nTried to allocate")

    monkeypatch.setattr(loop.Run, "take_step", full)
    with pytest.raises(BenchError, match=r"^cpu has too little memory: lower batch_size \(8\)$"):
        run(toy, tmp_path)


def test_training_starts_from_given_weights(toy: Path, tmp_path: Path) -> None:
    """--start-from begins at the weights of a file and says in the card which they were."""
    first = run(toy, tmp_path / "first")
    second = run(toy, tmp_path / "second", start_from=str(first), max_minutes=0.0)
    assert load_file(first).keys() == load_file(second).keys()
    assert all(torch.equal(value, load_file(second)[name]) for name, value in load_file(first).items())
    card = json.loads(second.with_suffix(".json").read_text())
    assert card["start"] == {
        "file": "toy.safetensors",
        "sha256": hashlib.sha256(first.read_bytes()).hexdigest(),
    }
    with pytest.raises(
        BenchError, match=r"cannot start from 'nowhere\.safetensors': it is neither a file nor"
    ):
        run(toy, tmp_path / "third", start_from="nowhere.safetensors")
    with pytest.raises(BenchError, match=r"cannot start from 'cnn_fmnist:nothing'"):
        run(toy, tmp_path / "third", start_from="cnn_fmnist:nothing")


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


def test_counting_flops_changes_nothing(toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the peak is known each epoch says how much of it was used; the weights stay the same."""
    plain = run(toy, tmp_path / "plain")
    monkeypatch.setattr(loop, "peak_flops", lambda device, amp: 1e12)
    counted = run(toy, tmp_path / "counted")
    assert counted.read_bytes() == plain.read_bytes()
    rows = untimed(tmp_path / "counted")
    assert all(0 < row.pop("flop_utilisation") < 1 for row in rows)
    assert rows == untimed(tmp_path / "plain")


@pytest.mark.gpu
@pytest.mark.timeout(900)
@pytest.mark.filterwarnings("default:TensorFloat32:UserWarning")
@pytest.mark.filterwarnings("default:.torch.jit:DeprecationWarning")
def test_training_on_a_gpu(toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiled, in bf16, a run that is interrupted in an epoch goes on there and ends with a card."""
    toy.write_text(RECIPE.replace("[attack]", 'amp = "bf16"\n[attack]'))
    interrupt_at(monkeypatch, 3)
    with pytest.raises(KeyboardInterrupt):
        run(toy, tmp_path / "out", device="cuda")
    path = run(toy, tmp_path / "out", device="cuda")
    assert json.loads(path.with_suffix(".json").read_text())["is_finished"]
    assert torch.load(tmp_path / "out/state.pt", weights_only=True)["step"] == STEPS


def test_without_memory_to_count_flops_training_goes_on(
    toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Compiled functions need less of it than those that are counted."""

    def hungry(step: Callable[[], object]) -> int:
        raise torch.OutOfMemoryError("CUDA out of memory")

    plain = run(toy, tmp_path / "plain")
    monkeypatch.setattr(loop, "peak_flops", lambda device, amp: 1e12)
    monkeypatch.setattr(loop, "count_flops", hungry)

    assert run(toy, tmp_path / "counted").read_bytes() == plain.read_bytes()
    assert untimed(tmp_path / "counted") == untimed(tmp_path / "plain")


def test_compiling_is_no_part_of_the_speed(
    toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Half an hour of it is told beforehand, and counts as minutes of the run alone."""

    class Slow(loop.Objective):
        is_compiled = True
        seconds_compiling = 0.0

        def loss(self, *batch: Any) -> torch.Tensor:
            clock.now += 2.0
            if not self.seconds_compiling:
                self.seconds_compiling = 1800.0
                clock.now += 1800.0
            return super().loss(*batch)

    clock = SimpleNamespace(now=0.0, perf_counter=lambda: clock.now)
    monkeypatch.setattr(loop, "Objective", Slow)
    monkeypatch.setattr(loop, "time", clock)
    train(str(toy), tmp_path / "out", device="cpu")
    rows = [json.loads(line) for line in (tmp_path / "out" / "log.jsonl").read_text().splitlines()]
    card = json.loads((tmp_path / "out" / "toy.json").read_text())

    assert [row["seconds"] for row in rows] == [8.0, 8.0, 2.0 * (STEPS - 8)]
    assert card["minutes"] == round((1800 + 2 * STEPS) / 60, 1)
    assert "compiling" in capsys.readouterr().err


def test_standard_training_runs(toy: Path, tmp_path: Path) -> None:
    """Without an attack a run trains on clean images; robust accuracy needs a validation_epsilon."""
    standard = (
        RECIPE[: RECIPE.index("[attack]")].replace("clean_weight = 0.05", "").replace("nesterov = true", "")
    )
    toy.write_text(standard + "optimiser = 'adam'\n")
    run(toy, tmp_path / "out", epochs=0.5)
    assert untimed(tmp_path / "out")[0]["robust_accuracy"] is None
    toy.write_text(toy.read_text() + "validation_epsilon = 0.1\n")
    run(toy, tmp_path / "measured", epochs=0.5)
    assert untimed(tmp_path / "measured")[0]["robust_accuracy"] is not None
