"""Feedforward networks under the protocol of the zoo."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn


class Plain(nn.Module):
    """Any module from images in [0, 1] to logits, seen as a feedback model of a single pass."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def unroll(self, images: Float[Tensor, "n c h w"], iterations: int) -> Float[Tensor, "1 n k"]:
        """Return the logits of the only pass, whatever `iterations` is.

        Raises:
            TypeError: If the network returns something else than a tensor.
        """
        logits = self.network(images)
        if not isinstance(logits, Tensor):
            raise TypeError(f"expected a tensor of logits, got {type(logits).__name__}")
        return logits[None]
