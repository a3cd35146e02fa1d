"""Weather: snow, frost, fog, brightness and spatter.

The arguments are those described in `corruptions.noise`. The `fashion` tables are those of `cifar`, whose
flakes and drops fit 28 pixels, but for brightness, which is MNIST-C's.
"""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from corruptions import compiled, compiled_weather, textures, water
from corruptions.draws import Draws
from corruptions.filters import gaussian_filter, interpolate_rows, motion_filter, zoom_positions
from corruptions.plasma import plasma
from corruptions.shifts import reflect_index
from corruptions.tables import Table

Levels = Float[Tensor, "n c h w"]

LUMA = (0.299, 0.587, 0.114)


def _luma(levels: Levels) -> Float[Tensor, "n 1 h w"]:
    if levels.shape[1] == 1:
        return levels
    red, green, blue = levels.split(1, 1)
    luma: Tensor = red * LUMA[0] + green * LUMA[1] + blue * LUMA[2]
    return luma


class Snow(NamedTuple):
    """Settings of `snow`, in [0, 1] units and pixels."""

    mean: float
    deviation: float
    zoom: float
    threshold: float
    radius: int
    sigma: float
    kept: float


_SMALL_SNOW = (
    Snow(0.1, 0.2, 1.0, 0.6, 8, 3.0, 0.95),
    Snow(0.1, 0.2, 1.0, 0.5, 10, 4.0, 0.9),
    Snow(0.15, 0.3, 1.75, 0.55, 10, 4.0, 0.9),
    Snow(0.25, 0.3, 2.25, 0.6, 12, 6.0, 0.85),
    Snow(0.3, 0.3, 1.25, 0.65, 14, 12.0, 0.8),
)
SNOW: Table[Snow] = {
    "imagenet": (
        Snow(0.1, 0.3, 3.0, 0.5, 10, 4.0, 0.8),
        Snow(0.2, 0.3, 2.0, 0.5, 12, 4.0, 0.7),
        Snow(0.55, 0.3, 4.0, 0.9, 12, 8.0, 0.7),
        Snow(0.55, 0.3, 4.5, 0.85, 12, 8.0, 0.65),
        Snow(0.55, 0.3, 2.5, 0.85, 12, 12.0, 0.55),
    ),
    "cifar": _SMALL_SNOW,
    "fashion": _SMALL_SNOW,
}


def snow(levels: Levels, setting: Snow, draws: Draws) -> Levels:
    """Whiten the image and add streaks: bright specks of enlarged noise, blurred along a steep line."""
    height, width = levels.shape[-2:]
    rows, columns = (zoom_positions(size, setting.zoom) for size in (height, width))
    # Only the centre of the noise would be enlarged, so only that is drawn.
    top, left = int(rows[0]), int(columns[0])
    specks = draws.normal(1, int(np.ceil(rows[-1])) - top + 1, int(np.ceil(columns[-1])) - left + 1)
    specks.mul_(setting.deviation).add_(setting.mean)
    if setting.zoom > 1:
        specks = interpolate_rows(specks, rows - top).mT.contiguous()
        specks = interpolate_rows(specks, columns - left).mT.contiguous()
    flakes = specks.mul_((specks >= setting.threshold).float()).clamp_(0, 1).mul_(255).floor_()
    angles = draws.angles(-135.0, -45.0)
    flakes = motion_filter(flakes, setting.radius, setting.sigma, angles).round_()
    if compiled.is_used(levels.device):
        result = torch.empty_like(levels)
        compiled.run(compiled_weather.add_snow, len(levels), levels, flakes, setting.kept, result)
        return result
    whitened = torch.maximum(levels, _luma(levels).mul(1.5).add_(127.5)).mul_(1 - setting.kept)
    return (levels * setting.kept).add_(whitened).add_(flakes).add_(flakes.flip(2, 3))


class Frost(NamedTuple):
    """Settings of `frost`: weights of image and texture, and how many texture pixels a pixel spans."""

    image: float
    texture: float
    stride: int


_SMALL_FROST = (
    Frost(1.0, 0.2, 5),
    Frost(1.0, 0.3, 5),
    Frost(0.9, 0.4, 5),
    Frost(0.85, 0.4, 5),
    Frost(0.75, 0.45, 5),
)
FROST: Table[Frost] = {
    "imagenet": (
        Frost(1.0, 0.4, 1),
        Frost(0.8, 0.6, 1),
        Frost(0.7, 0.7, 1),
        Frost(0.65, 0.7, 1),
        Frost(0.6, 0.75, 1),
    ),
    "cifar": _SMALL_FROST,
    "fashion": _SMALL_FROST,
}


def frost(
    levels: Levels, setting: Frost, draws: Draws, frost_dir: str | PathLike[str] | None = None
) -> Levels:
    """Add a random part of a random ice texture.

    The published photographs are not ours to ship. Without `frost_dir`, a folder that holds them, the
    textures are made by `corruptions.textures`; results differ between the two.
    """
    bank = textures.made() if frost_dir is None else textures.read(str(frost_dir))
    choices = draws.integers(len(bank), 1)[:, 0].cpu()
    rows, columns = _ice_places(bank, choices, setting.stride, levels.shape[2:], draws)
    if compiled.is_used(levels.device):
        result, textures_used = torch.empty_like(levels), tuple(texture.numpy() for texture in bank)
        arguments = (choices, textures_used, rows, columns, (setting.image, setting.texture), result)
        compiled.run(compiled_weather.add_ice, len(levels), levels, *arguments)
        return result
    ice = torch.empty_like(levels)
    for image, choice, lines, places in zip(ice, choices.tolist(), rows, columns, strict=True):
        part = bank[choice].index_select(1, lines).index_select(2, places).float()
        image.copy_(part if len(image) == 3 else _luma(part[None])[0])
    return (levels * setting.image).add_(ice.mul_(setting.texture))


