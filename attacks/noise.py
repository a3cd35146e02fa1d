"""Random noise: the floor that every attack should exceed."""

from __future__ import annotations

from dataclasses import dataclass

from attacks.ascent import Classifier, Images, Labels
from attacks.draws import Draws
from attacks.threat import ThreatModel


@dataclass(frozen=True)
class Noise:
    """A random perturbation of the largest size allowed: random signs under linf, the sphere under l2.

    Attributes:
        threat: Allowed perturbations.
    """

    threat: ThreatModel

    @property
    def width(self) -> int:
        """One image an example."""
        return 1

    def __call__(self, classifier: Classifier, images: Images, labels: Labels, draws: Draws) -> Images:
        """Perturb; see `attacks.ascent.Attack`."""
        shape = images.shape[1:]
        direction = draws.signs(shape) if self.threat.norm == "linf" else draws.normal(shape)
        step = self.threat.epsilon * self.threat.steepest(direction)
        return self.threat.project(images + step, images)
