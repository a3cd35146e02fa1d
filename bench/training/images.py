"""Training images on the device: stored once as bytes, cut, mirrored and shrunk there."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from bench.data import LabelledImages


class DeviceImages(NamedTuple):
    """Labelled images as bytes on the training device."""

    images: UInt8[Tensor, "n c h w"]
    labels: Int[Tensor, " n"]

    def take(self, examples: Int[Tensor, " m"]) -> DeviceImages:
        """Return the images of these indices."""
        return DeviceImages(self.images[examples], self.labels[examples])


def split(
    found: LabelledImages, held_out: int, seed: int, device: torch.device
) -> tuple[DeviceImages, DeviceImages]:
    """Return the images to train on and the `held_out` images to watch progress with, drawn by `seed`."""
    images = torch.from_numpy(found.images).permute(0, 3, 1, 2).contiguous().to(device)
    everything = DeviceImages(images, torch.from_numpy(found.labels).to(device))
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(found.labels), generator=generator).to(device)
    return everything.take(order[held_out:]), everything.take(order[:held_out])


def epoch_order(examples: int, seed: int, epoch: int) -> Int[Tensor, " n"]:
    """Return the order of `examples` indices in an epoch, which depends on nothing but the arguments."""
    # Not torch's generator: on the CPU it looks at the low 32 bits of its seed alone.
    return torch.from_numpy(np.random.default_rng((seed, epoch)).permutation(examples))


def augment(
    images: UInt8[Tensor, "n c h w"], crop_padding: int, flip: bool, generator: torch.Generator
) -> UInt8[Tensor, "n c h w"]:
    """Return each image cut at random out of its padded self, and mirrored with probability 1/2.

    Args:
        images: Bytes; the padding is 0.
        crop_padding: Pixels added on every side before cutting, at least 0.
        flip: Whether to mirror.
        generator: Source of the draws, on the device of the images.
    """
    if not crop_padding and not flip:
        return images
    n, _, height, width = images.shape
    device = images.device
    draws = torch.rand((3, n, 1), generator=generator, device=device)
    shifts = (draws[:2] * (2 * crop_padding + 1)).long().clamp_max(2 * crop_padding)
    rows = shifts[0] + torch.arange(height, device=device)
    columns = shifts[1] + torch.arange(width, device=device)
    if flip:
        columns = torch.where(draws[2] < 0.5, columns.flip(1), columns)
    padded = F.pad(images, (crop_padding,) * 4)
    example = torch.arange(n, device=device)[:, None, None]
    # Indices on both sides of a slice come out first: [n, h, w, c], which is channels_last once permuted.
    return padded[example, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def to_float(images: UInt8[Tensor, "n c h w"], size: int, is_channels_last: bool) -> Float[Tensor, "n c s s"]:
    """Return bytes as pixels in [0, 1], averaged over areas if `size` is smaller than they are."""
    pixels = images.float().div_(255)
    if pixels.shape[-1] != size:
        pixels = F.interpolate(pixels, size=(size, size), mode="area")
    return pixels.contiguous(
        memory_format=torch.channels_last if is_channels_last else torch.contiguous_format
    )
