"""What the gate is for: faults in the attack, the model and the data are caught, and nothing else is."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from attacks.pgd import PGD
from bench.models import Candidate
from bench.runner import Runner
from bench.suites import Scored
from reports.cell import Cell, Perturbation
from reports.gate.baseline import Baseline, make
from reports.gate.paired import compare
from reports.gate.result import CheckResult, Rules, Status
from reports.records import Store
from zoo.plain import Plain

EXAMPLES = 400
EPSILON = 0.02
"""Leaves about half of the answers of `network` standing."""


def network() -> nn.Sequential:
    """Return a network that takes microseconds an image, with drawn weights."""
    torch.manual_seed(3)
    return nn.Sequential(nn.Conv2d(1, 4, 3, stride=3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 81, 10)).eval()


def pixels() -> np.ndarray:
    return np.random.default_rng(5).integers(0, 256, (EXAMPLES, 28, 28, 1), np.uint8)


def labels() -> np.ndarray:
    """Return what the network itself says: it is right about every clean image."""
    images = torch.from_numpy(pixels()).permute(0, 3, 1, 2) / 255
    with torch.no_grad():
        return network()(images).argmax(1).numpy()


def cells(seed: int = 0, weights: str = "w" * 64, data: str = "d" * 64, step_size: float = 0.3) -> list[Cell]:
    """Return a clean cell and two attacks."""
    clean = Cell(
        suite="adversarial",
        suite_version=1,
        model="net",
        weights=weights,
        dataset="fashion_mnist",
        data=data,
        examples=EXAMPLES,
        perturbation=None,
        source=None,
        source_weights=None,
        attack_target=None,
        attack_iterations=0,
        iterations=0,
        readout="last",
        seed=seed,
    )
    attacked = [
        Perturbation(
            kind="attack",
            name="pgd",
            backend="native",
            settings={
                "norm": "linf",
                "epsilon": EPSILON,
                "steps": steps,
                "step_size": step_size * EPSILON,
                "random_start": True,
                "restarts": 1,
            },
        )
        for steps in (4, 5)
    ]
    attacker = {"source": "net", "source_weights": weights, "attack_target": "first"}
    return [clean, *(clean.model_copy(update={"perturbation": done, **attacker}) for done in attacked)]


@pytest.fixture
def measure(runner: Callable[..., Runner]) -> Callable[..., Store]:
    """Return a function: folder, network, cells and labels to the store of their run."""

    def measured(folder: str, model: nn.Module, asked: list[Cell], truth: np.ndarray | None = None) -> Store:
        weights = asked[0].weights
        candidate = Candidate(
            Scored("net", weights, 0), "net", "fashion_mnist", "drawn", lambda: Plain(model)
        )
        made = runner(folder, 512, net=candidate)
        made.images = lambda cell: (pixels(), labels() if truth is None else truth)
        made.run(asked)
        return made.store

    return measured


@pytest.fixture
def baseline(measure: Callable[..., Store]) -> Baseline:
    """Return the baseline of the sound network under the sound attack."""
    store = measure("baseline", network(), cells())
    return make(store.read(), store)


def check(baseline: Baseline, store: Store, **rules: bool) -> CheckResult:
    return compare(baseline, store.read(), store, Rules(**rules))


def told(result: CheckResult) -> list[str]:
    return [str(finding.status) for finding in result.findings]


def flipped() -> nn.Sequential:
    """Return the network with the sign of its largest convolution weight turned."""
    model = copy.deepcopy(network())
    with torch.no_grad():
        flat = model[0].weight.view(-1)
        flat[flat.abs().argmax()] *= -1
    return model


def test_the_baseline_leaves_room_in_both_directions(baseline: Baseline) -> None:
    """Else the tests below could not see a rise or a drop."""
    truth = labels()
    shares = [float(np.mean(np.asarray(known.predictions) == truth)) for known in baseline.cells]

    assert shares[0] == 1
    assert all(0.2 < share < 0.8 for share in shares[1:])


def test_an_unchanged_rerun_is_exact(baseline, measure) -> None:
    """Not one answer differs."""
    result = check(baseline, measure("again", network(), cells()))

    assert told(result) == ["unchanged"] * 3


@pytest.mark.parametrize("seed", range(1, 11))
def test_reruns_with_other_random_starts_raise_no_alarm(baseline, measure, seed) -> None:
    """The attack resamples its random starts: answers change both ways, and none of ten reruns fails."""
    result = check(baseline, measure("again", network(), cells(seed=seed)), takes_any_seed=True)

    assert told(result) == ["unchanged", "within noise", "within noise"]
    assert result.exit_code == 0


def test_half_the_step_size_is_suspicious(baseline, measure, monkeypatch) -> None:
    """A fault in the code of the attack: the cell is the same, the model looks stronger."""
    climb = PGD._climb

    def weaker(attack: PGD, *arguments: object) -> torch.Tensor:
        weak = copy.copy(attack)
        object.__setattr__(weak, "step_size", attack.step_size / 2)
        return climb(weak, *arguments)

    monkeypatch.setattr(PGD, "_climb", weaker)
    result = check(baseline, measure("faulty", network(), cells()))

    assert told(result) == ["unchanged", "suspicious", "suspicious"]
    assert result.exit_code == 1


def test_half_the_step_size_in_the_settings_is_incomparable(baseline, measure) -> None:
    """A fault in the suite: another cell, which says what is different."""
    result = check(baseline, measure("faulty", network(), cells(step_size=0.15)))

    assert told(result) == ["unchanged", "incomparable", "incomparable"]
    assert "the nearest cell differs in pgd step_size 0.006, now 0.003" in result.findings[1].reason
    assert result.exit_code == 3


def test_one_flipped_weight_is_a_regression(baseline, measure) -> None:
    """A fault in the loading of the model: the hash of the file is right, the network is not."""
    result = check(baseline, measure("faulty", flipped(), cells()))

    assert result.findings[0].status is Status.REGRESSION
    assert result.exit_code == 1


def test_one_flipped_weight_in_the_file_is_incomparable(baseline, measure) -> None:
    """Another hash; compared on purpose, it is a regression."""
    store = measure("faulty", flipped(), cells(weights="x" * 64))

    assert told(check(baseline, store)) == ["incomparable"] * 3
    on_purpose = check(baseline, store, compares_weights=True)
    assert (on_purpose.findings[0].status, on_purpose.exit_code) == (Status.REGRESSION, 1)


@pytest.mark.parametrize("data", ["d" * 64, "e" * 64])
def test_two_swapped_labels_are_incomparable(baseline, measure, data) -> None:
    """With the hash of the data they have, or behind the hash that was planned for."""
    truth = labels()
    first, second = 0, int(np.flatnonzero(truth != truth[0])[0])
    truth[[first, second]] = truth[[second, first]]
    result = check(baseline, measure("faulty", network(), cells(data=data), truth))

    assert told(result) == ["incomparable"] * 3
    assert result.exit_code == 3
