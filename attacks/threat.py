"""The set of perturbations an attacker may make."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from attacks.draws import Draws

Norm = Literal["linf", "l2"]


@dataclass(frozen=True)
class ThreatModel:
    """A ball around each image, in [0, 1] pixel units, cut to the pixel range.

    Raises:
        ValueError: If the norm is unknown, or epsilon is negative or not finite.
    """

    norm: Norm
    epsilon: float

    def __post_init__(self) -> None:
        if self.norm not in ("linf", "l2"):
            raise ValueError(f"norm must be 'linf' or 'l2', got {self.norm!r}")
        if not (math.isfinite(self.epsilon) and self.epsilon >= 0):
            raise ValueError(f"epsilon must be finite and at least 0, got {self.epsilon}")

    def project(
        self, images: Float[Tensor, "n c h w"], center: Float[Tensor, "n c h w"]
    ) -> Float[Tensor, "n c h w"]:
        """Return the points of the ball around `center`, and of [0, 1], that `images` are pulled back to.

        For l2 the ball comes first and the pixel range second: cutting pixels only shortens a perturbation
        of an image in [0, 1], so the result is inside both.
        """
        if self.norm == "linf":
            lowest, highest = center - self.epsilon, center + self.epsilon
            return torch.minimum(torch.maximum(images, lowest), highest).clamp(0, 1)
        perturbation = images - center
        length = _lengths(perturbation)
        shrink = (self.epsilon / length.clamp_min(torch.finfo(length.dtype).tiny)).clamp_max(1)
        return (center + perturbation * shrink).clamp(0, 1)

    def random_start(self, images: Float[Tensor, "n c h w"], draws: Draws) -> Float[Tensor, "n c h w"]:
        """Return points drawn uniformly from the balls around `images`, cut to [0, 1]."""
        shape = images.shape[1:]
        if self.norm == "linf":
            perturbation = (2 * draws.uniform(shape) - 1) * self.epsilon
        else:
            direction = draws.normal(shape)
            radius = self.epsilon * draws.uniform((1, 1, 1)) ** (1 / math.prod(shape))
            perturbation = radius * direction / _lengths(direction)
        return (images + perturbation).clamp(0, 1)

    def steepest(self, gradient: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """Return the direction of unit norm along which a linear function grows fastest."""
        if self.norm == "linf":
            return gradient.sign()
        # Slopes of a network that is very sure have squares of 0 in float32; those of their shares are not.
        smallest = torch.finfo(gradient.dtype).tiny
        shares = gradient / gradient.abs().amax((1, 2, 3), keepdim=True).clamp_min(smallest)
        return shares / _lengths(shares).clamp_min(smallest)


def _lengths(images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n 1 1 1"]:
    return torch.linalg.vector_norm(images, dim=(1, 2, 3), keepdim=True)
