"""Blurs, shifts and resampling of batches of planes.

Truncation to 8 bits would show the last bit of a sum, and the order of a sum differs between batch
sizes, devices and libraries. So every sum here is one of three kinds: exact (whole levels times weights
that are multiples of 2**-15, within the 24 bits of a float32), in float64 (where a difference cannot
reach the 8 bits), or an element-wise chain of separate products and additions in a fixed order.
"""

from __future__ import annotations

import functools
from typing import get_args

import numpy as np
import torch
from jaxtyping import Float, UInt32
from torch import Tensor

from corruptions import compiled, compiled_filters, compiled_warps
from corruptions.shifts import Border, Shifts, border_index

EXACT = 2**15
BORDERS = get_args(Border)
"""Numbered in this order in `corruptions.compiled_filters`."""


def gaussian_weights(sigma: float, truncate: float) -> np.ndarray:
    """Return the weights of a Gaussian cut at `truncate` standard deviations, as scipy.ndimage does."""
    radius = int(truncate * sigma + 0.5)
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    return np.asarray(weights / weights.sum())


def gaussian_filter(
    planes: Float[Tensor, "n c h w"], sigma: float, border: Border = "nearest", truncate: float = 4.0
) -> Float[Tensor, "n c h w"]:
    """Return the planes blurred by a Gaussian of `sigma` pixels along both axes."""
    radius = int(truncate * sigma + 0.5)
    if radius == 0:
        return planes
    height, width = planes.shape[-2:]
    # A matrix per axis is fastest for wide kernels.
    if radius > 32:
        rows = _gaussian_matrix(height, sigma, border, truncate, planes.device)
        columns = _gaussian_matrix(width, sigma, border, truncate, planes.device)
        return (rows @ (planes.double() @ columns.mT)).float()
    weights = gaussian_weights(sigma, truncate)[radius:].tolist()
    if compiled.is_used(planes.device):
        return _symmetric_filters(planes, weights, border)
    return symmetric_filter(symmetric_filter(planes, weights, 2, border), weights, 3, border)


def _symmetric_filters(
    planes: Float[Tensor, "n c h w"], weights: list[float], border: Border
) -> Float[Tensor, "n c h w"]:
    # Two weights are used at a time, and the centre is its own pair.
    factors = np.zeros(len(weights) + len(weights) % 2, np.float32)
    factors[: len(weights)] = [weights[0] / 2, *weights[1:]]
    flat, result = planes.flatten(0, 1), torch.empty_like(planes)
    arguments = flat, factors, BORDERS.index(border), result.flatten(0, 1)
    compiled.run(compiled_filters.symmetric, len(flat), *arguments)
    return result


@functools.lru_cache(maxsize=64)
def _gaussian_matrix(
    size: int, sigma: float, border: Border, truncate: float, device: torch.device
) -> Float[Tensor, "size size"]:
    weights = torch.from_numpy(gaussian_weights(sigma, truncate))
    radius = len(weights) // 2
    positions = torch.arange(size)[:, None] + torch.arange(-radius, radius + 1)
    matrix = torch.zeros(size, size, dtype=torch.float64)
    matrix.scatter_add_(1, border_index(positions, size, border), weights.expand(size, -1))
    return matrix.to(device)


def symmetric_filter(planes: Tensor, weights: list[float], axis: int, border: Border) -> Tensor:
    """Filter along axis 2 or 3 by weights that are listed from the centre outwards."""
    reach = len(weights) - 1
    shifts = Shifts(planes, reach if axis == 2 else 0, reach if axis == 3 else 0, border)
    steps = range(reach + 1)
    pairs = [(-step, 0, step, 0) if axis == 2 else (0, -step, 0, step) for step in steps]
    return shifts.add_pairs(pairs, [weights[0] / 2, *weights[1:]])


def exact_weights(weights: np.ndarray, copies: np.ndarray | int = 1) -> np.ndarray:
    """Return the weights as multiples of 2**-15 with the same sum.

    Every rounding error is passed on to the weight before, and so to the first at last, which must be used
    once.

    Args:
        weights: What to round, in any shape.
        copies: How often each weight is used.
    """
    result = np.empty_like(weights)
    error = 0.0
    pairs = np.stack(np.broadcast_arrays(weights * EXACT, copies), -1).reshape(-1, 2)
    for place, (weight, times) in reversed(list(enumerate(pairs.tolist()))):
        unit = round(weight + error / times)
        error += (weight - unit) * times
        result.flat[place] = unit / EXACT
    return result


def quadrant_filter(levels: Float[Tensor, "n c h w"], quadrant: np.ndarray) -> Float[Tensor, "n c h w"]:
    """Filter whole levels by a kernel that is symmetric in both axes; the sums are exact.

    Args:
        levels: Whole numbers from 0 to 255.
        quadrant: The kernel's lower right quarter, from its centre: multiples of 2**-15.
    """
    reach = len(quadrant) - 1
    if compiled.is_used(levels.device):
        half = np.concatenate([quadrant[:, :0:-1], quadrant], 1)
        units = (np.pad(half, ((0, 0), (0, -half.shape[1] % 4))) * EXACT).astype(np.int16)
        flat, result = levels.flatten(0, 1), torch.empty_like(levels)
        compiled.run(compiled_filters.quadrant, len(flat), flat, units, result.flatten(0, 1))
        return result
    pairs, weights = [], []
    for (down, right), weight in np.ndenumerate(quadrant):
        if weight:
            mirrored = {(down, right), (down, -right)} if down else {(0, right)}
            pairs += [(-rows, -columns, rows, columns) for rows, columns in mirrored]
            weights += [weight if down or right else weight / 2] * len(mirrored)
    return Shifts(levels, reach, reach, "mirror").add_pairs(pairs, weights)


