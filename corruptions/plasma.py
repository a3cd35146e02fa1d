"""Clouds: the diamond-square fractal."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from corruptions import compiled, compiled_images
from corruptions.draws import Draws


def plasma(size: int, decay: float, draws: Draws) -> Float[Tensor, "n size size"]:
    """Return one height map per image, from 0 to 1 and without seams, by the diamond-square algorithm.

    Args:
        size: A power of two.
        decay: How much smaller the random part is after every halving; its square counts, as published.
        draws: The random numbers; `size`**2 - 1 per image are used.
    """
    noise = draws.signed(size * size)
    heights = torch.empty(len(noise), size, size, device=noise.device)
    if compiled.is_used(noise.device):
        compiled.run(compiled_images.plasma, len(noise), noise, decay, heights)
    else:
        _grow(noise, decay, heights)
    heights -= heights.amin((1, 2), keepdim=True)
    return heights.div_(heights.amax((1, 2), keepdim=True))


def _grow(noise: Float[Tensor, "n values"], decay: float, heights: Float[Tensor, "n size size"]) -> None:
    size = heights.shape[1]
    heights[:, 0, 0] = 0
    step, used, wobble = size, 0, 100.0
    while step >= 2:
        half, count = step // 2, size // step
        bumps = noise[:, used : used + 3 * count**2].view(-1, 3, count, count) * wobble**2
        corners = heights[:, ::step, ::step]
        pairs = corners + corners.roll(-1, 1)
        heights[:, half::step, half::step] = (pairs + pairs.roll(-1, 2)).div_(4).add_(bumps[:, 0])
        centres = heights[:, half::step, half::step]
        vertical = (centres + centres.roll(1, 1)).add_(corners).add_(corners.roll(-1, 2))
        heights[:, ::step, half::step] = vertical.div_(4).add_(bumps[:, 1])
        horizontal = (centres + centres.roll(1, 2)).add_(corners).add_(corners.roll(-1, 1))
        heights[:, half::step, ::step] = horizontal.div_(4).add_(bumps[:, 2])
        used += 3 * count**2
        step, wobble = half, wobble / decay
