"""Auto-PGD: PGD with momentum whose step size each example finds by itself.

Croce & Hein, "Reliable evaluation of adversarial robustness with an ensemble of diverse parameter-free
attacks", ICML 2020.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Literal, get_args

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from attacks import losses
from attacks.ascent import Classifier, Images, Labels, Strongest, require_positive
from attacks.draws import Draws
from attacks.threat import ThreatModel

APGDLoss = Literal["ce", "dlr", "dlr_targeted"]
KEPT = 0.75
"""alpha, the weight of the projected step against the last movement."""
RISING = 0.75
"""rho, the share of steps that must raise the loss for the step size to stay."""


@dataclass(frozen=True)
class APGD:
    """Ascent along the exact gradient, with the paper's step sizes.

    Attributes:
        threat: Allowed perturbations.
        loss: "ce" (cross-entropy), "dlr" (difference of logits ratio) or "dlr_targeted", which climbs
            towards one other class after another.
        steps: Gradient steps of a climb, at least 1.
        restarts: Independent climbs, for each target class.
        targets: Other classes aimed at under "dlr_targeted", from the likeliest; 1 for the other losses.
        early_stop: An example rests as soon as it fools the classifier that is attacked. Otherwise it makes
            every climb to its end; each gives the image of highest loss, and of these one that fools counts
            before one that does not, then the one with the highest margin.
    """

    threat: ThreatModel
    loss: APGDLoss = "ce"
    steps: int = 100
    restarts: int = 1
    targets: int = 1
    early_stop: bool = True

    def __post_init__(self) -> None:
        require_positive(steps=self.steps, restarts=self.restarts, targets=self.targets)
        if self.loss not in get_args(APGDLoss):
            raise ValueError(f"loss must be one of {', '.join(get_args(APGDLoss))}, got {self.loss!r}")
        if self.targets > 1 and self.loss != "dlr_targeted":
            raise ValueError(f"targets must be 1 under the loss {self.loss}, got {self.targets}")

    @property
    def width(self) -> int:
        """One image per example."""
        return 1

    def __call__(self, classifier: Classifier, images: Images, labels: Labels, draws: Draws) -> Images:
        """Attack; see `attacks.ascent.Attack`."""
        with torch.no_grad():
            logits = classifier(images)
            best = Strongest(images, logits, labels, losses.margin)
            for target in self._targets(logits, labels):
                for _ in range(self.restarts):
                    is_resting = best.is_fooled & self.early_stop
                    rows = (~is_resting).nonzero()[:, 0]
                    if len(rows) == 0:
                        return best.images
                    found = self._climb(classifier, images[rows], labels[rows], target[rows], draws.of(rows))
                    best.offer(found, classifier(found), rows)
        return best.images

    def _targets(self, logits: losses.Logits, labels: Labels) -> Int[Tensor, "targets n"]:
        """Return the class that each climb aims at; untargeted losses ignore it."""
        if self.loss != "dlr_targeted":
            return labels[None]
        mean = logits.reshape(-1, *logits.shape[-2:]).mean(0)
        if self.targets >= mean.shape[1]:
            raise ValueError(f"targets must be below the {mean.shape[1]} classes, got {self.targets}")
        others = mean.scatter(1, labels[:, None], -float("inf"))
        return others.topk(self.targets, dim=1).indices.T

    def _climb(
        self, classifier: Classifier, images: Images, labels: Labels, targets: Labels, draws: Draws
    ) -> Images:
        """Climb once and return each example's first fooling image, or else the one of highest loss."""
        start = self.threat.random_start(images, draws)
        found = start.clone()
        climb = _Climb.begin(images, labels, targets, start, 2 * self.threat.epsilon)
        checkpoints, last = checkpoints_of(self.steps), 0
        for step in range(self.steps + 1):
            logits = climb.look(classifier, self._value, is_last=step == self.steps)
            if self.early_stop:
                is_fooled = losses.is_fooled(logits, climb.labels)
                found[climb.rows[is_fooled]] = climb.current[is_fooled]
                climb = climb.only(~is_fooled) if is_fooled.any() else climb
            if step == self.steps or len(climb.rows) == 0:
                break
            if step in checkpoints:
                climb.adapt(step - last)
                last = step
            climb.move(self.threat, 1.0 if step == 0 else KEPT)
        found[climb.rows] = climb.best
        return found

    def _value(self, logits: losses.Logits, labels: Labels, targets: Labels) -> Float[Tensor, " n"]:
        if self.loss == "ce":
            return losses.cross_entropy(logits, labels)
        if self.loss == "dlr":
            return losses.dlr(logits, labels)
        return losses.targeted_dlr(logits, labels, targets)


