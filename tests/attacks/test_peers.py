"""Our attacks beside those of torchattacks and foolbox, at the same settings on shipped networks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import attacks
from bench.data import evaluation_images
from bench.models import from_zoo
from reports.metrics import wilson
from zoo.feedback import AttackTarget

pytestmark = [
    pytest.mark.peers,
    pytest.mark.timeout(3000),
    pytest.mark.filterwarnings("ignore"),
]

EXAMPLES = 100
LINF = {"norm": "linf", "epsilon": 0.1}
L2 = {"norm": "l2", "epsilon": 1.0}
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "torchattacks PGD": ("pgd", LINF | {"steps": 20, "step_size": 0.02}),
    "torchattacks PGDL2": ("pgd", L2 | {"steps": 20, "step_size": 0.2}),
    "torchattacks MIFGSM": ("momentum", LINF | {"steps": 10, "step_size": 0.02, "random_start": False}),
    "torchattacks APGD": ("apgd", LINF | {"steps": 30}),
    "torchattacks Square": ("square", LINF | {"queries": 200}),
    "foolbox LinfPGD": ("pgd", LINF | {"steps": 20, "step_size": 0.02}),
    "foolbox L2PGD": ("pgd", L2 | {"steps": 20, "step_size": 0.2}),
}


class Answer(nn.Module):
    """The last logits of a shipped network, as a module of its own."""

    def __init__(self, name: str) -> None:
        super().__init__()
        candidate = from_zoo(name)
        self.network = candidate.load().requires_grad_(False)
        self.classifier = AttackTarget.E2E.classifier(self.network, candidate.scored.iterations)

    def forward(self, images: Tensor) -> Tensor:
        return self.classifier(images)


def theirs(case: str, settings: dict[str, Any], model: Answer) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the attack of a peer."""
    library, name = case.split()
    if library == "foolbox":
        import foolbox

        bounded = foolbox.PyTorchModel(model, bounds=(0, 1))
        kind = getattr(foolbox.attacks, name)
        attack = kind(abs_stepsize=settings["step_size"], steps=settings["steps"], random_start=True)
        return lambda images, labels: attack(bounded, images, labels, epsilons=settings["epsilon"])[1]
    import torchattacks

    own = {
        "PGD": {"alpha": settings.get("step_size"), "random_start": True},
        "PGDL2": {"alpha": settings.get("step_size"), "random_start": True},
        "MIFGSM": {"alpha": settings.get("step_size"), "decay": 1.0},
        "APGD": {"norm": "Linf", "loss": "ce", "n_restarts": 1},
        "Square": {"norm": "Linf", "n_queries": settings.get("queries"), "p_init": 0.8},
    }[name]
    if "steps" in settings:
        own["steps"] = settings["steps"]
    return getattr(torchattacks, name)(model, eps=settings["epsilon"], **own)


@pytest.mark.parametrize("model", ["cnn_fmnist", "cnnf_fmnist"])
@pytest.mark.parametrize("case", CASES)
def test_we_are_as_strong_as_our_peers(case, model, record_property) -> None:
    """What ours leaves standing is below the upper end of the 95 % interval of what theirs leaves."""
    pytest.importorskip(case.split()[0])
    name, settings = CASES[case]
    network = Answer(model)
    pixels, truth = evaluation_images("fashion_mnist", EXAMPLES)
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
    labels = torch.from_numpy(truth)
    torch.manual_seed(0)
    standing = {}
    draws = attacks.Draws("peers", range(EXAMPLES), images)
    ours = attacks.build(name, "native", settings)(network, images, labels, draws)
    for who, found in (("ours", ours), ("theirs", theirs(case, settings, network)(images, labels))):
        standing[who] = int((network(found).argmax(1) == labels).sum())
        record_property(who, standing[who])
    print(f"\n| {case} | {model} | {standing['ours']} | {standing['theirs']} |")

    assert standing["ours"] / EXAMPLES <= wilson(standing["theirs"], EXAMPLES).high
