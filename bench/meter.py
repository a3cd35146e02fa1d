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
    """A model that counts the passes made through it, and is shown images in a layout that it takes."""

    model: FeedbackModel
    work: Work = field(default_factory=Work)
    takes_channels_last: bool = True

    def unroll(self, images: Images, iterations: int) -> Float[Tensor, "t n k"]:
        """Unroll the model and count; a pass whose gradient is wanted will also go backward."""
        if not self.takes_channels_last:
            # Not contiguous(): with one channel both layouts are, and features would follow the strides.
            images = images.clone(memory_format=torch.contiguous_format)
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
            raise TypeError("the model has no feedback to look into")
        for step in self.model.walk(images, iterations):
            self.work.forward += len(images)
            yield step
