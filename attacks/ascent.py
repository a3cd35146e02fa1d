"""The one attack loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from attacks import losses
from attacks.draws import Draws
from attacks.threat import ThreatModel

Images = Float[Tensor, "n c h w"]
Labels = Int[Tensor, " n"]
Classifier = Callable[[Images], Float[Tensor, "*t n k"]]
"""All that an attack may know: images in [0, 1] to logits. Where it gives several answers to an image, t of
them, an attack climbs the sum of their losses, and an image fools it when all its answers are wrong."""


@runtime_checkable
class Attack(Protocol):
    """A frozen set of settings that can be applied to a classifier."""

    @property
    def width(self) -> int:
        """Images evaluated at once for each example, by which a caller divides its batch size."""
        ...

    def __call__(self, classifier: Classifier, images: Images, labels: Labels, draws: Draws) -> Images:
        """Return adversarial images inside the threat model and [0, 1].

        Args:
            classifier: Function from images to logits; each row depends on its own image only.
            images: Clean images in [0, 1].
            labels: Their true classes.
            draws: Random streams of these examples.
        """
        ...


@runtime_checkable
class Refiner(Attack, Protocol):
    """An attack that can go on from images which another one found."""

    def refine(
        self, classifier: Classifier, images: Images, start: Images, labels: Labels, draws: Draws
    ) -> Images:
        """Return adversarial images as a call does.

        Args:
            classifier: Function from images to logits; each row depends on its own image only.
            images: Clean images in [0, 1].
            start: Where to begin, inside the threat model around `images`.
            labels: The true classes.
            draws: Random streams of these examples.
        """
        ...


def projected_ascent(
    images: Images,
    start: Images,
    gradient: Callable[[Images], Images],
    update: Callable[[Images, Images], Images],
    threat: ThreatModel,
    steps: int,
) -> Images:
    """Climb a loss from `start` inside the threat model around `images`.

    Args:
        images: Clean images in [0, 1].
        start: Where the climb begins, inside the threat model.
        gradient: Exact or estimated gradient of the loss at given images.
        update: (current images, gradient) to the next images, before projection.
        threat: The allowed perturbations.
        steps: Updates to make.
    """
    adversarial = start
    for _ in range(steps):
        adversarial = threat.project(update(adversarial, gradient(adversarial)), images)
    return adversarial


def cross_entropy(classifier: Classifier, images: Images, labels: Labels) -> Float[Tensor, " n"]:
    """Return the cross-entropy of each image."""
    return losses.cross_entropy(classifier(images), labels)


def loss_gradient(classifier: Classifier, labels: Labels) -> Callable[[Images], Images]:
    """Return the function from images to the exact gradient of their cross-entropy, 0 where it is NaN."""

    def gradient(images: Images) -> Images:
        images = images.detach().requires_grad_()
        loss = cross_entropy(classifier, images, labels).sum()
        return torch.autograd.grad(loss, images)[0].nan_to_num(nan=0.0)

    return gradient


class Strongest:
    """The strongest image of each example so far: any that fools before all that do not, then the highest.

    Args:
        images: Where to begin; they are not changed.
        logits: The answers to them.
        labels: Their true classes.
        loss: (logits, labels) to the height of each image.
    """

    def __init__(
        self,
        images: Images,
        logits: losses.Logits,
        labels: Labels,
        loss: Callable[[losses.Logits, Labels], Float[Tensor, " n"]],
    ) -> None:
        self.images = images.clone()
        self.is_fooled = losses.is_fooled(logits, labels)
        self._height = loss(logits, labels)
        self._labels = labels
        self._loss = loss

    def offer(self, images: Images, logits: losses.Logits, rows: Int[Tensor, " m"] | None = None) -> None:
        """Take those images that are stronger.

        Args:
            images: One for each example, or for each of `rows`.
            logits: The answers to them.
            rows: Which examples they are of, if not of all.
        """
        rows = torch.arange(len(self.images), device=images.device) if rows is None else rows
        labels = self._labels[rows]
        is_fooled, height = losses.is_fooled(logits, labels), self._loss(logits, labels)
        was_fooled = self.is_fooled[rows]
        is_higher = (is_fooled == was_fooled) & (height > self._height[rows])
        is_stronger = (is_fooled & ~was_fooled) | is_higher
        taken = rows[is_stronger]
        self.images[taken] = images[is_stronger]
        self.is_fooled[taken] = is_fooled[is_stronger]
        self._height[taken] = height[is_stronger]


def one_answer(classifier: Classifier, library: str) -> Classifier:
    """Return the classifier for a library that knows nothing of several answers to an image.

    Raises:
        ValueError: When called, if there are several.
    """

    def answer(images: Images) -> Float[Tensor, "n k"]:
        logits = classifier(images)
        if logits.ndim != 2:
            raise ValueError(f"{library} attacks one answer per image")
        return logits

    return answer


def require_positive(**settings: int | float) -> None:
    """Raise ValueError for the first setting that is not above 0."""
    for name, value in settings.items():
        if not value > 0:
            raise ValueError(f"{name} must be above 0, got {value}")
