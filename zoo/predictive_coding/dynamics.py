"""The predictive-coding update of Choksi et al., NeurIPS 2021, equations 1 and 2, for one encoder.

    d_n(t) = W^b e_{n+1}(t)                                                  (1)
    e_n(t+1) = beta W^f e_{n-1}(t+1) + lambda d_n(t)
               + (1 - beta - lambda) e_n(t) - alpha grad eps_{n-1}(t)        (2)

e_0 is the image. eps_{n-1} is the mean squared error of the prediction d_{n-1} of e_{n-1}, its gradient is
with respect to e_n.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor


class Scaling(StrEnum):
    """What the error gradient is a gradient of, up to a constant."""

    PLAIN = "plain"
    """The mean squared error over the K values of a prediction (equation 2). With alpha 0.01 it is next to
    nothing: each value moves by 2 alpha / K."""
    SCALED = "scaled"
    """The same times K / sqrt(C), where C is the number of prediction values that one value feeds."""


class ErrorGradient(StrEnum):
    """What an outer gradient, an attacker's say, sees of the error gradient."""

    FULL = "full"
    """All of it: the model is differentiated as it is."""
    CONSTANT = "constant"
    """Nothing: the term counts as a constant, as in the public code. This hides gradient from an attacker."""


class Balance(NamedTuple):
    """The weights of the terms of equation 2. Tensors may stand for numbers where they are to be learnt."""

    beta: float | Tensor
    """Feedforward, in [0, 1]."""
    lambda_: float | Tensor
    """Feedback, in [0, 1 - beta]."""
    alpha: float | Tensor
    """Error correction, at least 0."""


class Recall(NamedTuple):
    """What an encoder knows of time t when it computes its representation at t + 1."""

    representation: Float[Tensor, "n ..."]
    """e_n(t)."""
    prediction: Float[Tensor, "n ..."] | None
    """d_n(t); None for the top encoder, which nothing predicts."""
    error_gradient: Float[Tensor, "n ..."]
    """grad eps_{n-1}(t)."""


def update(drive: Float[Tensor, "n ..."], recall: Recall, balance: Balance) -> Float[Tensor, "n ..."]:
    """Return e_n(t+1) by equation 2.

    Args:
        drive: W^f e_{n-1}(t+1), what the backbone computes from the updated encoder below.
        recall: The encoder's past.
        balance: Its beta, lambda and alpha. Without a prediction lambda counts as 0, so that the weights of
            what remains still sum to 1.
    """
    beta, lambda_, alpha = balance
    feedforward = beta * drive
    correction = alpha * recall.error_gradient
    if recall.prediction is None:
        memory = (1 - beta) * recall.representation
        return feedforward + memory - correction
    feedback = lambda_ * recall.prediction
    memory = (1 - beta - lambda_) * recall.representation
    return feedforward + feedback + memory - correction


def mean_squared_error(
    prediction: Float[Tensor, "n ..."], target: Float[Tensor, "n ..."]
) -> Float[Tensor, " n"]:
    """Return eps of each image: the mean over all values but the batch."""
    return (prediction - target).square().flatten(1).mean(1)


def predict_with_gradient(
    decoder: Callable[[Tensor], Tensor],
    representation: Float[Tensor, "n ..."],
    target: Float[Tensor, "n ..."],
    divisor: float,
) -> tuple[Float[Tensor, "n ..."], Float[Tensor, "n ..."]]:
    """Return d_{n-1} and grad eps_{n-1} with respect to e_n.

    `divisor` is what the sum of squares is divided by: K for the mean squared error of each image.
    """
    if torch.is_inference_mode_enabled():
        # There torch 2.6 returns zeros for the gradient; copies are ordinary tensors.
        with torch.inference_mode(False), torch.no_grad():
            return predict_with_gradient(decoder, representation.clone(), target.clone(), divisor)
    # vjp and not autograd.grad: it works under no_grad, is differentiable by whoever differentiates the
    # model, and makes no second pass through the decoder but the backward one.
    prediction, pull_back = torch.func.vjp(decoder, representation)[:2]
    gradient: Tensor = pull_back(2 * (prediction - target) / divisor)[0]
    return prediction, gradient
