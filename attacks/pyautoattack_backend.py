"""The parts of AutoAttack carried out by its authors' code (pyautoattack 0.2.0).

The package draws from torch's global generator in the order of a batch, so what an example meets depends on
its batch mates; its own loop over attacks cannot be resumed. Here its climbs begin where our draws say,
Square's random numbers are the same for all examples of a cell, and FAB's targeted form draws nothing. The
loop over the parts is `attacks.cascade`. Settings not named are the standard version's.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from attacks import losses
from attacks.apgd import APGD
from attacks.ascent import Classifier, Images, Labels, one_answer, require_positive
from attacks.draws import Draws
from attacks.square import SquareSettings
from attacks.threat import ThreatModel

NORMS = {"linf": "Linf", "l2": "L2"}
LOSSES = {"ce": "ce", "dlr": "dlr", "dlr_targeted": "dlr-targeted"}


@dataclass(frozen=True)
class LibraryAPGD(APGD):
    """`pyautoattack.autopgd_base.APGDAttack` and its targeted form, from our random starts."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.early_stop:
            raise ValueError("pyautoattack keeps the last fooling image of a climb; early_stop must be true")

    def _climb(
        self, classifier: Classifier, images: Images, labels: Labels, targets: Labels, draws: Draws
    ) -> Images:
        from pyautoattack.autopgd_base import APGDAttack_targeted

        attack = APGDAttack_targeted(
            _Adapted(classifier, images),
            n_iter=self.steps,
            norm=NORMS[self.threat.norm],
            eps=self.threat.epsilon,
            device=images.device,
            logger=logging.getLogger("auto-attack"),
        )
        attack.loss = LOSSES[self.loss]
        attack.y_target = targets
        plain = _plain(images)
        attack.init_hyperparam(plain)
        start = _plain(self._sphere(images, draws))
        best, is_standing, _, fooling = attack.attack_single_run(plain, labels, x_init=start)
        return _like(torch.where(is_standing.bool()[:, None, None, None], best, fooling), images)

    def _sphere(self, images: Images, draws: Draws) -> Images:
        """Return the package's start: uniform or normal noise stretched to the surface of the ball."""
        shape = images.shape[1:]
        if self.threat.norm == "linf":
            noise = 2 * draws.uniform(shape) - 1
            noise = noise / noise.abs().amax((1, 2, 3), keepdim=True)
        else:
            noise = self.threat.steepest(draws.normal(shape))
        return (images + self.threat.epsilon * noise).clamp(0, 1)


@dataclass(frozen=True)
class LibraryFAB:
    """`pyautoattack.fab_pt.FABAttack_PT` (Croce & Hein, ICML 2020), targeted, once for each target.

    It looks for the nearest image on the other side of a decision boundary, and its result counts if that
    lies inside the ball; otherwise the image stays as it was. One climb a target needs no random start.

    Attributes:
        threat: Allowed perturbations.
        steps: Steps of a climb.
        targets: Other classes aimed at, from the likeliest.
    """

    threat: ThreatModel
    steps: int = 100
    targets: int = 9

    def __post_init__(self) -> None:
        require_positive(steps=self.steps, targets=self.targets)

    @property
    def width(self) -> int:
        """One image per example."""
        return 1

    def __call__(self, classifier: Classifier, images: Images, labels: Labels, draws: Draws) -> Images:
        """Attack; see `attacks.ascent.Attack`."""
        from pyautoattack.fab_pt import FABAttack_PT

        attack = FABAttack_PT(
            _Adapted(classifier, images),
            norm=NORMS[self.threat.norm],
            n_restarts=1,
            n_iter=self.steps,
            eps=self.threat.epsilon,
            targeted=True,
            n_target_classes=self.targets,
            device=images.device,
        )
        with _seeded(images, 0):
            found = attack.perturb(_plain(images), labels)
        return self.threat.project(_like(found, images), images)


@dataclass(frozen=True)
class LibrarySquare(SquareSettings):
    """`pyautoattack.square.SquareAttack` with the schedule of AutoAttack, not rescaled to `queries`."""

    def __call__(self, classifier: Classifier, images: Images, labels: Labels, draws: Draws) -> Images:
        """Attack; see `attacks.ascent.Attack`."""
        with torch.no_grad():
            rows = (~losses.is_fooled(classifier(images), labels)).nonzero()[:, 0]
        found = images.clone()
        if len(rows):
            found[rows] = self._search(classifier, images[rows], labels[rows], draws.shared_seed())
        return found

    def _search(self, classifier: Classifier, images: Images, labels: Labels, seed: int) -> Images:
        from pyautoattack.square import SquareAttack

        attack = SquareAttack(
            _Adapted(classifier, images),
            p_init=self.initial_share,
            n_queries=self.queries,
            eps=self.threat.epsilon,
            norm=NORMS[self.threat.norm],
            resc_schedule=False,
            device=images.device,
        )
        plain = _plain(images)
        attack.init_hyperparam(plain)
        draw = attack.random_choice
        # Shapes of four dimensions have one row per example; one row for all broadcasts.
        attack.random_choice = lambda shape: draw([1, *shape[1:]] if len(shape) == 4 else shape)
        with _seeded(images, seed):
            _, found = attack.attack_single_run(plain, labels)
        return self.threat.project(_like(found, images), images)


class _Adapted:
    """A classifier as the package wants it: float32 in and out, gradients in the usual memory layout.

    Raises:
        ValueError: When called, if the classifier gives several answers to an image.
    """

    def __init__(self, classifier: Classifier, like: Images) -> None:
        self.classifier = one_answer(classifier, "pyautoattack")
        self.like = like

    def __call__(self, images: Tensor) -> Tensor:
        if images.requires_grad:
            images.register_hook(lambda gradient: gradient.contiguous())
        return self.classifier(_like(images, self.like)).float()


def _plain(images: Images) -> Tensor:
    return images.float().contiguous()


def _like(images: Tensor, like: Tensor) -> Tensor:
    return images.to(like)


@contextmanager
def _seeded(images: Images, seed: int) -> Iterator[None]:
    """Let torch draw from a seed and leave its global generators as they were."""
    with torch.random.fork_rng([images.device] if images.is_cuda else []):
        torch.manual_seed(seed)
        yield
