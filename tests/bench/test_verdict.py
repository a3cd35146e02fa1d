"""Models that are broken in known ways are caught, and an honest one is not."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from bench import data, evaluation, models
from bench.progress import SilentProgress
from reports.records import Store
from reports.verdict import Check, verdict_of

EXAMPLES = 64


class Broken(nn.Module):
    """An honest network with something before and after it."""

    def __init__(self, before: Callable = lambda x: x, after: Callable = lambda logits: logits) -> None:
        super().__init__()
        self.network = copy.deepcopy(trained())
        self.before, self.after = before, after

    def forward(self, images):
        return self.after(self.network(self.before(images)))


@pytest.fixture(autouse=True)
def _no_transfer(monkeypatch) -> None:
    """Attacking another network costs more than all the rest; tests/reports has the check."""
    monkeypatch.setattr("bench.suites.cells.TRANSFER_SOURCES", {})


@cache
def trained() -> nn.Module:
    """Return a small network that knows its images by heart, trained without any defence."""
    with torch.random.fork_rng(), torch.enable_grad():
        torch.manual_seed(0)
        found = data.evaluation_images("fashion_mnist", 64)
        images = torch.from_numpy(found.images).permute(0, 3, 1, 2) / 255
        labels = torch.from_numpy(found.labels)
        network = nn.Sequential(nn.Flatten(), nn.Linear(784, 32), nn.ReLU(), nn.Linear(32, 10))
        optimiser = torch.optim.Adam(network.parameters(), 1e-2)
        for _ in range(40):
            optimiser.zero_grad()
            F.cross_entropy(network(images), labels).backward()
            optimiser.step()
    return network


def levels(images: torch.Tensor) -> torch.Tensor:
    return (images * 4).round() / 4


def straight_through(images: torch.Tensor) -> torch.Tensor:
    """Quantise forward, pretend to be the identity backward."""
    return images + (levels(images) - images).detach()


class Counting:
    """State between calls: every call moves the answers a little further."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, logits):
        self.calls += 1
        return logits.roll(self.calls, 1)


