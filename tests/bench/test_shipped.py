"""The project under its own gate: shipped weights answer what they answered when they were shipped.

`pytest tests/bench/test_shipped.py --update-golden` writes the baselines anew.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from bench.cli import main

BASELINES = Path(__file__).parent.parent / "baselines"
RUNS = {
    "fashion_mnist": ["--suite", "smoke", "--spsa-examples", "1"],
    "cifar10": ["--suite", "clean", "--examples", "64"],
}
"""The whole strict suite where a CPU does it in seconds; on CIFAR-10 clean images only."""
MODELS = {"fashion_mnist": ["cnn_fmnist", "cnnf_fmnist"], "cifar10": ["cnn_cifar", "cnnf_cifar"]}
MAX_FLIPS = 1
"""Answers that may change in a cell: other processors and other versions of torch round differently."""


def call(*arguments: object) -> None:
    """Run a command that must succeed."""
    done = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert done.exit_code == 0, (
        f"{done.output}\nIf it is meant: pytest tests/bench/test_shipped.py --update-golden"
    )


@pytest.mark.parametrize("dataset", RUNS)
def test_shipped_models_answer_as_before(
    dataset: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """Weights, images, attacks and torch together: not more than one answer of any cell changes."""
    results, baseline = tmp_path / "results", BASELINES / f"{dataset}.json"
    models = [text for name in MODELS[dataset] for text in ("--model", name)]
    call("run", *models, *RUNS[dataset], "--device", "cpu", "--results", results)
    if request.config.getoption("--update-golden"):
        call("baseline", results, "--out", baseline)
    call("check", results, "--baseline", baseline, "--max-flips", MAX_FLIPS)
