"""What every model of the zoo can do, and the two small choices that make the attack matrix.

A model returns the logits of every iteration. What the attacker differentiates (`AttackTarget`) and how the
iterations become one answer (`Readout`) are separate axes over that one tensor.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from jaxtyping import Float

if TYPE_CHECKING:
    from torch import Tensor

    Classifier = Callable[[Float[Tensor, "n c h w"]], Float[Tensor, "*t n k"]]
    """All that an attack may know: images in [0, 1] to logits, of one answer or of several."""


@runtime_checkable
class FeedbackModel(Protocol):
    """A classifier that shows its answer after each feedback iteration."""

    def unroll(self, images: Float[Tensor, "n c h w"], iterations: int) -> Float[Tensor, "t n k"]:
        """Return the logits of the first pass and of each iteration after it, t = iterations + 1.

        A model without feedback returns t = 1 whatever `iterations` is. `images` are in [0, 1]; normalisation
        is inside the model. The result depends on nothing but the arguments.
        """
        ...


@runtime_checkable
class Softenable(Protocol):
    """A model with gates that hide gradients."""

    def softened(self) -> FeedbackModel:
        """Return the same model whose gates let a softened gradient through."""
        ...


class Readout(StrEnum):
    """How the logits of all iterations become one answer."""

    LAST = "last"
    AVG = "avg"

    def of(self, logits: Float[Tensor, "t n k"]) -> Float[Tensor, "n k"]:
        """Return the last logits or the mean over iterations."""
        return logits[-1] if self is Readout.LAST else logits.mean(0)


class AttackTarget(StrEnum):
    """What the attacker differentiates."""

    FIRST = "first"
    """The logits of the first pass; the attacker ignores the feedback."""
    E2E = "e2e"
    """The last logits, through all iterations."""
    E2E_AVG = "e2e_avg"
    """The mean logits, through all iterations."""

    E2E_SUM = "e2e_sum"
    """The logits of every iteration, each an answer of its own: an attack climbs the sum of their losses."""
    E2E_BPDA = "e2e_bpda"
    """As e2e, but hard gates pass a softened gradient; a model without such gates has nothing to soften."""
    E2E_AVG_BPDA = "e2e_avg_bpda"
    """As e2e_avg, with softened gates."""

    @property
    def readout(self) -> Readout | None:
        """How the attacker reads the iterations; None for all of them."""
        if self is AttackTarget.E2E_SUM:
            return None
        return Readout.AVG if self in (AttackTarget.E2E_AVG, AttackTarget.E2E_AVG_BPDA) else Readout.LAST

    def classifier(self, model: FeedbackModel, iterations: int) -> Classifier:
        """Return the function from images to logits that the attacker attacks."""
        unrolled = 0 if self is AttackTarget.FIRST else iterations
        if self in (AttackTarget.E2E_BPDA, AttackTarget.E2E_AVG_BPDA) and isinstance(model, Softenable):
            model = model.softened()
        readout = self.readout
        if readout is None:
            return lambda images: model.unroll(images, unrolled)
        return lambda images: readout.of(model.unroll(images, unrolled))
