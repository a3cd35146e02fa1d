"""Random noise of the size of an attack: the floor that every attack must beat."""

from __future__ import annotations

from dataclasses import dataclass

from attacks.ascent import Classifier, Images, Labels
from attacks.draws import Draws
from attacks.threat import ThreatModel


@dataclass(frozen=True)
class UniformNoise:
    """One point drawn uniformly from the ball, whatever the classifier says.

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
        return self.threat.random_start(images, draws)
