"""From a cell to what is done to its images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

import attacks
import corruptions
from bench import compat
from reports.cell import Cell, Perturbation
from zoo.feedback import AttackTarget, FeedbackModel

Images = Float[Tensor, "n c h w"]
Labels = Int[Tensor, " n"]


@dataclass(frozen=True)
class Perturber:
    """What is done to a batch of images.

    Attributes:
        perturb: (images in [0, 1], labels, their indices in the dataset) to perturbed images in [0, 1].
        width: Images evaluated at once for each example.
    """

    perturb: Callable[[Images, Labels, range], Images]
    width: int = 1


def perturber_of(cell: Cell, source: FeedbackModel | None) -> Perturber:
    """Return what a cell does to its images.

    Args:
        cell: The cell.
        source: The model that the attacker uses, for a cell with an attack.

    Raises:
        LookupError: If there is no such attack or corruption.
        ValueError: If a setting is out of its range.
    """
    done = cell.perturbation
    if done is None or done.backend == "official":
        return Perturber(lambda images, labels, examples: images)
    if done.kind == "corruption":
        return _corruption(cell, done)
    if done.kind == "noise":
        return _noise(cell, done)
    if source is None:
        raise ValueError(f"the attack {done.name} needs a source model")
    return _attack(cell, done, source)


def _corruption(cell: Cell, done: Perturbation) -> Perturber:
    settings: dict[str, Any] = dict(done.settings)

    def perturb(images: Images, labels: Labels, examples: range) -> Images:
        damaged = corruptions.apply(images, done.name, seed=cell.seed, indices=examples, **settings)
        return damaged.contiguous(memory_format=torch.channels_last)

    return Perturber(perturb)


def _noise(cell: Cell, done: Perturbation) -> Perturber:
    sigma = float(done.settings["sigma"])

    def perturb(images: Images, labels: Labels, examples: range) -> Images:
        return images + sigma * attacks.Draws(cell.draw_key, examples, images).normal(images.shape[1:])

    return Perturber(perturb)


def _attack(cell: Cell, done: Perturbation, source: FeedbackModel) -> Perturber:
    if done.backend == "advertorch":
        compat.enable_advertorch()
    attack = attacks.build(done.name, done.backend, done.settings)
    classifier = AttackTarget(cell.attack_target or "").classifier(source, cell.attack_iterations)

    def perturb(images: Images, labels: Labels, examples: range) -> Images:
        draws = attacks.Draws(cell.draw_key, examples, images)
        return attack(classifier, images, labels, draws).detach()

    return Perturber(perturb, attack.width)
