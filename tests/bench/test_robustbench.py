"""RobustBench's own code on a model file in its layout; needs the extra, as in `tox -e robustbench`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch

from bench import compat, evaluate
from bench.errors import BenchError, UnknownName
from bench.robustbench import find, from_robustbench

NAME = "Wong2020Fast"
"""A PreActResNet-18: the smallest of its zoo."""


@pytest.fixture
def robustbench() -> None:
    """Make robustbench importable, or skip."""
    try:
        compat.enable_robustbench()
    except BenchError as error:
        pytest.skip(str(error))


@pytest.fixture(autouse=True)
def _offline(monkeypatch) -> None:
    """A test that would download fails at once."""

    def refuse(*_, **__):
        raise AssertionError("a test must not go online")

    monkeypatch.setattr("socket.socket.connect", refuse)


@pytest.fixture
def folder(robustbench, tmp_path: Path, monkeypatch) -> Path:
    """Return a folder with one model of drawn weights in RobustBench's layout."""
    from robustbench.model_zoo import model_dicts
    from robustbench.model_zoo.enums import BenchmarkDataset, ThreatModel

    network = model_dicts[BenchmarkDataset.cifar_10][ThreatModel.Linf][NAME]["model"]()
    file = tmp_path / "models" / "cifar10" / "Linf" / f"{NAME}.pt"
    file.parent.mkdir(parents=True)
    # Parallel training left such names in many of their files.
    torch.save({f"module.{name}": value for name, value in network.state_dict().items()}, file)
    monkeypatch.setenv("BENCH_ROBUSTBENCH_DIR", str(tmp_path / "models"))
    return tmp_path / "models"


def test_a_model_of_its_zoo_is_measured(folder: Path, tmp_path: Path) -> None:
    """From its name to records, the short and the long name being the same model."""
    frame = evaluate(f"robustbench:{NAME}", suite="clean", examples=4, results=tmp_path / "results")
    line = json.loads((tmp_path / "results" / "records.jsonl").read_text())
    long = from_robustbench(f"robustbench:cifar10/Linf/{NAME}", folder=folder)

    assert frame["n"].tolist() == [4]
    assert (line["label"], line["cell"]["dataset"]) == (NAME, "cifar10")
    assert (long.scored.name, long.scored.weights) == (line["cell"]["model"], line["cell"]["weights"])


def test_weights_are_part_of_its_identity(folder: Path) -> None:
    """Another file of the same name is another model."""
    before = from_robustbench(f"robustbench:{NAME}").scored.weights
    file = folder / "cifar10" / "Linf" / f"{NAME}.pt"
    state = torch.load(file)
    next(iter(state.values())).add_(1)
    torch.save(state, file)

    assert from_robustbench(f"robustbench:{NAME}").scored.weights != before


def test_pickled_code_is_refused(folder: Path) -> None:
    """A file that holds more than tensors is not unpickled."""
    torch.save({"state_dict": Path("/tmp")}, folder / "cifar10" / "Linf" / f"{NAME}.pt")

    with pytest.raises(BenchError, match="hold more than tensors and are refused"):
        from_robustbench(f"robustbench:{NAME}")


def test_weights_that_are_not_there_are_asked_for(folder: Path) -> None:
    """Without a network the message says where the file belongs."""
    with pytest.raises(BenchError, match=r"belong into .*cifar10/Linf/Rice2020Overfitting\.pt"):
        from_robustbench("robustbench:Rice2020Overfitting")


def test_unknown_names_are_refused_with_the_nearest(robustbench) -> None:
    """A typo is answered with what was meant, for each part of the name."""
    with pytest.raises(UnknownName, match="did you mean 'Wong2020Fast'"):
        find("robustbench:Wong2020Fats")
    with pytest.raises(UnknownName, match="unknown RobustBench dataset 'cifar'"):
        find("robustbench:cifar/Linf/Standard")
    with pytest.raises(UnknownName, match="unknown threat model 'L3'"):
        find("robustbench:cifar10/L3/Standard")
    with pytest.raises(BenchError, match="must be robustbench:NAME or"):
        find("robustbench:cifar10/Standard")


def test_datasets_without_images_are_refused(robustbench) -> None:
    """CIFAR-100 is in its zoo and not in ours."""
    with pytest.raises(UnknownName, match="unknown dataset 'cifar100'"):
        from_robustbench("robustbench:cifar100/Linf/Rice2020Overfitting")


def test_a_missing_package_is_named(monkeypatch) -> None:
    """Without the extra, one line says how to get it."""
    monkeypatch.setitem(sys.modules, "pyautoattack", None)

    with pytest.raises(BenchError, match=r"pip install 'feedback-bench\[robustbench\]'"):
        evaluate("robustbench:Standard", suite="clean", examples=1)


def test_its_models_have_no_feedback() -> None:
    """Iterations of a single pass would be meaningless numbers."""
    with pytest.raises(BenchError, match="has no feedback"):
        evaluate("robustbench:Standard", suite="clean", iterations=2)
