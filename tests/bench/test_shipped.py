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
    "fashion_mnist": ("cnn_fmnist cnnf_fmnist", "--suite smoke --spsa-examples 1"),
    "fashion_mnist_pgd": ("cnn_fmnist_std cnnf_fmnist_std_1 cnn_fmnist_plain", "--suite pgd --examples 8"),
    "fashion_mnist_transfer": ("pcn_fmnist pcn_fmnist_tuned", "--suite transfer --examples 4"),
    "fashion_mnist_clean": (
        "cnnf_fmnist_std_2 cnnf_fmnist_std_3 cnnf_fmnist_std_4 cnnf_fmnist_std_5 pcn_fmnist pcn_fmnist_tuned",
        "--suite clean --examples 64",
    ),
    "cifar10": ("cnn_cifar cnnf_cifar cnn_cifar_plain pcn_cifar", "--suite clean --examples 64"),
}
"""Every shipped file on clean images, and under attack where a CPU does it in seconds.

Predictive coding meets MI-FGSM, one climb through all iterations, where `pgd` has two on each target.
"""
MAX_FLIPS = 1
"""Answers that may change in a cell: other processors and other versions of torch round differently."""


def call(*arguments: object) -> None:
    """Run a command that must succeed."""
    done = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert done.exit_code == 0, (
        f"{done.output}\nIf it is meant: pytest tests/bench/test_shipped.py --update-golden"
    )


@pytest.mark.parametrize("name", RUNS)
def test_shipped_models_answer_as_before(name: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """Weights, images, attacks and torch together: not more than one answer of any cell changes."""
    results, baseline = tmp_path / "results", BASELINES / f"{name}.json"
    models, options = map(str.split, RUNS[name])
    chosen = [text for model in models for text in ("--model", model)]
    call("run", *chosen, *options, "--device", "cpu", "--results", results)
    if request.config.getoption("--update-golden"):
        call("baseline", results, "--out", baseline)
    call("check", results, "--baseline", baseline, "--max-flips", MAX_FLIPS)
