"""The same attacks carried out by advertorch (0.2.3), as a cross-check of ours.

advertorch draws from torch's global generator and shares SPSA's directions across a batch. Here PGD starts
where our draws say and SPSA runs one example at a time from its own seed, so batching changes nothing.
advertorch must be importable, which on today's torch takes `bench.compat.enable_advertorch()` first.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from attacks.ascent import Classifier, Images, Labels, one_answer
from attacks.draws import Draws
from attacks.pgd import PGD
from attacks.spsa import SPSA


@dataclass(frozen=True)
class AdvertorchPGD(PGD):
    """`advertorch.attacks.iterative_projected_gradient.perturb_iterative` from our random start."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.restarts > 1:
            raise ValueError("the advertorch backend makes one climb; restarts must be 1")

    def __call__(self, classifier: Classifier, images: Images, labels: Labels, draws: Draws) -> Images:
        """Attack; see `attacks.ascent.Attack`."""
        from advertorch.attacks.iterative_projected_gradient import perturb_iterative

        start = self.threat.random_start(images, draws) if self.random_start else images
        adversarial = perturb_iterative(
            images,
            labels,
            one_answer(classifier, "advertorch"),
            self.steps,
            self.threat.epsilon,
            self.step_size,
            nn.CrossEntropyLoss(reduction="sum"),
            delta_init=(start - images).detach(),
            ord=float("inf") if self.threat.norm == "linf" else 2,
        )
        return adversarial.detach()


@dataclass(frozen=True)
class AdvertorchSPSA(SPSA):
    """`advertorch.attacks.LinfSPSAAttack`, one example at a time."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.threat.norm != "linf":
            raise ValueError(f"advertorch's SPSA knows only linf, got {self.threat.norm!r}")

    def __call__(self, classifier: Classifier, images: Images, labels: Labels, draws: Draws) -> Images:
        """Attack; see `attacks.ascent.Attack`."""
        from advertorch.attacks import LinfSPSAAttack

        attack = LinfSPSAAttack(
            one_answer(classifier, "advertorch"),
            eps=self.threat.epsilon,
            delta=self.delta,
            lr=self.learning_rate,
            nb_iter=self.steps,
            nb_sample=self.samples,
            max_batch_size=self.samples,
            loss_fn=nn.CrossEntropyLoss(reduction="none"),
        )
        devices = [images.device] if images.is_cuda else []
        adversarial = []
        for i, seed in enumerate(draws.seeds()):
            with torch.random.fork_rng(devices):
                torch.manual_seed(seed)
                adversarial.append(attack.perturb(images[i : i + 1], labels[i : i + 1]))
        # Its last clamp is to the perturbation, so that pixels miss 0 and 1 by a rounding.
        return self.threat.project(torch.cat(adversarial).detach(), images)
