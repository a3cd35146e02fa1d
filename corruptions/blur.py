"""Blur: defocus, glass, motion, zoom and Gaussian.

The arguments are those described in `corruptions.noise`. In the `fashion` table lengths are those of
`cifar`: 28 and 32 pixels are close.
"""

from __future__ import annotations

import functools

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from corruptions import compiled, compiled_warps
from corruptions.draws import Draws
from corruptions.filters import (
    exact_weights,
    gaussian_filter,
    interpolate_rows,
    motion_filter,
    pack,
    quadrant_filter,
    symmetric_filter,
    zoom_positions,
)
from corruptions.tables import Table

Levels = Float[Tensor, "n c h w"]

DEFOCUS_BLUR: Table[tuple[float, float]] = {
    "imagenet": ((3.0, 0.1), (4.0, 0.5), (6.0, 0.5), (8.0, 0.5), (10.0, 0.5)),
    "cifar": ((0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1.0, 0.2), (1.5, 0.1)),
    "fashion": ((0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1.0, 0.2), (1.5, 0.1)),
}
"""Radius of the disk and standard deviation of its soft edge, in pixels."""


def defocus_blur(levels: Levels, setting: tuple[float, float], draws: Draws) -> Levels:
    """Average over a disk with a soft edge."""
    return quadrant_filter(levels, _disk(*setting))


