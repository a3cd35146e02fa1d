"""Simultaneous perturbation stochastic approximation (Spall 1992; Uesato et al., ICML 2018)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from attacks.ascent import Classifier, Images, Labels, cross_entropy, projected_ascent, require_positive
from attacks.draws import Draws
from attacks.threat import Norm, ThreatModel


@dataclass(frozen=True)
class SPSA:
    """Untargeted ascent on the cross-entropy along a gradient estimated from finite differences.

    It needs no gradient of the model, so hard gates and detached graphs do not hide anything from it.
    Adam bounds how far it can go, in the norm of the threat model: `steps` * `learning_rate` should exceed
    epsilon.

    Attributes:
        threat: Allowed perturbations.
        steps: Adam steps, at least 1.
        samples: Random directions a step; each costs two evaluations.
        delta: Half the distance between the two evaluations, in [0, 1] pixel units.
        learning_rate: Adam's, in [0, 1] pixel units a step.
    """

    threat: ThreatModel
    steps: int
    samples: int
    delta: float
    learning_rate: float

    def __post_init__(self) -> None:
        require_positive(
            steps=self.steps, samples=self.samples, delta=self.delta, learning_rate=self.learning_rate
        )

    @property
    def width(self) -> int:
        """All evaluations of a step are made at once."""
        return 2 * self.samples

    def __call__(self, classifier: Classifier, images: Images, labels: Labels, draws: Draws) -> Images:
        """Attack; see `attacks.ascent.Attack`."""
        with torch.no_grad():
            gradient = self.estimated_gradient(classifier, labels, draws)
            return projected_ascent(
                images, images, gradient, _Adam(self.threat.norm, self.learning_rate), self.threat, self.steps
            )

    def estimated_gradient(
        self, classifier: Classifier, labels: Labels, draws: Draws
    ) -> Callable[[Images], Images]:
        """Return the function from images to the sampled gradient of their cross-entropy.

        Along directions v of +-1 the estimate is the mean of (L(x + delta v) - L(x - delta v)) / (2 delta v).
        A direction along which a loss is not finite counts as flat.
        """

        def gradient(images: Images) -> Images:
            direction = draws.signs((self.samples, *images.shape[1:]))
            step = self.delta * direction
            queries = torch.stack([images[:, None] + step, images[:, None] - step]).flatten(0, 2)
            repeated = labels.repeat_interleave(self.samples).repeat(2)
            above, below = cross_entropy(classifier, queries, repeated).unflatten(
                0, (2, *direction.shape[:2])
            )
            slope = (above - below) / (2 * self.delta)
            # One answer that overflows would make Adam's mean, and with it the image, NaN for good.
            slope = slope.nan_to_num(nan=0.0, posinf=0.0, neginf=0.0)
            return (slope[:, :, None, None, None] * direction).mean(1)

        return gradient


class _Adam:
    """Adam's step (Kingma & Ba, ICLR 2015, algorithm 1), uphill, with its usual constants.

    The second moment is that of a pixel under linf and of the whole image under l2, so that a step is about
    `learning_rate` long in the norm of the threat model.
    """

    def __init__(self, norm: Norm, learning_rate: float) -> None:
        self.norm = norm
        self.learning_rate = learning_rate
        self.time = 0
        self.mean = self.square = torch.zeros(())

    def __call__(self, images: Images, gradient: Images) -> Images:
        if self.time == 0:
            self.mean = self.square = torch.zeros_like(gradient)
        self.time += 1
        self.mean = 0.9 * self.mean + 0.1 * gradient
        second = gradient.square()
        if self.norm == "l2":
            second = second.sum((1, 2, 3), keepdim=True)
        self.square = 0.999 * self.square + 0.001 * second
        mean = self.mean / (1 - 0.9**self.time)
        square = self.square / (1 - 0.999**self.time)
        return images + self.learning_rate * mean / (square.sqrt() + 1e-8)
