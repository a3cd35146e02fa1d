"""What is minimised, and the attack inside it.

Sources: Huang et al., "Neural Networks with Recurrent Generative Feedback", NeurIPS 2020, and its public
code; for the feedback weights of predictive coding Choksi et al., "Predify", NeurIPS 2021.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from attacks.ascent import loss_gradient, projected_ascent
from attacks.threat import ThreatModel
from bench.training.compiling import CheckedCompilation
from bench.training.recipe import Recipe, TrainingAttack
from zoo.cnnf import CNNF, Iteration

if TYPE_CHECKING:
    from zoo.checkpoint import Network

Images = Float[Tensor, "n c h w"]
Labels = Int[Tensor, " n"]

EAGER = {"compile": False, "compile_on_cpu": False}
"""What to change in a recipe so that nothing is compiled."""


class Objective:
    """The training loss of a network under a recipe, in the recipe's precision.

    Args:
        model: The network whose weights are trained.
        recipe: Weights of the loss, attack, precision.
        device: Where the network is; both functions are compiled if the recipe says so for it.
    """

    def __init__(self, model: Network, recipe: Recipe, device: torch.device) -> None:
        self.model = model
        self.recipe = recipe
        self.device = device
        self._first_pass: Callable[[Images], Tensor] = self._eager_first_pass
        self._loss: Callable[[Images, Labels], Tensor] = self._eager_loss
        self._compilations: tuple[CheckedCompilation, ...] = ()
        if _is_compiled(recipe, device):
            exact_pass, exact_loss = None, None
            if recipe.amp != "off":
                exact = Objective(model, recipe.model_copy(update=EAGER | {"amp": "off"}), device)
                exact_pass, exact_loss = exact._eager_first_pass, exact._eager_loss
            self._first_pass = first_pass = CheckedCompilation(self._eager_first_pass, model, exact_pass)
            self._loss = loss = CheckedCompilation(self._eager_loss, model, exact_loss)
            self._compilations = (first_pass, loss)

    @property
    def is_compiled(self) -> bool:
        """Whether the first batch of each size has to wait for a compiler."""
        return bool(self._compilations)

    @property
    def seconds_compiling(self) -> float:
        """Wall time of compiling and checking so far."""
        return sum(compilation.seconds for compilation in self._compilations)

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
        recipe = self.recipe
        with self._autocast():
            if recipe.objective == "prediction_errors":
                return prediction_loss(self.model, batch)
            if isinstance(self.model, CNNF):
                passes = list(self.model.walk(batch, recipe.unrolled))
                every = [step.logits for step in passes]
            else:
                passes = []
                every = list(self.model.unroll(batch, recipe.unrolled))
        loss = classification_loss(every, labels, recipe.clean_weight, recipe.label_smoothing)
        if recipe.reconstruction_weight and passes:
            loss = loss + recipe.reconstruction_weight * reconstruction_loss(passes, len(labels))
        return loss


def _is_compiled(recipe: Recipe, device: torch.device) -> bool:
    if device.type == "cuda":
        return recipe.compile
    return recipe.compile_on_cpu and shutil.which(os.environ.get("CXX", "g++")) is not None


def classification_loss(
    every: Sequence[Float[Tensor, "m k"]], labels: Labels, clean_weight: float, label_smoothing: float = 0.0
) -> Float[Tensor, ""]:
    """Return the cross-entropy over the first pass and the K feedback iterations after it.

        L = sum_k [clean_weight CE(clean_k) + CE(adversarial_k)] / (2 (K + 1))

    Without a clean part the 2 is a 1.

    Args:
        every: Logits of each pass for the clean images followed by the adversarial ones, or for one of the
            two alone; in standard training the clean ones are both parts at once.
        labels: True classes of one part.
        clean_weight: At least 0; 0 in standard training.
        label_smoothing: In [0, 1).
    """
    clean, adversarial = slice(0, len(labels)), slice(-len(labels), None)
    parts = 2 if clean_weight else 1
    loss = torch.zeros((), device=labels.device)
    for logits in every:
        loss = loss + F.cross_entropy(
            logits[adversarial].float(), labels, label_smoothing=label_smoothing
        ) / (parts * len(every))
        if clean_weight:
            loss = loss + clean_weight * F.cross_entropy(
                logits[clean].float(), labels, label_smoothing=label_smoothing
            ) / (parts * len(every))
    return loss


def reconstruction_loss(passes: Sequence[Iteration], examples: int) -> Float[Tensor, ""]:
    """Return the mean squared error of CNN-F's reconstructions.

    With r_l the reconstructions of the m features f_l (the fed-back one and those tapped above it):

        L = 1 / (m K) sum_k sum_l MSE(r_l,k of adversarial, f_l,0 of clean)

    The clean features are not detached: both sides learn.

    Args:
        passes: What the network yielded for the images, in parts as for `classification_loss`.
        examples: Images of one part.
    """
    clean, adversarial = slice(0, examples), slice(-examples, None)
    features = (passes[0].feature, *passes[0].tapped)
    loss = torch.zeros((), device=passes[0].feature.device)
    for step in passes[1:]:
        assert step.reconstruction is not None
        reconstructions = (step.reconstruction, *step.tapped_reconstructions)
        for reconstruction, feature in zip(reconstructions, features, strict=True):
            error = F.mse_loss(reconstruction[adversarial].float(), feature[clean].float())
            loss = loss + error / (len(features) * (len(passes) - 1))
    return loss


def prediction_loss(model: Network, images: Images) -> Float[Tensor, ""]:
    """Return the errors of the predictions after the first pass, summed over encoders, the images' mean.

    Source: Choksi et al. 2021, equation 3.
    """
    if isinstance(model, CNNF):
        raise TypeError("CNN-F makes no predictions: its recipes have the objective classification")
    return next(iter(model.walk(images, 0))).prediction_errors.float().sum(1).mean()


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
    """Evaluate inside: take no statistics, and no gradients of the weights, which cost as much as images'."""
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    was_training = model.training
    for parameter in learning:
        parameter.requires_grad_(False)
    model.eval()
    try:
        yield
    finally:
        for parameter in learning:
            parameter.requires_grad_(True)
        model.train(was_training)
