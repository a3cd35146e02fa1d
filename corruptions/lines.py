"""The dotted line of MNIST-C, for the restoration figure of the CNN-F paper."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from corruptions.draws import Draws
from corruptions.tables import Table

THICKNESS = 2.3

DOTTED_LINE: Table[None] = {
    "imagenet": (None,) * 5,
    "cifar": (None,) * 5,
    "fashion": (None,) * 5,
}
"""MNIST-C has one dotted line: all severities are the same."""


def dotted_line(levels: Float[Tensor, "n c h w"], setting: None, draws: Draws) -> Float[Tensor, "n c h w"]:
    """Add a white line from a random row on the left to one on the right, 2 columns off, 2 on in turn.

    Mu and Gilmer 2019; their line ends one row and one column short of a 28x28 image, and so does ours at
    any size.
    """
    height, width = levels.shape[-2:]
    ends = draws.integers(height - 1, 2).float()
    rows = torch.arange(height, dtype=torch.float32, device=levels.device)[:, None]
    columns = torch.arange(width, dtype=torch.float32, device=levels.device)
    # GPUs turn the division by a number into a product with its rounded reciprocal.
    slopes = (ends[:, 1] - ends[:, 0]) / torch.full((), width - 1.0, device=levels.device)
    centres = (columns * slopes[:, None, None]).add_(ends[:, 0, None, None])
    distance = (rows - centres).abs_()
    # In float64, because a logarithm's last bit differs between libraries.
    fade = torch.log1p(-distance.double().clamp(max=THICKNESS - 1e-10) / THICKNESS).add_(1).clamp_(0, 1)
    is_on = (columns.int().bitwise_right_shift(1) % 2 == 1) & (columns < width - 1)
    return levels + (fade * is_on).float().mul_(255)[:, None]
