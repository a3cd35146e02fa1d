"""From a cell to what is done to its images."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int, Shaped, UInt8
from torch import Tensor

import attacks
import corruptions
from bench import compat
from bench.devices import Machine
from reports.cell import Cell, Perturbation
from zoo.feedback import AttackTarget, FeedbackModel

Images = Float[Tensor, "n c h w"]
Labels = Int[Tensor, " n"]


def to_images(pixels: UInt8[np.ndarray, "n h w c"], machine: Machine) -> Images:
    """Return bytes as numbers in [0, 1], the same on every device, with the channels innermost in memory."""
    images = torch.from_numpy(pixels).to(machine.device).permute(0, 3, 1, 2)
    # GPUs turn the division by a number into a product with its rounded reciprocal.
    highest = torch.full((), 255.0, dtype=machine.dtype, device=machine.device)
    return images.to(machine.dtype, memory_format=torch.channels_last) / highest


class Perturbed(NamedTuple):
    """What became of a batch of images.

    Attributes:
        images: In [0, 1], but for random noise, which is not clipped.
        measures: What is known of each example beside its image, as columns of the outcomes.
    """

    images: Images
    measures: Mapping[str, Shaped[Tensor, " n"]] = MappingProxyType({})


@dataclass(frozen=True)
class Perturber:
    """What is done to a batch of images.

    Attributes:
        perturb: (images in [0, 1], labels, their indices in the dataset) to perturbed images in [0, 1].
        width: Images evaluated at once for each example.
    """

    perturb: Callable[[Images, Labels, range], Perturbed]
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
        return Perturber(lambda images, labels, examples: Perturbed(images))
    if done.kind == "corruption":
        return _corruption(cell, done)
    if done.kind == "noise":
        return _noise(cell, done)
    if source is None:
        raise ValueError(f"the attack {done.name} needs a source model")
    return _cascade(cell, done, source) if done.members else _attack(cell, done, source)


def _corruption(cell: Cell, done: Perturbation) -> Perturber:
    settings: dict[str, Any] = dict(done.settings)

    def perturb(images: Images, labels: Labels, examples: range) -> Perturbed:
        damaged = corruptions.apply(images, done.name, seed=cell.seed, indices=examples, **settings)
        return Perturbed(damaged.contiguous(memory_format=torch.channels_last))

    return Perturber(perturb)


def _noise(cell: Cell, done: Perturbation) -> Perturber:
    sigma = float(done.settings["sigma"])

    def perturb(images: Images, labels: Labels, examples: range) -> Perturbed:
        draws = attacks.Draws(cell.draw_key, examples, images)
        return Perturbed(images + sigma * draws.normal(images.shape[1:]))

    return Perturber(perturb)


def _attack(cell: Cell, done: Perturbation, source: FeedbackModel) -> Perturber:
    attack = _built(done.name, done.backend, done.settings)
    classifier = AttackTarget(cell.attack_target or "").classifier(source, cell.attack_iterations)

    def perturb(images: Images, labels: Labels, examples: range) -> Perturbed:
        draws = attacks.Draws(cell.draw_key, examples, images)
        return Perturbed(attack(classifier, images, labels, draws).detach())

    return Perturber(perturb, attack.width)


def _cascade(cell: Cell, done: Perturbation, source: FeedbackModel) -> Perturber:
    """Return attacks in turn; the cell's own target judges, each member has a target of its own."""
    shared = {name: value for name, value in done.settings.items() if "." not in name}
    members = []
    for settings in done.members:
        own = dict(settings)
        name, target = str(own.pop("attack")), AttackTarget(str(own.pop("target")))
        start = own.pop("start", None)
        if start not in (None, "strongest"):
            raise ValueError(f"a member starts by itself or from the strongest image, not from {start!r}")
        attack = _built(name, done.backend, shared | own)
        classifier = target.classifier(source, cell.attack_iterations)
        members.append(attacks.Member(attack, classifier, is_refining=start is not None))
    judge = AttackTarget(cell.attack_target or "").classifier(source, cell.attack_iterations)
    cascade = attacks.Cascade(members, judge)

    def perturb(images: Images, labels: Labels, examples: range) -> Perturbed:
        draws = attacks.Draws(cell.draw_key, examples, images)
        adversarial, fooled_by = cascade(images, labels, draws)
        return Perturbed(adversarial, {"fooled_by": fooled_by})

    return Perturber(perturb, cascade.width)


def _built(name: str, backend: str, settings: Mapping[str, Any]) -> attacks.Attack:
    if backend == "advertorch":
        compat.enable_advertorch()
    if backend == "pyautoattack":
        compat.require_pyautoattack()
    return attacks.build(name, backend, settings)