@dataclass
class _Climb:
    """Where each example stands; every field has one row per example."""

    rows: Int[Tensor, " n"]
    """Rows of the examples in the batch that the climb began with."""
    images: Images
    labels: Labels
    targets: Labels
    current: Images
    previous: Images
    gradient: Images
    loss: Float[Tensor, " n"]
    best: Images
    best_gradient: Images
    best_loss: Float[Tensor, " n"]
    step_size: Float[Tensor, "n 1 1 1"]
    rises: Int[Tensor, " n"]
    """Steps since the last checkpoint that raised the loss."""
    was_halved: Bool[Tensor, " n"]
    """Whether the step size was halved at the last checkpoint."""
    checked_loss: Float[Tensor, " n"]
    """The best loss at the last checkpoint."""

    @classmethod
    def begin(cls, images: Images, labels: Labels, targets: Labels, start: Images, size: float) -> _Climb:
        lowest = torch.full_like(images[:, 0, 0, 0], -float("inf"))
        rows = torch.arange(len(images), device=images.device)
        return cls(
            rows=rows,
            images=images,
            labels=labels,
            targets=targets,
            current=start,
            previous=start,
            gradient=torch.zeros_like(start),
            loss=-lowest,
            best=start.clone(),
            best_gradient=torch.zeros_like(start),
            best_loss=lowest.clone(),
            step_size=torch.full_like(images[:, :1, :1, :1], size),
            rises=torch.zeros_like(rows),
            was_halved=torch.ones_like(rows, dtype=torch.bool),
            checked_loss=lowest.clone(),
        )

    def only(self, kept: Bool[Tensor, " n"]) -> _Climb:
        """Return the climb of some examples."""
        return _Climb(**{field.name: getattr(self, field.name)[kept] for field in fields(self)})

    def look(
        self,
        classifier: Classifier,
        value: Callable[[losses.Logits, Labels, Labels], Float[Tensor, " n"]],
        is_last: bool,
    ) -> losses.Logits:
        """Evaluate the loss at the current images and remember the best; return the logits.

        Where the climb goes on the gradient is taken too, as 0 where it is NaN.
        """
        with torch.set_grad_enabled(not is_last):
            leaf = self.current.detach().requires_grad_(not is_last)
            logits = classifier(leaf)
            loss = value(logits, self.labels, self.targets)
            if not is_last:
                self.gradient = torch.autograd.grad(loss.sum(), leaf)[0].nan_to_num(nan=0.0)
        loss = loss.detach()
        self.rises += loss > self.loss
        self.loss = loss
        is_better = loss > self.best_loss
        wide = is_better[:, None, None, None]
        self.best = torch.where(wide, self.current, self.best)
        self.best_gradient = torch.where(wide, self.gradient, self.best_gradient)
        self.best_loss = torch.where(is_better, loss, self.best_loss)
        return logits.detach()

    def adapt(self, steps: int) -> None:
        """Halve the step size and go back to the best image where a checkpoint asks for it (section 3.2).

        Args:
            steps: Steps since the last checkpoint.
        """
        rarely_rose = self.rises < RISING * steps
        is_stuck = ~self.was_halved & (self.best_loss <= self.checked_loss)
        self.was_halved = rarely_rose | is_stuck
        wide = self.was_halved[:, None, None, None]
        self.step_size = torch.where(wide, self.step_size / 2, self.step_size)
        self.current = torch.where(wide, self.best, self.current)
        self.gradient = torch.where(wide, self.best_gradient, self.gradient)
        self.loss = torch.where(self.was_halved, self.best_loss, self.loss)
        self.checked_loss = self.best_loss.clone()
        self.rises = torch.zeros_like(self.rises)

    def move(self, threat: ThreatModel, kept: float) -> None:
        """Make one step with momentum (algorithm 1, lines 7 and 8)."""
        ahead = threat.project(self.current + self.step_size * threat.steepest(self.gradient), self.images)
        inertia = (1 - kept) * (self.current - self.previous)
        ahead = threat.project(self.current + kept * (ahead - self.current) + inertia, self.images)
        self.previous, self.current = self.current, ahead


def checkpoints_of(steps: int) -> list[int]:
    """Return the steps at which the step size may change, ceil(p_j * steps) for the paper's p_j."""
    before, share = 0, 22
    found = []
    while share <= 100:
        found.append(-(-share * steps // 100))
        before, share = share, share + max(share - before - 3, 6)
    return found
