from __future__ import annotations

import sys
import textwrap
from pathlib import Path

import pytest
import torch
from torch import nn

import bench
import zoo
from bench import models
from bench.errors import BenchError
from bench.evaluation import candidate_of

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

    assert (own.scored.name, own.scored.iterations, asked.scored.iterations) == ("net.build", 2, 4)
    assert own.scored.weights == asked.scored.weights


def test_a_file_with_a_plain_module(file: Path) -> None:
    """A module without unroll has a single pass, and more cannot be asked for."""
    found = models.from_file(f"{file}:plain", "fashion_mnist", 0)
    with pytest.raises(BenchError, match="plain has no unroll, so iterations must be 0, got 3"):
        models.from_file(f"{file}:plain", "fashion_mnist", 3)

    assert found.scored.iterations == 0
    assert found.load().unroll(torch.rand(2, 1, 28, 28), 0).shape == (1, 2, 10)


def test_a_recurrent_network_says_how_often_it_iterates(file: Path) -> None:
    """The first pass alone would be measured without a word."""
    file.write_text(FILE.replace("    iterations = 2\n", ""))

    with pytest.raises(BenchError, match="build has unroll but does not say for how many iterations"):
        models.from_file(f"{file}:build", "fashion_mnist")
    assert models.from_file(f"{file}:build", "fashion_mnist", 4).scored.iterations == 4
    with pytest.raises(BenchError, match="CNNF has unroll but does not say"):
        models.from_memory(zoo.load("cnnf_fmnist"), "fashion_mnist")


def test_a_network_is_tried_on_a_single_image() -> None:
    """Attacks end with one; `squeeze` takes its dimension away."""

    class Squeezed(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images.flatten(1)[:, :10].squeeze()

    with pytest.raises(BenchError, match=r"logits of shape \(1, 1, 10\) for a single image, got \(1, 10\)"):
        models.from_memory(Squeezed(), "fashion_mnist")


def test_a_file_without_a_factory_is_told_what_is_missing(file: Path) -> None:
    """It is no name of the zoo."""
    with pytest.raises(BenchError, match="names no factory: give"):
        candidate_of(str(file), "fashion_mnist", None, None)


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
        ("build", "cifar10", "fails on 2 images of cifar10: RuntimeError"),
        ("build", "cifar", "did you mean 'cifar10'"),
    ],
)
def test_files_that_do_not_fit_are_refused(
    file: Path, factory: str, dataset: str | None, message: str
) -> None:
    """One line says what to mend."""
    with pytest.raises(BenchError, match=message):
        models.from_file(f"{file}:{factory}", dataset)


HARD_FILE = """
import torch
from helper import Head

class Views(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.head = torch.nn.Conv2d(1, 4, 3), Head()
    def forward(self, images):
        return self.head(self.conv(images).view(len(images), -1))

class Stated(torch.nn.Linear):
    extra = 1
    def get_extra_state(self):
        return {"extra": self.extra}
    def set_extra_state(self, state):
        pass

class Lists(torch.nn.Module):
    iterations = 0
    def unroll(self, images, iterations):
        return [images.flatten(1)[:, :10]]

class Many(torch.nn.Flatten):
    iterations = "many"

def views():
    torch.manual_seed(0)
    return Views()

def exits():
    raise SystemExit(3)

def wordy():
    raise ValueError("two\\nlines")

lists, many, pair = Lists, Many, lambda: torch.nn.LSTM(28, 10)
"""

HELPER = """
import torch

class Head(torch.nn.Linear):
    def __init__(self):
        super().__init__(4 * 26 * 26, 10)
"""


@pytest.fixture
def hard_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delitem(sys.modules, "helper", raising=False)
    (tmp_path / "helper.py").write_text(HELPER)
    path = tmp_path / "hard.py"
    path.write_text(HARD_FILE)
    return path


def test_a_network_that_takes_views(hard_file: Path) -> None:
    """Channels innermost is our choice; `view`, which most plain networks use, fails on such features."""
    candidate = models.from_file(f"{hard_file}:views", "fashion_mnist")
    frame = bench.evaluate(f"{hard_file}:views", "fashion_mnist", "verdict", examples=4, spsa_examples=1)

    assert not candidate.takes_channels_last
    assert set(frame["status"]) == {"ok"}, set(frame["error"])


def test_a_network_that_does_not_is_shown_the_faster_layout(file: Path) -> None:
    """Convolutions run up to twice as fast with the channels innermost."""
    assert models.from_file(f"{file}:plain", "fashion_mnist").takes_channels_last


