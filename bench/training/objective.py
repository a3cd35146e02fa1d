"""What is minimised: the loss of the public CNN-F training, and the attack inside it.

Source: Huang et al., "Neural Networks with Recurrent Generative Feedback", NeurIPS 2020, and its public code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from attacks.ascent import loss_gradient, projected_ascent
from attacks.threat import ThreatModel
from bench.training.recipe import Recipe, TrainingAttack
from zoo.cnnf import CNNF, Iteration

Images = Float[Tensor, "n c h w"]
Labels = Int[Tensor, " n"]


class Objective:
    """The training loss of a network under a recipe, in the recipe's precision.

    Args:
        model: The network whose weights are trained.
        recipe: Weights of the loss, attack, precision.
        device: Where the network is; on a GPU both functions are compiled if the recipe says so.
    """

    def __init__(self, model: CNNF, recipe: Recipe, device: torch.device) -> None:
        self.model = model
        self.recipe = recipe
        self.device = device
        is_compiled = recipe.compile and device.type == "cuda"
        self._first_pass = (
            torch.compile(self._eager_first_pass, dynamic=False) if is_compiled else self._eager_first_pass
        )
        self._loss = torch.compile(self._eager_loss, dynamic=False) if is_compiled else self._eager_loss

    def loss(self, images: Images, labels: Labels, generator: torch.Generator) -> Float[Tensor, ""]:
        """Attack the images if the recipe says so and return the loss, ready for `backward`."""
        batch = images
        if self.recipe.attack is not None:
            with frozen(self.model):
                batch = perturbed(self._first_pass, images, labels, self.recipe.attack, generator)
            if self.recipe.has_clean_passes:
                batch = torch.cat([images, batch])
        return self._loss(batch, labels)

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.recipe.amp == "bf16")

    def _eager_first_pass(self, images: Images) -> Float[Tensor, "n k"]:
        with self._autocast():
            return self.model.unroll(images, 0)[0].float()

    def _eager_loss(self, batch: Float[Tensor, "m c h w"], labels: Labels) -> Float[Tensor, ""]:
        with self._autocast():
            passes = list(self.model.walk(batch, self.recipe.unrolled))
        return training_loss(passes, labels, self.recipe.clean_weight, self.recipe.reconstruction_weight)


def training_loss(
    passes: Sequence[Iteration], labels: Labels, clean_weight: float, reconstruction_weight: float
) -> Float[Tensor, ""]:
    """Return the loss over the first pass and the K feedback iterations after it.

    With r_l the reconstructions of the m features f_l (the fed-back one and those tapped above it):

        L = sum_k [clean_weight CE(clean_k) + CE(adversarial_k)] / (2 (K + 1))
            + reconstruction_weight / (m K) sum_k sum_l MSE(r_l,k of adversarial, f_l,0 of clean)

    Without a clean part the 2 is a 1. The clean features are not detached: both sides learn.

    Args:
        passes: What the network yielded for the clean images followed by the adversarial ones, or for one
            of the two alone; in standard training the clean ones are both parts at once.
        labels: True classes of one part.
        clean_weight: At least 0; 0 in standard training.
        reconstruction_weight: At least 0.
    """
    examples = len(labels)
    clean, adversarial = slice(0, examples), slice(-examples, None)
    parts = 2 if clean_weight else 1
    loss = torch.zeros((), device=labels.device)
    for step in passes:
        logits = step.logits.float()
        loss = loss + F.cross_entropy(logits[adversarial], labels) / (parts * len(passes))
        if clean_weight:
            loss = loss + clean_weight * F.cross_entropy(logits[clean], labels) / (parts * len(passes))
    if not reconstruction_weight:
        return loss
    features = (passes[0].feature, *passes[0].tapped)
    for step in passes[1:]:
        assert step.reconstruction is not None
        reconstructions = (step.reconstruction, *step.tapped_reconstructions)
        for reconstruction, feature in zip(reconstructions, features, strict=True):
            error = F.mse_loss(reconstruction[adversarial].float(), feature[clean].float())
            loss = loss + reconstruction_weight / (len(features) * (len(passes) - 1)) * error
    return loss


def perturbed(
    classifier: Callable[[Images], Float[Tensor, "n k"]],
    images: Images,
    labels: Labels,
    attack: TrainingAttack,
    generator: torch.Generator,
) -> Images:
    """Return adversarial images; the draws are the batch's, from `generator`, not each example's own."""
    threat = ThreatModel("linf", attack.epsilon)
    start = images
    if attack.random_start:
        draws = torch.rand(images.shape, generator=generator, device=images.device)
        start = threat.project(images + (2 * draws - 1) * attack.epsilon, images)
    adversarial = projected_ascent(
        images,
        start,
        loss_gradient(classifier, labels),
        lambda current, gradient: current + attack.step_size * threat.steepest(gradient),
        threat,
        attack.steps,
    )
    return adversarial.detach()


@contextmanager
def frozen(model: nn.Module) -> Iterator[None]:
    """Take no gradients of the weights inside: they cost as much as those of the images."""
    model.requires_grad_(False)
    try:
        yield
    finally:
        model.requires_grad_(True)
