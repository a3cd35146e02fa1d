"""Projected gradient descent (Madry et al., ICLR 2018)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from attacks import losses
from attacks.ascent import (
    Classifier,
    Images,
    Labels,
    Strongest,
    loss_gradient,
    projected_ascent,
    require_positive,
)
from attacks.draws import Draws
from attacks.threat import ThreatModel


@dataclass(frozen=True)
class PGD:
    """Untargeted ascent on the cross-entropy along its exact gradient.

    Attributes:
        threat: Allowed perturbations.
        steps: Gradient steps, at least 1.
        step_size: Length of a step in the norm of the threat model, in [0, 1] pixel units.
        random_start: Begin at a uniform point of the ball rather than at the image.
        restarts: Independent climbs; each example keeps one that ends where it fools, of several, or of none,
            the one that ends at the highest loss.
    """

    threat: ThreatModel
    steps: int
    step_size: float
    random_start: bool = True
    restarts: int = 1

    def __post_init__(self) -> None:
        require_positive(steps=self.steps, step_size=self.step_size, restarts=self.restarts)
        if self.restarts > 1 and not self.random_start:
            raise ValueError("several restarts need random_start: without it they are all the same")

    @property
    def width(self) -> int:
        """One image per example."""
        return 1

    def __call__(self, classifier: Classifier, images: Images, labels: Labels, draws: Draws) -> Images:
        """Attack; see `attacks.ascent.Attack`."""
        first = self._climb(classifier, images, labels, draws)
        if self.restarts == 1:
            return first
        with torch.no_grad():
            best = Strongest(first, classifier(first), labels, losses.cross_entropy)
        for _ in range(self.restarts - 1):
            candidate = self._climb(classifier, images, labels, draws)
            with torch.no_grad():
                best.offer(candidate, classifier(candidate))
        return best.images

    def _climb(self, classifier: Classifier, images: Images, labels: Labels, draws: Draws) -> Images:
        start = self.threat.random_start(images, draws) if self.random_start else images
        return projected_ascent(
            images,
            start,
            loss_gradient(classifier, labels),
            self._update(),
            self.threat,
            self.steps,
        )

    def _update(self) -> Callable[[Images, Images], Images]:
        return lambda current, gradient: current + self.step_size * self.threat.steepest(gradient)


@dataclass(frozen=True)
class MomentumPGD(PGD):
    """MI-FGSM (Dong et al., CVPR 2018, algorithm 1): PGD along an accumulated gradient.

    Attributes:
        decay: Share of the accumulated gradient that is kept at each step, mu in the paper; 0 or more.
    """

    decay: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.decay >= 0:
            raise ValueError(f"decay must be at least 0, got {self.decay}")

    def _update(self) -> Callable[[Images, Images], Images]:
        accumulated = torch.zeros(())

        def update(current: Images, gradient: Images) -> Images:
            nonlocal accumulated
            size = gradient.abs().sum((1, 2, 3), keepdim=True)
            unit = gradient / size.clamp_min(torch.finfo(size.dtype).tiny)
            accumulated = self.decay * accumulated.to(unit) + unit
            return current + self.step_size * self.threat.steepest(accumulated)

        return update
