"""Random noise: the floor that every attack should exceed."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from attacks.ascent import Classifier, Images, Labels, Strongest, require_positive
from attacks.draws import Draws
from attacks.losses import margin
from attacks.threat import ThreatModel


@dataclass(frozen=True)
class Noise:
    """Random perturbations of the largest size allowed: random signs under linf, the sphere under l2.

    Attributes:
        threat: Allowed perturbations.
        samples: Perturbations tried; each example keeps one that fools, of several, or of none, the one
            with the highest margin.
    """

    threat: ThreatModel
    samples: int = 1

    def __post_init__(self) -> None:
        require_positive(samples=self.samples)

    @property
    def width(self) -> int:
        """One image per example."""
        return 1

    def __call__(self, classifier: Classifier, images: Images, labels: Labels, draws: Draws) -> Images:
        """Attack; see `attacks.ascent.Attack`."""
        with torch.no_grad():
            first = self._sample(images, draws)
            if self.samples == 1:
                return first
            best = Strongest(first, classifier(first), labels, margin)
            for _ in range(self.samples - 1):
                candidate = self._sample(images, draws)
                best.offer(candidate, classifier(candidate))
        return best.images

    def _sample(self, images: Images, draws: Draws) -> Images:
        shape = images.shape[1:]
        direction = draws.signs(shape) if self.threat.norm == "linf" else draws.normal(shape)
        step = self.threat.epsilon * self.threat.steepest(direction)
        return self.threat.project(images + step, images)
