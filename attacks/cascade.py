"""Attacks one after another, each only on the examples that still stand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from attacks import losses
from attacks.ascent import Attack, Classifier, Images, Labels, Refiner, Strongest
from attacks.draws import Draws


@dataclass(frozen=True)
class Member:
    """One attack of a cascade.

    Attributes:
        attack: The attack.
        classifier: What it attacks, which may be another function of the model than the one that judges.
        is_refining: Whether it begins at the image with the highest margin before the judge that those before
            it found, instead of at one of its own.

    Raises:
        ValueError: If it shall refine and cannot.
    """

    attack: Attack
    classifier: Classifier
    is_refining: bool = False

    def __post_init__(self) -> None:
        if self.is_refining and not isinstance(self.attack, Refiner):
            raise ValueError(f"{type(self.attack).__name__} cannot start from images that others found")

    def __call__(self, images: Images, strongest: Images, labels: Labels, draws: Draws) -> Images:
        """Return adversarial images; `strongest` are the best so far."""
        if self.is_refining and isinstance(self.attack, Refiner):
            return self.attack.refine(self.classifier, images, strongest, labels, draws).detach()
        return self.attack(self.classifier, images, labels, draws).detach()


@dataclass(frozen=True)
class Cascade:
    """Attacks from cheap to expensive; the first image that fools the judge is kept.

    A cascade costs little more than its first members where they fool most examples. An example's draws do
    not depend on which others still stand.

    Attributes:
        members: The attacks in their order.
        judge: The function from images to logits whose answer is scored.
    """

    members: Sequence[Member]
    judge: Classifier

    @property
    def width(self) -> int:
        """Images evaluated at once for each example."""
        return max((member.attack.width for member in self.members), default=1)

    def __call__(self, images: Images, labels: Labels, draws: Draws) -> tuple[Images, Int[Tensor, " n"]]:
        """Return images and what made them.

        Args:
            images: Clean images in [0, 1].
            labels: Their true classes.
            draws: Random streams of these examples.

        Returns:
            Adversarial images, an image that was never fooled unchanged, and for each the number of the
            member that fooled it, counted from 1; 0 if the clean image does, and one more than there are
            members if nothing does.
        """
        best = Strongest(images, self._judged(images), labels, losses.margin)
        fooled_by = torch.where(best.is_fooled, 0, len(self.members) + 1)
        for number, member in enumerate(self.members, 1):
            rows = (~best.is_fooled).nonzero()[:, 0]
            if len(rows) == 0:
                break
            found = member(images[rows], best.images[rows], labels[rows], draws.of(rows))
            best.offer(found, self._judged(found), rows)
            fooled_by[rows[best.is_fooled[rows]]] = number
        return torch.where(best.is_fooled[:, None, None, None], best.images, images), fooled_by

    def _judged(self, images: Images) -> losses.Logits:
        with torch.no_grad():
            return self.judge(images)