@functools.cache
def _disk(radius: float, softness: float) -> np.ndarray:
    """Return the lower right quarter of the published kernel, from its centre."""
    reach = 8 if radius <= 8 else int(radius)
    positions = np.arange(-reach, reach + 1)
    disk = (positions[:, None] ** 2 + positions**2 <= radius**2).astype(np.float64)
    taps = np.arange(-1, 2) if radius <= 8 else np.arange(-2, 3)
    edge = np.exp(-(taps**2) / (2 * softness**2))
    soft = torch.from_numpy(disk / disk.sum())[None, None]
    # The published kernel is mirrored at its own edge, which makes the two largest slightly brighten.
    for axis in (2, 3):
        soft = symmetric_filter(soft, (edge / edge.sum())[len(edge) // 2 :].tolist(), axis, "mirror")
    quadrant = soft[0, 0, reach:, reach:].numpy()
    extent = int(np.flatnonzero(quadrant[0])[-1]) + 1
    sides = np.where(np.arange(extent) > 0, 2, 1)
    return exact_weights(quadrant[:extent, :extent], np.outer(sides, sides))


GLASS_BLUR: Table[tuple[float, int, int]] = {
    "imagenet": ((0.7, 1, 2), (0.9, 2, 1), (1.0, 2, 3), (1.1, 3, 2), (1.5, 4, 2)),
    "cifar": ((0.05, 1, 1), (0.25, 1, 1), (0.4, 1, 1), (0.25, 1, 2), (0.4, 1, 2)),
    "fashion": ((0.05, 1, 1), (0.25, 1, 1), (0.4, 1, 1), (0.25, 1, 2), (0.4, 1, 2)),
}
"""Standard deviation of the blur before and after, farthest move (both in pixels), rounds."""

SLACK = 2**-10
"""Added before levels are truncated, as in `corruptions.batch`."""


def glass_blur(levels: Levels, setting: tuple[float, int, int], draws: Draws, swap: bool = False) -> Levels:
    """Blur, move pixels about within a few pixels, and blur again.

    The published script means to swap pixels but, writing through NumPy views, copies the neighbour and
    leaves it in place. So do we; `swap=True` swaps.
    """
    sigma, reach, rounds = setting
    blurred = gaussian_filter(levels, sigma)
    if compiled.is_used(levels.device) and not swap:
        return gaussian_filter(_copy_neighbours(blurred, reach, rounds, draws), sigma)
    blurred = blurred.add(SLACK).floor_()
    count, channels, height, width = levels.shape
    source = torch.arange(count * height * width, dtype=torch.int32, device=levels.device)
    for _ in range(rounds):
        neighbours = _neighbours(draws, reach, height, width)
        step = _swapped(neighbours, reach) if swap else _copied(neighbours, reach)
        source = source.index_select(0, step)
    source = source.view(count, 1, -1) % (height * width)
    moved = blurred.flatten(2).gather(2, source.long().expand(-1, channels, -1))
    return gaussian_filter(moved.view(levels.shape), sigma)


def _copy_neighbours(levels: Levels, reach: int, rounds: int, draws: Draws) -> Levels:
    """Truncate levels, and copy neighbours."""
    count, _, height, width = levels.shape
    pixels, moved = pack(levels, SLACK), torch.empty_like(levels)
    for _ in range(rounds):
        words = draws.short_words(2, height - 2 * reach, width - 2 * reach)
        grid = pixels.view(count, height, width)
        compiled.run(compiled_warps.copy_neighbours, count, words, reach, grid)
    compiled.run(compiled_warps.unpack, count, pixels, moved.flatten(2))
    return moved


def _neighbours(draws: Draws, reach: int, height: int, width: int) -> Int[Tensor, "n h w"]:
    """Draw the pixel that each pixel meets, counted through the batch; those at the edge meet themselves."""
    offsets = draws.integers(2 * reach, 2, height - 2 * reach, width - 2 * reach).sub_(reach)
    count = len(draws)
    neighbours = torch.arange(count * height * width, dtype=torch.int32, device=offsets.device)
    neighbours = neighbours.view(count, height, width)
    inside = neighbours[:, reach + 1 : height - reach + 1, reach + 1 : width - reach + 1]
    inside.add_(offsets[:, 0].mul(width)).add_(offsets[:, 1])
    return neighbours


def _copied(neighbours: Int[Tensor, "n h w"], reach: int) -> Int[Tensor, " pixels"]:
    """Return where each pixel's value comes from when pixels are overwritten from the last to the first.

    A pixel copies its neighbour: the neighbour's old value if that is overwritten later, else its new
    value, which is a copy in turn. Such chains are followed by doubling: new values are numbered from 0,
    old ones from the number of pixels, and an old value leads to itself.
    """
    height, width = neighbours.shape[1:]
    total = neighbours.numel()
    pixels = torch.arange(total, dtype=torch.int32, device=neighbours.device)
    is_overwritten = torch.zeros_like(neighbours)
    is_overwritten[:, reach + 1 : height - reach + 1, reach + 1 : width - reach + 1] = 1
    flat = neighbours.flatten()
    is_old = 1 - is_overwritten.flatten().index_select(0, flat) * (flat > pixels)
    leads_to = torch.cat([flat + is_old * total, pixels + total])
    new = leads_to[:total]
    while int(new.min()) < total:
        new.copy_(leads_to.index_select(0, new))
    return new - total


def _swapped(neighbours: Int[Tensor, "n h w"], reach: int) -> Int[Tensor, " pixels"]:
    """Return where each pixel's value comes from when pixels are swapped from the last to the first.

    Swaps 2 * reach rows and columns apart cannot meet, so a slanted line of pixels is swapped at once.
    """
    count, height, width = neighbours.shape
    flat = neighbours.flatten()
    source = torch.arange(len(flat), dtype=torch.int32, device=flat.device)
    rows, columns = np.mgrid[height - reach : reach : -1, width - reach : reach : -1].reshape(2, -1)
    wave = (height - reach - rows) * 2 * reach + (width - reach - columns)
    order = np.argsort(wave, kind="stable")
    pixels = torch.from_numpy((rows * width + columns)[order]).to(flat.device)
    firsts = torch.arange(count, device=flat.device)[:, None] * (height * width)
    for part in pixels.split(np.bincount(wave).tolist()):
        here = (part + firsts).flatten()
        there = flat.index_select(0, here).long()
        mine, theirs = source.index_select(0, here), source.index_select(0, there)
        source[here] = theirs
        source[there] = mine
    return source


MOTION_BLUR: Table[tuple[int, float]] = {
    "imagenet": ((10, 3.0), (15, 5.0), (15, 8.0), (15, 12.0), (20, 15.0)),
    "cifar": ((6, 1.0), (6, 1.5), (6, 2.0), (8, 2.0), (9, 2.5)),
    "fashion": ((6, 1.0), (6, 1.5), (6, 2.0), (8, 2.0), (9, 2.5)),
}
"""Half the length of the line and standard deviation along it, in pixels."""


def motion_blur(levels: Levels, setting: tuple[int, float], draws: Draws) -> Levels:
    """Blur along a line up to 45 degrees from the horizontal."""
    return motion_filter(levels, *setting, draws.angles(-45.0, 45.0))


ZOOM_BLUR: Table[tuple[float, float]] = {
    "imagenet": ((1.11, 0.01), (1.16, 0.01), (1.21, 0.02), (1.26, 0.02), (1.31, 0.03)),
    "cifar": ((1.06, 0.01), (1.11, 0.01), (1.16, 0.01), (1.21, 0.01), (1.26, 0.01)),
    "fashion": ((1.06, 0.01), (1.11, 0.01), (1.16, 0.01), (1.21, 0.01), (1.26, 0.01)),
}
"""End and step of the zooms, which start at 1."""


def zoom_blur(levels: Levels, setting: tuple[float, float], draws: Draws) -> Levels:
    """Average the image with itself zoomed in by several factors."""
    end, step = setting
    # numpy.arange decides whether the end belongs, as in the published scripts.
    factors = np.arange(1, end, step).tolist()
    height, width = levels.shape[-2:]
    # The published average counts the image itself once more than its zooms; a zoom by 1 is the image.
    total = levels * 2
    turned = levels.mT.contiguous()
    for factor in factors[1:]:
        # Rows are cheaper to pick than columns, so columns are made rows.
        wide = interpolate_rows(turned, zoom_positions(width, factor)).mT.contiguous()
        total += interpolate_rows(wide, zoom_positions(height, factor))
    # GPUs turn the division by a number into a product with its rounded reciprocal.
    return total.div_(torch.full((), len(factors) + 1.0, device=total.device))


GAUSSIAN_BLUR: Table[float] = {
    "imagenet": (1.0, 2.0, 3.0, 4.0, 6.0),
    "cifar": (0.4, 0.6, 0.7, 0.8, 1.0),
    "fashion": (0.4, 0.6, 0.7, 0.8, 1.0),
}
"""Standard deviation in pixels."""


def gaussian_blur(levels: Levels, setting: float, draws: Draws) -> Levels:
    """Blur by a Gaussian."""
    return gaussian_filter(levels, setting)