def test_the_files_beside_it_are_part_of_a_model(hard_file: Path) -> None:
    """They can be imported, an edit makes another model, and the search path is left as it was."""
    before, paths = models.from_file(f"{hard_file}:views", "fashion_mnist"), list(sys.path)
    (hard_file.parent / "helper.py").write_text(HELPER.replace("26, 10)", "26, 10, True)"))
    sys.modules.pop("helper")
    after = models.from_file(f"{hard_file}:views", "fashion_mnist")

    assert before.scored.weights != after.scored.weights
    assert sys.path == paths


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        ("exits", "cannot be made: SystemExit: 3"),
        ("wordy", "cannot be made: ValueError: two lines$"),
        ("lists", "must return logits as a tensor, got list"),
        ("many", "attribute iterations of hard.many must be a whole number from 0, got 'many'"),
        ("pair", "fails on 2 images of fashion_mnist: .*"),
    ],
)
def test_what_a_person_writes_is_told_in_one_line(hard_file: Path, factory: str, message: str) -> None:
    """Neither a traceback nor an exit of the whole program."""
    with pytest.raises(BenchError, match=message) as caught:
        models.from_file(f"{hard_file}:{factory}", "fashion_mnist")

    assert "\n" not in str(caught.value)


def test_a_network_that_returns_more_than_logits() -> None:
    """The type is named: an index into a tuple says nothing to its author."""

    class Pair(nn.Flatten):
        def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return images, images

    with pytest.raises(BenchError, match="expected a tensor of logits, got tuple"):
        models.from_object(Pair(), "fashion_mnist")


def test_a_file_whose_model_cannot_be_copied(tmp_path: Path) -> None:
    """It is shown images in the usual layout; locks and open files are nothing to fail for."""
    code = """
        import threading
        import torch

        class Net(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.lock = threading.Lock()

            def forward(self, images):
                return images.flatten(1)[:, :10]
    """
    (tmp_path / "net.py").write_text(textwrap.dedent(code))
    found = models.from_file(f"{tmp_path / 'net.py'}:Net", "fashion_mnist")

    assert not found.takes_channels_last


def test_a_module_in_memory_stays_as_it_is() -> None:
    """Who evaluates between two epochs goes on training the same module."""
    network = nn.Sequential(nn.Flatten(), nn.Dropout(), nn.Linear(784, 10)).double().train()
    bench.evaluate(network, "fashion_mnist", "clean", examples=2)

    assert all(module.training for module in network.modules())
    assert {(p.requires_grad, p.dtype) for p in network.parameters()} == {(True, torch.float64)}


def test_a_module_that_cannot_be_copied() -> None:
    """One line, and a way out."""
    network = nn.Flatten()
    network.kept = torch.ones(1, requires_grad=True) * 2

    with pytest.raises(BenchError, match="Flatten cannot be copied: RuntimeError"):
        models.from_memory(network, "fashion_mnist")


def test_the_code_of_a_module_in_memory_is_part_of_its_identity(hard_file: Path) -> None:
    """An edited forward with the same weights is another model."""

    def identity() -> str:
        network = models.make_from_file(f"{hard_file}:views")
        return models.from_memory(network, "fashion_mnist").scored.weights

    before, again = identity(), identity()
    hard_file.write_text(HARD_FILE.replace("self.head(", "-self.head("))

    assert before == again
    assert identity() != before


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    """The path is in the message."""
    with pytest.raises(BenchError, match=r"no file .*nowhere\.py"):
        models.from_file(f"{tmp_path}/nowhere.py:build", "fashion_mnist")


def test_logits_of_another_shape_are_refused() -> None:
    """Eleven classes do not answer a question with ten."""
    network = nn.Sequential(nn.Flatten(), nn.Linear(784, 11))

    with pytest.raises(BenchError, match=r"must return logits of shape \(1, 2, 10\) .* got \(1, 2, 11\)"):
        models.from_object(network, "fashion_mnist")


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


def test_outcomes_that_are_gone_are_measured_again(tmp_path: Path) -> None:
    """Who removes a damaged file of outcomes mends the folder by the same run."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
    first = bench.evaluate(network, "fashion_mnist", "clean", examples=5, results=tmp_path)
    (file,) = (tmp_path / "outcomes").iterdir()
    content = file.read_bytes()
    file.unlink()
    second = bench.evaluate(network, "fashion_mnist", "clean", examples=5, results=tmp_path)

    assert file.read_bytes() == content
    assert first["correct"].tolist() == second["correct"].tolist()


def test_a_module_needs_a_dataset() -> None:
    """What its classes mean cannot be guessed."""
    with pytest.raises(BenchError, match="name the dataset"):
        bench.evaluate(nn.Flatten())


def test_a_zoo_model_has_its_dataset() -> None:
    """Fashion-MNIST weights do not classify CIFAR-10."""
    with pytest.raises(BenchError, match="cnnf_fmnist classifies fashion_mnist, not cifar10"):
        bench.evaluate("cnnf_fmnist", dataset="cifar10")
