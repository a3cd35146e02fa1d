"""When what happens: learning rate and image size as functions of the step."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import accumulate

from bench.training.recipe import Recipe


@dataclass(frozen=True)
class Plan:
    """A recipe laid out in steps."""

    recipe: Recipe
    steps_per_epoch: int
    native_size: int
    """Image size of the dataset in pixels."""

    @property
    def steps(self) -> int:
        """Steps in all, at least 1; the last epoch may be a part of one."""
        return max(1, round(self.recipe.epochs * self.steps_per_epoch))

    @property
    def epochs(self) -> int:
        """Epochs in all, a last part counted as one."""
        return math.ceil(self.steps / self.steps_per_epoch)

    def epoch_end(self, epoch: int) -> int:
        """Return the step after the last one of `epoch`, counted from 0."""
        return min(self.steps, (epoch + 1) * self.steps_per_epoch)

    def learning_rate(self, step: int) -> float:
        """Return the rate of `step`, counted from 0: linear warm-up, then the recipe's decay to 0."""
        warmup = self.recipe.warmup_epochs * self.steps_per_epoch
        if step < warmup:
            return self.recipe.learning_rate * min(1.0, (step + 1) / warmup)
        progress = (step - warmup) / max(1.0, self.steps - warmup)
        if self.recipe.schedule == "polynomial":
            return self.recipe.learning_rate * math.pow(1 - progress, 0.9)
        return self.recipe.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))

    def image_size(self, step: int) -> int:
        """Return height and width in pixels at `step`."""
        ends = accumulate(stage.epochs * self.steps_per_epoch for stage in self.recipe.image_sizes)
        for stage, end in zip(self.recipe.image_sizes, ends, strict=True):
            if step < round(end):
                return stage.size
        return self.recipe.image_sizes[-1].size if self.recipe.image_sizes else self.native_size

    def work(self, first: int, end: int) -> float:
        """Return the work of steps `first` to `end` - 1 in steps at the native size: it goes by the area."""
        return math.fsum((self.image_size(step) / self.native_size) ** 2 for step in range(first, end))
