"""What a probe gets and what it returns."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Protocol

from jaxtyping import Float
from torch import Tensor

Images = Float[Tensor, "n c h w"]
Measures = dict[str, Float[Tensor, "t n"]]


class Observation(NamedTuple):
    """What was seen of a batch, after the first pass and after each iteration; t = iterations + 1."""

    logits: Float[Tensor, "t n k"]
    measures: Measures


class Walker(Protocol):
    """A model that shows what it holds at each iteration: CNN-F and predictive coding do."""

    def unroll(self, images: Images, iterations: int) -> Float[Tensor, "t n k"]:
        """Return the logits of all iterations."""
        ...

    def walk(self, images: Images, iterations: int) -> Iterator[Any]:
        """Yield one step per iteration, with `logits` and what else the family of models holds.

        Raises:
            TypeError: If the model has no feedback.
        """
        ...


Probe = Callable[[Walker, Images, Images, int], Observation]
"""(model, clean images, perturbed images, iterations) to what was seen of the perturbed ones."""