def _ice_places(
    bank: tuple[textures.Texture, ...],
    choices: Int[Tensor, " n"],
    stride: int,
    size: Sequence[int],
    draws: Draws,
) -> list[Int[Tensor, "n side"]]:
    """Return the rows and the columns of its texture that each image shows, every `stride`th."""
    starts = draws.uniform(2).cpu().double()
    result = []
    for axis in (0, 1):
        lengths = torch.tensor([-(-(texture.shape[1 + axis] - stride // 2) // stride) for texture in bank])
        length = lengths[choices.long()]
        first = (starts[:, axis] * (length - size[axis]).clamp(min=1)).long()
        # A texture smaller than the image goes on as its own mirror image.
        positions = first[:, None] + torch.arange(size[axis])
        result.append(reflect_index(positions, length[:, None]) * stride + stride // 2)
    return result


FOG: Table[tuple[float, float]] = {
    "imagenet": ((1.5, 2.0), (2.0, 2.0), (2.5, 1.7), (2.5, 1.5), (3.0, 1.4)),
    "cifar": ((0.2, 3.0), (0.5, 3.0), (0.75, 2.5), (1.0, 2.0), (1.5, 1.75)),
    "fashion": ((0.2, 3.0), (0.5, 3.0), (0.75, 2.5), (1.0, 2.0), (1.5, 1.75)),
}
"""Thickness, and how fast the clouds' detail decays."""


def fog(levels: Levels, setting: tuple[float, float], draws: Draws) -> Levels:
    """Add clouds and scale back to the image's largest level."""
    thickness, decay = setting
    height, width = levels.shape[-2:]
    clouds = plasma(2 ** (max(height, width) - 1).bit_length(), decay, draws)[:, None, :height, :width]
    brightest = levels.amax((1, 2, 3), keepdim=True)
    scale = brightest / (brightest + 255 * thickness)
    return (levels + clouds * (255 * thickness)).mul_(scale)


BRIGHTNESS: Table[float] = {
    "imagenet": (0.1, 0.2, 0.3, 0.4, 0.5),
    "cifar": (0.05, 0.1, 0.15, 0.2, 0.3),
    "fashion": (0.1, 0.2, 0.3, 0.4, 0.5),
}
"""Added to the value in HSV."""


def brightness(levels: Levels, setting: float, draws: Draws) -> Levels:
    """Raise the value in HSV: channels keep their ratios, black becomes grey."""
    value = levels.amax(1, keepdim=True)
    raised = (value + 255 * setting).clamp_(max=255)
    is_black = value == 0
    return torch.where(is_black, raised, levels * (raised / value.masked_fill(is_black, 1)))


class Spatter(NamedTuple):
    """Settings of `spatter`, in [0, 1] units and pixels."""

    mean: float
    deviation: float
    sigma: float
    threshold: float
    strength: float
    is_mud: bool


_SMALL_SPATTER = (
    Spatter(0.62, 0.1, 0.7, 0.7, 0.5, False),
    Spatter(0.65, 0.1, 0.8, 0.7, 0.5, False),
    Spatter(0.65, 0.3, 1.0, 0.69, 0.5, False),
    Spatter(0.65, 0.1, 0.7, 0.69, 0.6, True),
    Spatter(0.65, 0.1, 0.5, 0.68, 0.6, True),
)
SPATTER: Table[Spatter] = {
    "imagenet": (
        Spatter(0.65, 0.3, 4.0, 0.69, 0.6, False),
        Spatter(0.65, 0.3, 3.0, 0.68, 0.6, False),
        Spatter(0.65, 0.3, 2.0, 0.68, 0.5, False),
        Spatter(0.65, 0.3, 1.0, 0.65, 1.5, True),
        Spatter(0.67, 0.4, 1.0, 0.65, 1.5, True),
    ),
    "cifar": _SMALL_SPATTER,
    "fashion": _SMALL_SPATTER,
}
"""`strength` is the opacity of water, or the standard deviation of the edge of mud."""

WATER = (175, 238, 238)
MUD = (63, 42, 20)


def spatter(levels: Levels, setting: Spatter, draws: Draws) -> Levels:
    """Splash drops of water (severities 1 to 3) or mud over the image."""
    colour = torch.tensor(MUD if setting.is_mud else WATER, dtype=torch.float32, device=levels.device)
    colour = colour[None, :, None, None]
    if levels.shape[1] == 1:
        colour = _luma(colour)
    liquid = draws.normal(1, *levels.shape[2:]).mul_(setting.deviation).add_(setting.mean)
    liquid = gaussian_filter(liquid, setting.sigma)
    if setting.is_mud:
        cover = gaussian_filter((liquid > setting.threshold).float(), setting.strength)
        cover = cover * (cover >= 0.8).float()
        return (levels * (1 - cover)).add_(colour * cover)
    drops = (liquid >= setting.threshold).float().mul_(liquid).clamp_(0, 1).mul_(255).floor_()
    return levels + colour * water.shading(drops).mul_(setting.strength)
