"""Our attacks beside those of torchattacks and foolbox, at the same settings on shipped networks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn

import attacks
from bench.data import evaluation_images
from bench.models import from_zoo
from reports.metrics import wilson
from reports.verdict.paired import Paired
from zoo.feedback import AttackTarget

pytestmark = [
    pytest.mark.peers,
    pytest.mark.timeout(900),
    pytest.mark.filterwarnings("ignore"),
]

EPSILON = {"linf": 0.1, "l2": 1.0}
ALARM = 0.01
"""Largest p-value at which a difference is held to be real, as in the verdict."""


class Case(NamedTuple):
    """An attack of a peer, and ours at the same settings."""

    theirs: str
    """Library and class."""
    ours: str
    """Backend and name."""
    norm: str
    settings: dict[str, Any]
    """Ours."""
    their_settings: dict[str, Any]
    examples: int = 100

    @property
    def title(self) -> str:
        """What tells it from the others."""
        return " ".join(filter(None, (self.theirs, self.norm, self.their_settings.get("loss"))))


CLIMB = {"steps": 20, "step_size": 0.02}
L2_CLIMB = {"steps": 20, "step_size": 0.2}
MOMENTUM = {"steps": 10, "step_size": 0.02, "random_start": False}
FOOLBOX_CLIMB = {"steps": 20, "abs_stepsize": 0.02, "random_start": True}
SPSA = {"steps": 5, "samples": 32, "delta": 0.005, "learning_rate": 0.05}
CASES = (
    Case("torchattacks PGD", "native pgd", "linf", CLIMB, {"steps": 20, "alpha": 0.02}),
    Case("torchattacks PGDL2", "native pgd", "l2", L2_CLIMB, {"steps": 20, "alpha": 0.2}),
    Case("torchattacks MIFGSM", "native momentum", "linf", MOMENTUM, {"steps": 10, "alpha": 0.02}),
    Case("torchattacks APGD", "native apgd", "linf", {"steps": 30}, {"steps": 30, "loss": "ce"}),
    Case(
        "torchattacks APGD", "native apgd", "linf", {"steps": 30, "loss": "dlr"}, {"steps": 30, "loss": "dlr"}
    ),
    Case("torchattacks APGD", "native apgd", "l2", {"steps": 30}, {"steps": 30, "loss": "ce"}),
    Case(
        "torchattacks APGDT",
        "native apgd",
        "linf",
        {"steps": 20, "loss": "dlr_targeted", "targets": 9},
        {"steps": 20, "n_classes": 10},
        examples=50,
    ),
    Case(
        "torchattacks FAB",
        "pyautoattack fab",
        "linf",
        {"steps": 20, "targets": 9},
        {"steps": 20, "multi_targeted": True, "n_classes": 10},
        examples=50,
    ),
    Case("torchattacks Square", "native square", "linf", {"queries": 200}, {"n_queries": 200}),
    Case("torchattacks Square", "native square", "l2", {"queries": 200}, {"n_queries": 200}),
    Case(
        "torchattacks SPSA",
        "native spsa",
        "linf",
        SPSA,
        {"nb_iter": 5, "nb_sample": 32, "delta": 0.005, "lr": 0.05},
        examples=20,
    ),
    Case("foolbox LinfPGD", "native pgd", "linf", CLIMB, FOOLBOX_CLIMB),
    Case("foolbox L2PGD", "native pgd", "l2", L2_CLIMB, FOOLBOX_CLIMB | {"abs_stepsize": 0.2}),
    Case(
        "foolbox L2MomentumIterativeFastGradientMethod",
        "native momentum",
        "l2",
        MOMENTUM | {"step_size": 0.2},
        {"steps": 10, "abs_stepsize": 0.2},
    ),
    Case(
        "foolbox LinfRepeatedAdditiveUniformNoiseAttack",
        "native noise",
        "linf",
        {"samples": 20},
        {"repeats": 20},
    ),
    Case(
        "foolbox L2RepeatedAdditiveGaussianNoiseAttack",
        "native noise",
        "l2",
        {"samples": 20},
        {"repeats": 20},
    ),
)


class Answer(nn.Module):
    """The last logits of a shipped network, as a module of its own."""

    def __init__(self, name: str) -> None:
        super().__init__()
        candidate = from_zoo(name)
        self.network = candidate.load().requires_grad_(False)
        self.classifier = AttackTarget.E2E.classifier(self.network, candidate.scored.iterations)

    def forward(self, images: Tensor) -> Tensor:
        return self.classifier(images)


def peer(case: Case, model: Answer) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the attack of a peer."""
    library, name = case.theirs.split()
    epsilon = EPSILON[case.norm]
    if library == "foolbox":
        import foolbox

        bounded = foolbox.PyTorchModel(model, bounds=(0, 1))
        attack = getattr(foolbox.attacks, name)(**case.their_settings)
        return lambda images, labels: attack(bounded, images, labels, epsilons=epsilon)[1]
    import torchattacks

    norm = {"norm": case.norm.capitalize()} if name in ("APGD", "APGDT", "FAB", "Square") else {}
    return getattr(torchattacks, name)(model, eps=epsilon, **norm, **case.their_settings)


def standing(model: Answer, case: Case, images: Tensor, found: Tensor, labels: Tensor) -> dict[int, bool]:
    """Return which examples stand; a perturbation that is too large has achieved nothing."""
    change = (found.double() - images.double()).flatten(1)
    size = change.abs().amax(1) if case.norm == "linf" else change.norm(dim=1)
    is_inside = (size <= EPSILON[case.norm] + 1e-5) & (found.flatten(1).amin(1) >= 0)
    is_inside &= found.flatten(1).amax(1) <= 1
    with torch.no_grad():
        is_clean, is_right = model(images).argmax(1) == labels, model(found).argmax(1) == labels
    return dict(enumerate(torch.where(is_inside, is_right, is_clean).tolist()))


@pytest.mark.parametrize("model", ["cnn_fmnist", "cnnf_fmnist"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.title)
def test_we_are_as_strong_as_our_peers(case: Case, model: str) -> None:
    """What ours leaves is below the upper end of theirs' 95 % interval, and no worse image by image."""
    pytest.importorskip(case.theirs.split()[0])
    network = Answer(model).eval()
    pixels, truth = evaluation_images("fashion_mnist", case.examples)
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
    labels = torch.from_numpy(truth)
    draws = attacks.Draws("peers", range(case.examples), images)
    backend, name = case.ours.split()
    threat = {"norm": case.norm, "epsilon": EPSILON[case.norm]}
    mine = attacks.build(name, backend, threat | case.settings)(network, images, labels, draws)
    theirs = peer(case, network)(images, labels)
    ours_left = standing(network, case, images, mine, labels)
    theirs_left = standing(network, case, images, theirs, labels)
    left, left_by_them = sum(ours_left.values()), sum(theirs_left.values())
    paired = Paired.of(ours_left, theirs_left)
    counts = (case.examples, left, left_by_them, paired.only_first, paired.only_second)
    print("\n|", " | ".join(map(str, (case.title, model, *counts))), "|")

    assert left / case.examples <= wilson(left_by_them, case.examples).high
    assert paired.p_value > ALARM
