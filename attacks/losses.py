"""What attacks climb: one number per image, made of the logits of one or several answers to it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

Labels = Int[Tensor, " n"]
Logits = Float[Tensor, "*t n k"]
LINEAR_FROM = 40.0
"""Where log(1 + exp(x)) is x: no bit of float64 tells them apart, and exp(x) still fits float32."""
SMALL = 1e-12
"""Keeps ratios of logits finite where all logits are the same."""


def cross_entropy(logits: Logits, labels: Labels) -> Float[Tensor, " n"]:
    """Return the cross-entropy of each image, with a slope however sure the answer is.

    Computed as log(1 + exp(log-sum-exp of the other logits - logit of the label)). The usual way, through the
    logarithm of a probability that float32 rounds to 1, is 0 and flat along the label's logit from a margin
    of 17 on: networks with standard training pass for robust there.
    """
    # Autocast takes the usual cross-entropy in float32, but not the log-sum-exp.
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    true = F.one_hot(labels, logits.shape[-1]).bool()
    others = logits.masked_fill(true, -float("inf")).logsumexp(-1)
    return _total(F.softplus(others - _of_class(logits, labels), threshold=LINEAR_FROM), labels)


def margin(logits: Logits, labels: Labels) -> Float[Tensor, " n"]:
    """Return the highest other logit less that of the label, which is above 0 for a wrong answer."""
    return _total(_highest_other(logits, labels) - _of_class(logits, labels), labels)


def dlr(logits: Logits, labels: Labels) -> Float[Tensor, " n"]:
    """Return the difference of logits ratio (Croce & Hein, ICML 2020, equation 6), which no scale changes.

    Raises:
        ValueError: If there are fewer than 3 classes.
    """
    _require_classes(logits, 3)
    ordered = logits.sort(-1, descending=True).values
    rise = _highest_other(logits, labels) - _of_class(logits, labels)
    return _total(rise / (ordered[..., 0] - ordered[..., 2] + SMALL), labels)


def targeted_dlr(logits: Logits, labels: Labels, targets: Labels) -> Float[Tensor, " n"]:
    """Return the ratio that grows towards one other class (Croce & Hein, ICML 2020, equation 7).

    Raises:
        ValueError: If there are fewer than 4 classes.
    """
    _require_classes(logits, 4)
    ordered = logits.sort(-1, descending=True).values
    scale = ordered[..., 0] - (ordered[..., 2] + ordered[..., 3]) / 2
    return _total((_of_class(logits, targets) - _of_class(logits, labels)) / (scale + SMALL), labels)


def is_fooled(logits: Logits, labels: Labels) -> Bool[Tensor, " n"]:
    """Return whether all answers to each image are wrong; one with a NaN or an infinity is."""
    is_wrong = (logits.argmax(-1) != labels) | ~logits.isfinite().all(-1)
    return is_wrong.reshape(-1, len(labels)).all(0)


def _highest_other(logits: Logits, labels: Labels) -> Float[Tensor, "*t n"]:
    true = F.one_hot(labels, logits.shape[-1]).bool()
    return logits.masked_fill(true, -float("inf")).amax(-1)


def _of_class(logits: Logits, classes: Labels) -> Float[Tensor, "*t n"]:
    index = classes.expand(logits.shape[:-1]).unsqueeze(-1)
    return logits.gather(-1, index).squeeze(-1)


def _total(values: Float[Tensor, "..."], labels: Labels) -> Float[Tensor, " n"]:
    """Return the sum over the answers to each image."""
    return values if values.shape == labels.shape else values.reshape(-1, len(labels)).sum(0)


def _require_classes(logits: Logits, least: int) -> None:
    if logits.shape[-1] < least:
        raise ValueError(f"this difference of logits ratio needs {least} classes, got {logits.shape[-1]}")
