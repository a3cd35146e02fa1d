"""C of the scaled update: how many values of the prediction one value of the representation feeds.

The public package counts the prediction's values that change when the central value is replaced by random
ones. Rectifiers make that depend on the first image that the network happens to see; the geometry does not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

PERTURBATION = 10_000
"""The central value is replaced by integers from minus this up to this."""

_ELEMENTWISE = (
    nn.Identity, nn.Dropout, nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.GELU, nn.SiLU, nn.Softplus,
    nn.Sigmoid, nn.Tanh, nn.Hardtanh, nn.BatchNorm2d,
)  # fmt: skip


def count_cells(decoder: nn.Module, shape: Sequence[int]) -> int:
    """Return C from the decoder's geometry.

    Args:
        decoder: A module of torch.nn, or a Sequential of them, that maps channels to channels.
        shape: Channels, height and width of the representation, without the batch.

    Raises:
        ValueError: If the decoder holds a module whose geometry is not known.
    """
    if len(shape) != 3:
        raise ValueError(
            f"cannot count the prediction cells of a shape {tuple(shape)}: give prediction_cells"
        )
    _, height, width = shape
    reached = torch.zeros(1, 1, height, width)
    reached[..., height // 2, width // 2] = 1
    channels = 1
    for module in _leaves(decoder):
        if isinstance(module, nn.ConvTranspose2d | nn.Conv2d) and module.groups == 1:
            reached, channels = _through_convolution(module, reached), module.out_channels
        elif isinstance(module, nn.Upsample):
            reached = module(reached)
        elif not isinstance(module, _ELEMENTWISE):
            raise ValueError(f"cannot count the prediction cells of {module}: give prediction_cells")
        reached = (reached != 0).to(reached)
    return channels * int(reached.count_nonzero())


def count_cells_by_perturbation(
    decoder: Callable[[Tensor], Tensor],
    representation: Float[Tensor, "n c h w"],
    generator: torch.Generator,
    trials: int = 10,
) -> float:
    """Return C as the public package measures it: the mean number of values of an image that change.

    Each trial replaces the central value [c // 2, h // 2, w // 2] of every image by an integer from -10,000
    up to 10,000, drawn from `generator` (on the CPU). Values that a rectifier holds at 0 do not count.
    """
    with torch.no_grad():
        before = decoder(representation)
        changed = 0
        for _ in range(trials):
            perturbed = representation.clone()
            drawn = torch.randint(-PERTURBATION, PERTURBATION, (len(perturbed),), generator=generator)
            c, h, w = (size // 2 for size in perturbed.shape[1:])
            perturbed[:, c, h, w] = drawn.to(perturbed)
            changed += int((decoder(perturbed) != before).count_nonzero())
    return changed / (trials * len(representation))


def _leaves(decoder: nn.Module) -> list[nn.Module]:
    if isinstance(decoder, nn.Sequential):
        return [leaf for module in decoder for leaf in _leaves(module)]
    return [decoder]


def _through_convolution(module: nn.ConvTranspose2d | nn.Conv2d, reached: Tensor) -> Tensor:
    kernel = torch.ones(1, 1, *module.kernel_size)
    if isinstance(module, nn.ConvTranspose2d):
        return F.conv_transpose2d(
            reached,
            kernel,
            stride=module.stride,
            padding=cast("tuple[int, ...]", module.padding),
            output_padding=module.output_padding,
            dilation=module.dilation,
        )
    return F.conv2d(reached, kernel, stride=module.stride, padding=module.padding, dilation=module.dilation)
