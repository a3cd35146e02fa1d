"""What the iterations of a feedback model show beside their answers."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor

from bench.probes.observation import Images, Observation, Walker


def answers(model: Walker, clean: Images, perturbed: Images, iterations: int) -> Observation:
    """Look at nothing but the logits."""
    return Observation(model.unroll(perturbed, iterations), {})


def restoration(model: Walker, clean: Images, perturbed: Images, iterations: int) -> Observation:
    """Measure how far the image that the feedback makes is from the clean one.

    `distance` is the root mean squared difference over pixels, in [0, 1] pixel units, of the feedback's image
    clipped to [0, 1]; before any feedback, of the perturbed image itself.

    Raises:
        ValueError: If the feedback of the model does not reach the pixels.
    """
    logits: list[Tensor] = []
    distances = []
    for step in model.walk(perturbed, iterations):
        made = step.image if logits else perturbed
        if made is None:
            raise ValueError("it needs feedback that reaches the pixels, and this model's does not")
        logits.append(step.logits)
        distances.append((made.clamp(0, 1) - clean).square().flatten(1).mean(1).sqrt())
    return Observation(torch.stack(logits), {"distance": torch.stack(distances)})


def consistency(model: Walker, clean: Images, perturbed: Images, iterations: int) -> Observation:
    """Measure how far each fed-back feature is from what the feedback made of it (CNN-F's self-consistency).

    `mismatch` at iteration k is ||g_k - h_{k-1}|| / ||h_{k-1}||, NaN at the first pass.

    Raises:
        TypeError: If the model is no CNN-F.
    """
    steps = list(model.walk(perturbed, iterations))
    if not hasattr(steps[0], "reconstruction"):
        raise TypeError("self-consistency is a measure of CNN-F: it needs steps with a `reconstruction`")
    logits = torch.stack([step.logits for step in steps])
    mismatches = [torch.full_like(logits[0, :, 0], torch.nan)]
    for before, step in pairwise(steps):
        mismatches.append(_norm(step.reconstruction - before.feature) / _norm(before.feature))
    return Observation(logits, {"mismatch": torch.stack(mismatches)})


def projection(model: Walker, clean: Images, perturbed: Images, iterations: int) -> Observation:
    """Measure how far each representation is from that of the clean image (Choksi et al. 2021, figure 2).

    `distance_l` for l = 1 upwards is 1 less the correlation between the flattened representation l of the
    perturbed and of the clean image at the same iteration, NaN where one of them is constant.
    """
    logits, distances = [], []
    for step, reference in zip(model.walk(perturbed, iterations), model.walk(clean, iterations), strict=True):
        logits.append(step.logits)
        pairs = zip(step.representations, reference.representations, strict=True)
        distances.append(torch.stack([1 - _correlation(ours, theirs) for ours, theirs in pairs]))
    measures = torch.stack(distances, 1)
    return Observation(torch.stack(logits), {f"distance_{n}": rows for n, rows in enumerate(measures, 1)})


def _norm(values: Tensor) -> Tensor:
    return torch.linalg.vector_norm(values.flatten(1), dim=1)


def _correlation(first: Tensor, second: Tensor) -> Tensor:
    centered = [values.flatten(1) - values.flatten(1).mean(1, keepdim=True) for values in (first, second)]
    return (centered[0] * centered[1]).sum(1) / (_norm(centered[0]) * _norm(centered[1]))
