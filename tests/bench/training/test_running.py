"""Training runs at toy size: exact resumption, and what is left behind."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file

import zoo
from bench.errors import BenchError
from bench.training import progress, session

from .conftest import RECIPE, STEPS, interrupt_at, run, untimed


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
