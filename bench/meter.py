"""A model as the runner holds it: its passes are counted, and it is shown images as it takes them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from zoo.feedback import FeedbackModel, Softenable

Images = Float[Tensor, "n c h w"]


@dataclass
class Work:
    """Passes through a model, in images times passes."""

    forward: int = 0
    backward: int = 0


@dataclass
class Meter:
    """A model that counts the passes made through it, and is shown images as it takes them.

    Attributes:
        model: What is unrolled.
        work: Passes so far.
        takes_channels_last: Whether it may be shown images with the channels innermost.
        limit: Images that it is shown at once where no gradient is wanted, at least 1; by default all.
        is_shown_alone: Whether `unroll` shows it one image at a time, also where a gradient is wanted.
    """

    model: FeedbackModel
    work: Work = field(default_factory=Work)
    takes_channels_last: bool = True
    limit: int | None = None
    is_shown_alone: bool = False

    def unroll(self, images: Images, iterations: int) -> Float[Tensor, "t n k"]:
        """Unroll the model and count; a pass whose gradient is wanted will also go backward."""
        limit = 1 if self.is_shown_alone else None if images.requires_grad else self.limit
        if limit is not None and len(images) > limit:
            parts = [self.unroll(part, iterations) for part in images.split(limit)]
            return torch.cat(parts, dim=1)
        if not self.takes_channels_last:
            images = _channels_outermost(images)
        logits = self.model.unroll(images, iterations)
        passes = logits.shape[0] * logits.shape[1]
        self.work.forward += passes
        if logits.requires_grad:
            self.work.backward += passes
        return logits

    def softened(self) -> FeedbackModel:
        """Return the model with softened gates, if it has any; its passes count here too."""
        return replace(self, model=self.model.softened()) if isinstance(self.model, Softenable) else self

    def walk(self, images: Images, iterations: int) -> Iterator[Any]:
        """Yield the steps of a model that shows them, and count."""
        if not hasattr(self.model, "walk"):
            raise TypeError(
                "the suite looks at the steps of walk(images, iterations), which the model has not"
            )
        if not self.takes_channels_last:
            images = _channels_outermost(images)
        for step in self.model.walk(images, iterations):
            self.work.forward += len(images)
            yield step


def _channels_outermost(images: Images) -> Images:
    # Not contiguous(): with one channel both layouts are, and features would follow the strides.
    return images.clone(memory_format=torch.contiguous_format)