class Remembering(Broken):
    """Keeps its last answers in a buffer and mixes them in, as a network that is never reset does."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("last", torch.zeros(10))

    def forward(self, images):
        logits = self.network(images) + self.last
        self.last = logits.detach().mean(0)
        return logits


class Switching(Broken):
    """Goes to training mode as soon as somebody differentiates it."""

    def forward(self, images):
        if images.requires_grad:
            self.train()
        return super().forward(images)


class Turned(Broken):
    """Close to the images that it knows, the slope of every pixel points the wrong way between jumps.

    Autograd tells the truth about it, and so do finite differences of any length below a jump. Far from its
    images the network is honest.
    """

    WIDTH = 0.125

    def __init__(self) -> None:
        super().__init__(before=self.turned)
        found = data.evaluation_images("fashion_mnist", 64)
        self.register_buffer("known", torch.from_numpy(found.images).flatten(1) / 255)

    def turned(self, images):
        is_near = torch.cdist(images.detach().flatten(1), self.known.to(images), p=torch.inf).amin(1) < 0.3
        middle = (images / self.WIDTH).round() * self.WIDTH
        return torch.where(is_near[:, None, None, None], middle - (images - middle), images)


class Majority:
    """Answers by memory of the batch: the first image decides for all."""

    def __call__(self, logits):
        return logits + 5 * logits[:1].detach()


def run(network: nn.Module, folder: Path) -> dict[str, Check]:
    """Return the verdict on a model by name of the check."""
    candidate = models.from_object(network, "fashion_mnist", name="model")
    options = evaluation.Options("verdict", EXAMPLES, EXAMPLES, device="cpu")
    store = Store(folder)
    found = evaluation.run([candidate], options, store, SilentProgress())
    return {check.name: check for check in verdict_of(found.records, store)}


def failed(checks: dict[str, Check]) -> set[str]:
    return {name for name, check in checks.items() if check.finding.status == "FAIL"}


KNOWN_BAD: dict[str, tuple[Callable[[], nn.Module], set[str]]] = {
    "gradients cut": (lambda: Broken(before=torch.Tensor.detach), {"gradients", "finite differences"}),
    "gradients zeroed": (
        lambda: Broken(before=lambda x: x.detach() + 0 * x),
        {"gradients", "finite differences", "gradient-free"},
    ),
    "half of the gradient cut": (
        lambda: Broken(before=lambda x: 0.5 * x + 0.5 * x.detach()),
        {"finite differences"},
    ),
    "output softmaxed": (lambda: Broken(after=lambda z: z.softmax(1)), {"logits"}),
    "input quantised": (lambda: Broken(before=levels), {"gradients"}),
    "input quantised, gradient passed through": (
        lambda: Broken(before=straight_through),
        {"finite differences"},
    ),
    "random output": (
        lambda: Broken(after=lambda z: z + 3 * torch.randn_like(z)),
        {"deterministic", "finite differences"},
    ),
    "state between calls": (lambda: Broken(after=Counting()), {"deterministic", "stateless"}),
    "state in a buffer": (Remembering, {"deterministic", "stateless", "unchanged"}),
    "mode switched by the attack": (Switching, {"unchanged"}),
    "logits scaled": (lambda: Broken(after=lambda z: 1e4 * z), {"logit scale", "gradients"}),
    "answer by memory of the batch": (lambda: Broken(after=Majority()), {"stateless"}),
}
"""What is wrong -> model, and the checks that must see it."""


@pytest.mark.parametrize("defect", KNOWN_BAD)
def test_known_bad_models_are_caught(defect: str, tmp_path: Path) -> None:
    """Each defect fails the checks that were made for it."""
    make, expected = KNOWN_BAD[defect]

    assert expected <= failed(run(make(), tmp_path))


def test_only_square_sees_slopes_that_point_the_wrong_way(tmp_path: Path) -> None:
    """PGD, its steps, restarts and SPSA are all led astray; without Square's records no check fails."""
    checks = run(Turned(), tmp_path)
    records = Store(tmp_path).read()
    standing = {r.cell.perturbation.name: r.correct for r in records if r.cell.perturbation}
    blind = [r for r in records if not r.cell.perturbation or r.cell.perturbation.name != "square"]
    without = {check.name: check for check in verdict_of(blind, Store(tmp_path))}

    assert failed(checks) == {"gradient-free", "per example"}
    assert standing["square"] < standing["spsa"] == EXAMPLES
    assert failed(without) == set()
    assert without["gradient-free"].finding.status == "pass"


def test_an_honest_undefended_model_raises_no_alarm(tmp_path: Path) -> None:
    """Every check passes but those it does not allow, and next to nothing stands in twice the ball."""
    checks = run(Broken(), tmp_path)
    standing = {
        record.cell.perturbation.settings["epsilon"]: record.correct
        for record in Store(tmp_path).read()
        if record.cell.perturbation and record.cell.perturbation.name == "pgd"
    }

    assert failed(checks) == set()
    assert {name for name, check in checks.items() if check.finding.status == "not run"} == {
        "other targets",
        "transfer",
    }
    assert standing[0.2] <= 2
    assert standing[0.5] == standing[1.0] == 0


@pytest.mark.parametrize("place", ["before", "after"])
def test_a_model_that_casts_is_no_liar(place: str, tmp_path: Path) -> None:
    """Only the check in float64 cannot be made; all others are, and no cell fails."""
    cast = {place: lambda values: values.float()}
    checks = run(Broken(**cast), tmp_path)

    assert failed(checks) == set()
    assert checks["finite differences"].finding.status == "not run"
    assert checks["gradients"].finding.status == "pass"
    assert {record.status for record in Store(tmp_path).read()} == {"ok"}


def test_answers_that_are_no_numbers_are_told_as_such(tmp_path: Path) -> None:
    """Some images have them, at every call the same: neither randomness nor state, nor a wrong slope."""

    def often_lost(logits: torch.Tensor) -> torch.Tensor:
        return logits.masked_fill(logits.argmax(1, keepdim=True) % 2 == 0, torch.nan)

    found = failed(run(Broken(after=often_lost), tmp_path))

    assert "gradients" in found
    assert not found & {"deterministic", "stateless", "finite differences", "logit scale", "logits"}
