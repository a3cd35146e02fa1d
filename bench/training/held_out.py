"""Accuracy on the held-out part of the training images."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from bench.devices import exact_float32
from bench.training.images import DeviceImages, to_float
from bench.training.objective import frozen, perturbed
from bench.training.recipe import Recipe, TrainingAttack

if TYPE_CHECKING:
    from zoo.checkpoint import Network

STEPS = 10
"""Of the PGD that measures robust accuracy, each a quarter of epsilon long."""
BATCH = 250


class Accuracies(NamedTuple):
    """Shares of correct answers in [0, 1], one for the last logits and one for the mean over iterations."""

    clean: dict[str, float]
    robust: dict[str, float] | None
    """Under PGD-10 on the first pass; None if no epsilon is known."""


def validation_attack(recipe: Recipe) -> TrainingAttack | None:
    """Return the attack that measures the robust accuracy of a recipe's networks, if it has an epsilon."""
    epsilon = recipe.validation_epsilon or (recipe.attack.epsilon if recipe.attack else None)
    if epsilon is None:
        return None
    return TrainingAttack(epsilon=epsilon, step_size=epsilon / 4, steps=STEPS)


def accuracies(
    model: Network, held_out: DeviceImages, recipe: Recipe, size: int, is_exact: bool
) -> Accuracies:
    """Measure a network; the draws of the attack depend on the recipe's seed alone.

    Args:
        model: In evaluation; its weights are left as they are.
        held_out: Images it was not trained on.
        recipe: Attack, iterations, precision.
        size: Image size in pixels to measure at.
        is_exact: Compute in float32 whatever the recipe's precision.
    """
    attack = validation_attack(recipe)
    device = held_out.images.device
    generator = torch.Generator(device).manual_seed(recipe.seed)
    correct: list[Tensor] = []
    is_bf16 = recipe.amp == "bf16" and not is_exact
    precision = exact_float32() if is_exact else nullcontext()
    with frozen(model), precision, torch.autocast(device.type, torch.bfloat16, enabled=is_bf16):
        for images, labels in zip(held_out.images.split(BATCH), held_out.labels.split(BATCH), strict=True):
            pixels = to_float(images, size, recipe.channels_last)
            kinds = [pixels]
            if attack is not None:
                kinds.append(
                    perturbed(lambda x: model.unroll(x, 0)[0].float(), pixels, labels, attack, generator)
                )
            correct.append(torch.stack([_correct(model, kind, labels, recipe.unrolled) for kind in kinds]))
    shares = torch.stack(correct).sum(0).cpu().double().div(len(held_out.labels)).tolist()
    rows = [dict(zip(("last", "avg"), row, strict=True)) for row in shares]
    return Accuracies(rows[0], rows[1] if attack is not None else None)


def _correct(model: Network, pixels: Tensor, labels: Tensor, iterations: int) -> Tensor:
    with torch.no_grad():
        logits = model.unroll(pixels, iterations).float()
    return torch.stack([(read.argmax(1) == labels).sum() for read in (logits[-1], logits.mean(0))])
