"""Every attack on every target, in both norms, on every family of models, through the runner."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest
import torch

from attacks import ATTACKS
from bench.devices import Machine
from bench.models import Candidate
from bench.progress import SilentProgress
from bench.runner import Runner
from bench.suites import Scored
from bench.suites.cells import SUITE_VERSION
from reports.cell import Cell, Perturbation, Setting, Target
from reports.records import Record, Store
from zoo.feedback import FeedbackModel
from zoo.plain import Plain
from zoo.predictive_coding.networks import SmallVGG, pcn_fmnist

from .conftest import tiny

EPSILON = {"linf": 0.1, "l2": 1.0}
EXAMPLES = 3
ITERATIONS = {"cnnf": 1, "pcn": 1, "plain": 0}
SHORT: dict[str, dict[str, Setting]] = {
    "native:apgd": {"steps": 3},
    "native:apgd dlr": {"steps": 3, "loss": "dlr", "early_stop": False},
    "native:apgd targeted": {"steps": 2, "loss": "dlr_targeted", "targets": 2},
    "native:momentum": {"steps": 2, "step_size": 0.05, "restarts": 2},
    "native:noise": {"samples": 2},
    "native:pgd": {"steps": 2, "step_size": 0.05},
    "native:spsa": {"steps": 2, "samples": 3, "delta": 0.005, "learning_rate": 0.05},
    "native:square": {"queries": 4},
    "native:targeted_bim": {"steps": 2, "step_size": 0.05, "target_shift": 1, "classes": 10},
    "advertorch:pgd": {"steps": 2, "step_size": 0.05},
    "advertorch:spsa": {"steps": 2, "samples": 3, "delta": 0.005, "learning_rate": 0.05},
    "pyautoattack:apgd": {"steps": 3},
    "pyautoattack:apgd targeted": {"steps": 3, "loss": "dlr_targeted", "targets": 2},
    "pyautoattack:fab": {"steps": 2, "targets": 2},
    "pyautoattack:square": {"queries": 4},
}
WITHOUT_GRADIENT = {"noise", "spsa", "square"}
REFUSED = {
    ("advertorch", "e2e_sum"): "advertorch attacks one answer per image",
    ("pyautoattack", "e2e_sum"): "pyautoattack attacks one answer per image",
}
"""Backend and target that make no sense -> why."""


def model(family: str) -> FeedbackModel:
    """Return a drawn network of a family that takes microseconds an image."""
    torch.manual_seed(0)
    if family == "pcn":
        return pcn_fmnist(widths=(4, 4, 4)).eval()
    return tiny() if family == "cnnf" else Plain(SmallVGG(1, (4, 4, 4), 10)).eval()


def cell_of(family: str, name: str, norm: str, target: Target, readout: str) -> Cell:
    backend, attack = name.split()[0].split(":")
    settings = {"norm": norm, "epsilon": EPSILON[norm]} | SHORT[name]
    iterations = ITERATIONS[family]
    return Cell(
        suite="combinations",
        suite_version=SUITE_VERSION,
        model=family,
        weights="drawn",
        dataset="fashion_mnist",
        data="drawn",
        examples=EXAMPLES,
        perturbation=Perturbation(kind="attack", name=attack, backend=backend, settings=settings),
        source=family,
        source_weights="drawn",
        attack_target=target,
        attack_iterations=0 if target == "first" else iterations,
        iterations=iterations,
        readout=readout,
        seed=0,
    )


@pytest.fixture
def attacked(tmp_path: Path) -> Callable[..., tuple[list[Record], Store]]:
    """Return a function that runs an attack on every target and readout of a drawn network."""

    def run(family: str, name: str, norm: str, targets: tuple[Target, ...]) -> tuple[list[Record], Store]:
        network = model(family)
        pixels = np.random.default_rng(0).integers(0, 256, (EXAMPLES, 28, 28, 1), np.uint8)
        with torch.no_grad():
            images = torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255
            # Labels are its own answers, so that every example stands before it is attacked.
            labels = network.unroll(images, ITERATIONS[family])[-1].argmax(1).numpy()
        scored = Scored(family, "drawn", ITERATIONS[family])
        candidate = Candidate(scored, family, "fashion_mnist", "drawn", lambda: network)
        store = Store(tmp_path)
        machine = Machine(torch.device("cpu"), 2, torch.float32)
        runner = Runner(
            {scored.identity: candidate}, lambda cell: (pixels, labels), machine, store, SilentProgress()
        )
        readouts = ("last", "avg") if ITERATIONS[family] else ("last",)
        cells = [cell_of(family, name, norm, target, r) for target in targets for r in readouts]
        return runner.run(cells), store

    return run


def reason(name: str, norm: str, target: str) -> str | None:
    """Return why a combination is refused; None if it is not."""
    backend = name.split(":")[0]
    if (name, norm) == ("advertorch:spsa", "l2"):
        return "advertorch's SPSA knows only linf"
    return REFUSED.get((backend, target))


def assert_kept_the_rules(record: Record, outcomes: pd.DataFrame, norm: str) -> None:
    """The ball, the pixel range, and a record that says what its outcomes say."""
    largest = record.largest_linf if norm == "linf" else record.largest_l2
    assert largest == outcomes[norm].max() <= EPSILON[norm] * (1 + 1e-5) + 1e-6
    assert outcomes["lowest"].min() >= 0
    assert outcomes["highest"].max() <= 1
    assert (record.n, record.nonfinite) == (len(outcomes), 0) == (EXAMPLES, 0)
    assert record.correct == outcomes["is_correct"].sum()
    assert outcomes["example"].tolist() == list(range(EXAMPLES))


def test_every_attack_is_here() -> None:
    """An attack that is added to the catalogue must be added here."""
    assert {name.split()[0] for name in SHORT} == {f"{b}:{a}" for b, names in ATTACKS.items() for a in names}


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::SyntaxWarning")
@pytest.mark.parametrize("norm", EPSILON)
@pytest.mark.parametrize("name", SHORT)
@pytest.mark.parametrize("family", ITERATIONS)
def test_every_combination_works_or_says_why_not(family: str, name: str, norm: str, attacked: Any) -> None:
    """What is supported keeps its ball and range and leaves a whole record; the rest is one line."""
    records, store = attacked(family, name, norm, get_args(Target))

    assert {record.cell.attack_target for record in records} == set(get_args(Target))
    for record in records:
        refused = reason(name, norm, str(record.cell.attack_target))
        if refused:
            assert record.status == "error"
            assert refused in record.error
            assert "\n" not in record.error
            continue
        assert record.status == "ok", record.error
        assert_kept_the_rules(record, store.read_outcomes(record), norm)
        assert (record.passes.backward > 0) == (record.cell.perturbation.name not in WITHOUT_GRADIENT)
        # FAB leaves an image as it was where it finds nothing inside the ball.
        assert record.largest_linf > 0 or record.cell.perturbation.name == "fab"
