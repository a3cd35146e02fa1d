"""Random noise: the floor that every attack should exceed."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from attacks.ascent import Classifier, Images, Labels, require_positive
from attacks.draws import Draws
from attacks.losses import margin
from attacks.threat import ThreatModel


@dataclass(frozen=True)
class Noise:
    """Random perturbations of the largest size allowed: random signs under linf, the sphere under l2.

    Attributes:
        threat: Allowed perturbations.
        samples: Perturbations tried; each example keeps the one with the highest margin.
    """

    threat: ThreatModel
    samples: int = 1

    def __post_init__(self) -> None:
        require_positive(samples=self.samples)

    @property
    def width(self) -> int:
        """One image an example."""
        return 1

    def __call__(self, classifier: Classifier, images: Images, labels: Labels, draws: Draws) -> Images:
        """Attack; see `attacks.ascent.Attack`."""
        with torch.no_grad():
            best = self._sample(images, draws)
            if self.samples == 1:
                return best
            highest = margin(classifier(best), labels)
            for _ in range(self.samples - 1):
                candidate = self._sample(images, draws)
                found = margin(classifier(candidate), labels)
                is_better = found > highest
                best = torch.where(is_better[:, None, None, None], candidate, best)
                highest = torch.where(is_better, found, highest)
        return best

    def _sample(self, images: Images, draws: Draws) -> Images:
        shape = images.shape[1:]
        direction = draws.signs(shape) if self.threat.norm == "linf" else draws.normal(shape)
        step = self.threat.epsilon * self.threat.steepest(direction)
        return self.threat.project(images + step, images)