def motion_filter(
    levels: Float[Tensor, "n c h w"], radius: int, sigma: float, angles: np.ndarray
) -> Float[Tensor, "n c h w"]:
    """Blur whole levels along a line, one angle per image, as ImageMagick's motion blur does.

    The kernel is the falling half of a Gaussian over 2 * radius + 1 steps, each step taken to the nearest
    pixel.

    Args:
        levels: Whole numbers from 0 to 255.
        radius: Half the length of the line, in pixels.
        sigma: Standard deviation of the weights, in pixels.
        angles: In degrees; 0 looks right, 90 down.
    """
    weights = _falling_weights(radius, sigma)
    steps, turned = np.arange(len(weights)), np.deg2rad(angles)[:, None]
    down, right = np.ceil(steps * np.stack([np.sin(turned), np.cos(turned)]) - 0.5).astype(np.int64)
    if compiled.is_used(levels.device):
        result, units = torch.empty_like(levels), (weights * EXACT).astype(np.int16)
        compiled.run(compiled_filters.add_steps, len(levels), levels, down, right, units, result)
        return result
    margins = [int(np.abs(moves).max()) for moves in (down, right)]
    # Images of neighbouring angles, whose steps fall on the same pixels, go together.
    order = np.argsort(angles, kind="stable")
    index = torch.from_numpy(order).to(levels.device)
    shifts = Shifts(levels.index_select(0, index), margins[0], margins[1], "nearest")
    return shifts.add_steps(down[order], right[order], weights).index_select(0, index.argsort())


@functools.cache
def _falling_weights(radius: int, sigma: float) -> np.ndarray:
    """Return the exact weights of half a Gaussian; zeros make their number a multiple of four."""
    weights = np.exp(-(np.arange(2 * radius + 1) ** 2) / (2 * sigma**2))
    weights = exact_weights(weights / weights.sum())
    length = int(np.flatnonzero(weights)[-1]) + 1
    return np.pad(weights[:length], (0, -length % 4))


def interpolate_rows(planes: Float[Tensor, "n c h w"], positions: np.ndarray) -> Float[Tensor, "n c H w"]:
    """Read the planes at fractional rows, linearly."""
    lower = np.clip(np.floor(positions), 0, planes.shape[2] - 2)
    fraction = torch.from_numpy((positions - lower).astype(np.float32)).to(planes.device)[:, None]
    index = torch.from_numpy(lower.astype(np.int64)).to(planes.device)
    below, above = planes.index_select(2, index), planes.index_select(2, index + 1)
    return above.sub_(below).mul_(fraction).add_(below)


def zoom_positions(size: int, factor: float) -> np.ndarray:
    """Return where a zoom into the centre reads along an axis: `clipped_zoom` of the published scripts."""
    crop = int(np.ceil(size / factor))
    zoomed = round(crop * factor)
    first = (size - crop) // 2
    trim = (zoomed - size) // 2
    return np.asarray(first + np.arange(trim, trim + size) * ((crop - 1) / (zoomed - 1)))


def pack(levels: Float[Tensor, "n c h w"], slack: float = 0) -> UInt32[Tensor, "n size"]:
    """Return levels, plus the slack and truncated, with all channels of a pixel in one word; on a CPU."""
    pixels = torch.empty(len(levels), levels[0, 0].numel(), dtype=torch.uint32)
    compiled.run(compiled_warps.pack, len(levels), levels.flatten(2), slack, pixels)
    return pixels


def bilinear_sample(
    planes: Float[Tensor, "n c h w"],
    rows: Float[Tensor, "n h w"],
    columns: Float[Tensor, "n h w"],
    border: Border,
) -> Float[Tensor, "n c h w"]:
    """Read every plane at fractional positions, one grid of them per image."""
    count, channels, height, width = planes.shape
    flat = planes.flatten(2)
    top, left = rows.floor(), columns.floor()
    down, right = (rows - top).flatten(1)[:, None], (columns - left).flatten(1)[:, None]
    lines = [_fold(top + offset, height, border).mul_(width) for offset in (0, 1)]
    places = [_fold(left + offset, width, border) for offset in (0, 1)]

    def across(line: Float[Tensor, "n h w"]) -> Float[Tensor, "n c hw"]:
        near, far = (
            flat.gather(2, (line + place).long().flatten(1)[:, None].expand(-1, channels, -1))
            for place in places
        )
        return far.sub_(near).mul_(right).add_(near)

    upper, lower = across(lines[0]), across(lines[1])
    return lower.sub_(upper).mul_(down).add_(upper).view(count, channels, height, width)


def _fold(positions: Float[Tensor, "n h w"], size: int, border: Border) -> Float[Tensor, "n h w"]:
    """Do as `border_index` for positions less than one size outside; farther ones go to the edge."""
    shift = 0.5 if border == "reflect" else 0.0
    last = size - 1 + shift
    turn = last + shift
    folded = (positions + shift).abs_()
    return folded.sub_(turn).abs_().neg_().add_(turn).sub_(shift).clamp_(0, size - 1)
