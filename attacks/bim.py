"""The basic iterative method (Kurakin et al. 2017), towards a target class."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from attacks.ascent import Classifier, Images, Labels, loss_gradient, projected_ascent, require_positive
from attacks.draws import Draws
from attacks.threat import ThreatModel


@dataclass(frozen=True)
class TargetedBIM:
    """Descent on the cross-entropy of a wrong class, from a random start (Choksi et al. 2021, section 4).

    Attributes:
        threat: Allowed perturbations.
        steps: Gradient steps, at least 1.
        step_size: Length of a step in the norm of the threat model, in [0, 1] pixel units.
        target_shift: The target is the true class plus this, modulo `classes`.
        classes: Number of classes.
    """

    threat: ThreatModel
    steps: int
    step_size: float
    target_shift: int
    classes: int

    def __post_init__(self) -> None:
        require_positive(steps=self.steps, step_size=self.step_size)
        if not 0 < self.target_shift < self.classes:
            raise ValueError(f"target_shift must be from 1 to {self.classes - 1}, got {self.target_shift}")

    @property
    def width(self) -> int:
        """One image per example."""
        return 1

    def __call__(self, classifier: Classifier, images: Images, labels: Labels, draws: Draws) -> Images:
        """Attack; see `attacks.ascent.Attack`."""
        return projected_ascent(
            images,
            self.threat.random_start(images, draws),
            self._gradient(classifier, labels),
            lambda current, gradient: current + self.step_size * self.threat.steepest(gradient),
            self.threat,
            self.steps,
        )

    def _gradient(self, classifier: Classifier, labels: Labels) -> Callable[[Images], Images]:
        """Return the function from images to the gradient of their targets' log-probability."""
        targets = (labels + self.target_shift) % self.classes
        away = loss_gradient(classifier, targets)
        return lambda images: -away(images)
