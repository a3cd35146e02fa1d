from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

import bench
from bench import models
from bench.errors import BenchError

FILE = """
import torch

class Net(torch.nn.Module):
    iterations = 2
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(784, 10)
    def unroll(self, images, iterations):
        return torch.stack([self.linear(images.flatten(1)) * (t + 1) for t in range(iterations + 1)])

def build():
    torch.manual_seed(0)
    return Net()

def plain():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, 10))

def breaks():
    raise OSError("no weights here")

def nothing():
    return 3
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "net.py"
    path.write_text(FILE)
    return path


def test_a_file_with_a_feedback_model(file: Path) -> None:
    """Its own iteration count is used unless another is asked for."""
    own = models.from_file(f"{file}:build", "fashion_mnist")
    asked = models.from_file(f"{file}:build", "fashion_mnist", 4)

    assert (own.scored.name, own.scored.iterations, asked.scored.iterations) == ("build", 2, 4)
    assert own.scored.weights == asked.scored.weights


def test_a_file_with_a_plain_module(file: Path) -> None:
    """A module without unroll has a single pass, whatever is asked for."""
    found = models.from_file(f"{file}:plain", "fashion_mnist", 3)

    assert found.scored.iterations == 0
    assert found.load().unroll(torch.rand(2, 1, 28, 28), 0).shape == (1, 2, 10)


def test_a_changed_file_is_another_model(file: Path) -> None:
    """The code is part of the identity: the same weights may be used in another way."""
    before = models.from_file(f"{file}:build", "fashion_mnist").scored.weights
    file.write_text(FILE.replace("(t + 1)", "(t + 2)"))

    assert models.from_file(f"{file}:build", "fashion_mnist").scored.weights != before


@pytest.mark.parametrize(
    ("factory", "dataset", "message"),
    [
        ("build", None, "name the dataset of"),
        ("missing", "fashion_mnist", "cannot be made: AttributeError"),
        ("breaks", "fashion_mnist", "cannot be made: OSError: no weights here"),
        ("nothing", "fashion_mnist", r"must be a torch\.nn\.Module, got int"),
        ("build", "cifar10", "fails on images of cifar10: RuntimeError"),
        ("build", "cifar", "did you mean 'cifar10'"),
    ],
)
def test_files_that_do_not_fit_are_refused(
    file: Path, factory: str, dataset: str | None, message: str
) -> None:
    """One line says what to mend."""
    with pytest.raises(BenchError, match=message):
        models.from_file(f"{file}:{factory}", dataset)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    """The path is in the message."""
    with pytest.raises(BenchError, match=r"no file .*nowhere\.py"):
        models.from_file(f"{tmp_path}/nowhere.py:build", "fashion_mnist")


def test_logits_of_another_shape_are_refused() -> None:
    """Eleven classes do not answer a question with ten."""
    network = nn.Sequential(nn.Flatten(), nn.Linear(784, 11))

    with pytest.raises(BenchError, match=r"must return logits of shape \(1, 2, 10\) .* got \(1, 2, 11\)"):
        models.from_object(network, "fashion_mnist")


def test_the_identity_of_weights() -> None:
    """One changed weight, of any dtype, is another model; the same weights in a new object are the same."""
    torch.manual_seed(0)
    one = nn.Sequential(nn.Flatten(), nn.Linear(784, 10)).bfloat16()
    torch.manual_seed(0)
    two = nn.Sequential(nn.Flatten(), nn.Linear(784, 10)).bfloat16()
    same = models.state_hash(one) == models.state_hash(two)
    two[1].weight.data[0, 0] += 1

    assert same
    assert models.state_hash(one) != models.state_hash(two)


def test_a_zoo_model_is_refused_feedback_it_has_not() -> None:
    """Iterations of a plain network would be meaningless numbers."""
    with pytest.raises(BenchError, match="cnn_fmnist has no feedback, so iterations must be 0, got 2"):
        models.from_zoo("cnn_fmnist", iterations=2)


def test_evaluate_returns_a_frame() -> None:
    """From Python: one row per cell with counts and intervals, nothing kept on disk."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
    frame = bench.evaluate(network, dataset="fashion_mnist", suite="smoke", examples=4, spsa_examples=1)

    assert set(frame["status"]) == {"ok"}
    assert len(frame) == 5
    assert (frame["low"] <= frame["accuracy"]).all()
    assert (frame["accuracy"] <= frame["high"]).all()
    assert frame.set_index(["attack", "steps", "transfer"])["n"].to_dict()["spsa", 7, False] == 1


def test_evaluate_continues_in_a_folder(tmp_path: Path) -> None:
    """The same call with the same folder does nothing twice."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
    first = bench.evaluate(network, "fashion_mnist", "clean", examples=5, results=tmp_path)
    lines = (tmp_path / "records.jsonl").read_text()
    second = bench.evaluate(network, "fashion_mnist", "clean", examples=5, results=tmp_path)

    assert (tmp_path / "records.jsonl").read_text() == lines
    assert first.equals(second)


def test_a_module_needs_a_dataset() -> None:
    """What its classes mean cannot be guessed."""
    with pytest.raises(BenchError, match="name the dataset"):
        bench.evaluate(nn.Flatten())


def test_a_zoo_model_has_its_dataset() -> None:
    """Fashion-MNIST weights do not classify CIFAR-10."""
    with pytest.raises(BenchError, match="cnnf_fmnist classifies fashion_mnist, not cifar10"):
        bench.evaluate("cnnf_fmnist", dataset="cifar10")
