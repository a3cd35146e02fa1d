"""Attacks one after another, each only on the examples that still stand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from attacks.ascent import Attack, Classifier, Images, Labels
from attacks.draws import Draws
from attacks.losses import is_fooled


@dataclass(frozen=True)
class Member:
    """One attack of a cascade.

    Attributes:
        attack: The attack.
        classifier: What it attacks, which may be another function of the model than the one that judges.
    """

    attack: Attack
    classifier: Classifier


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
        adversarial = images.clone()
        fooled_by = torch.full_like(labels, len(self.members) + 1)
        fooled_by[self._fools(images, labels)] = 0
        for number, member in enumerate(self.members, 1):
            rows = (fooled_by > number).nonzero()[:, 0]
            if len(rows) == 0:
                break
            found = member.attack(member.classifier, images[rows], labels[rows], draws.of(rows)).detach()
            succeeded = self._fools(found, labels[rows])
            adversarial[rows[succeeded]] = found[succeeded]
            fooled_by[rows[succeeded]] = number
        return adversarial, fooled_by

    def _fools(self, images: Images, labels: Labels) -> Tensor:
        with torch.no_grad():
            return is_fooled(self.judge(images), labels)
