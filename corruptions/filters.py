"""Blurs, shifts and resampling of batches of planes.

Truncation to 8 bits would show the last bit of a sum, and the order of a sum differs between batch
sizes, devices and libraries. So every sum here is one of three kinds: exact (whole levels times weights
that are multiples of 2**-15, within the 24 bits of a float32), in float64 (where a difference cannot
reach the 8 bits), or an element-wise chain of separate products and additions in a fixed order.
"""

from __future__ import annotations

import functools
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from corruptions import compiled, compiled_images

Border = Literal["nearest", "reflect", "mirror"]
"""aaa|abcd|ddd, cba|abcd|dcb and dcb|abcd|cba: the names of scipy.ndimage."""

EXACT = 2**15


def border_index(positions: Tensor, size: int, border: Border) -> Tensor:
    """Return the index inside 0..size-1 that each position, inside or out, stands for."""
    if border == "nearest":
        return positions.clamp(0, size - 1)
    period = 2 * size if border == "reflect" else 2 * size - 2
    folded = positions.remainder(period)
    return torch.minimum(folded, period - folded - (1 if border == "reflect" else 0))


def pad(
    planes: Float[Tensor, "n c h w"], rows: int, columns: int, border: Border, more: int = 0
) -> Float[Tensor, "n c H W"]:
    """Return the planes with a border of `rows` above and below and `columns` left and right.

    There are `more` rows below.
    """
    height, width = planes.shape[-2:]
    margins = (columns, columns, rows, rows + more)
    if border == "nearest":
        return torch.nn.functional.pad(planes, margins, mode="replicate")
    if border == "mirror" and rows + more < height and columns < width:
        return torch.nn.functional.pad(planes, margins, mode="reflect")
    if border == "reflect" and max(rows + more, columns) <= min(height, width):
        above, below = planes[:, :, :rows].flip(2), planes[:, :, height - rows - more :].flip(2)
        planes = torch.cat([above, planes, below], 2)
        left, right = planes[..., :columns].flip(3), planes[..., width - columns :].flip(3)
        return torch.cat([left, planes, right], 3)
    for axis, reach, after, size in ((2, rows, rows + more, height), (3, columns, columns, width)):
        if after:
            positions = torch.arange(-reach, size + after, device=planes.device)
            planes = planes.index_select(axis, border_index(positions, size, border))
    return planes


class Shifts:
    """Padded planes that can be read shifted by whole pixels.

    What is read keeps the padded width, so that every plane is one run of memory; `crop` drops the
    surplus columns of a sum of such readings.
    """

    def __init__(self, planes: Float[Tensor, "n c h w"], rows: int, columns: int, border: Border) -> None:
        self._shape = planes.shape
        self._rows, self._columns = rows, columns
        # One more row, so that a reading shifted to the right does not run out of memory.
        self._padded = pad(planes, rows, columns, border, more=1).contiguous()

    def read(
        self, down: int, right: int, part: slice = slice(None), surplus: int = 0
    ) -> Float[Tensor, "n c run"]:
        """Return a view of some images, each pixel replaced by the one `down` and `right` of it."""
        some = self._padded[part]
        height, padded_width = self._shape[2], self._padded.shape[3]
        offset = (self._rows + down) * padded_width + self._columns + right
        return some.as_strided(
            (*some.shape[:2], height * padded_width + surplus),
            (*some.stride()[:2], 1),
            some.storage_offset() + offset,
        )

    def crop(self, total: Float[Tensor, "n c run"]) -> Float[Tensor, "n c h w"]:
        """Return a sum of readings without the columns that belong to no pixel."""
        return total.view(*self._shape[:3], -1)[..., : self._shape[3]]

    def add_pairs(
        self, pairs: list[tuple[int, int, int, int]], weights: list[float]
    ) -> Float[Tensor, "n c h w"]:
        """Return the sum of pairs of readings (down, right, down, right), each times its weight."""
        if self._padded.device.type == "cpu":
            # Two pairs are added at a time.
            even = len(pairs) + len(pairs) % 2
            factors = np.zeros(even, np.float32)
            factors[: len(pairs)] = weights
            places = np.array([*pairs, *pairs[:1]])[:even].reshape(-1, 2, 2)
            planes, total = self._padded.flatten(2).flatten(0, 1), self._empty()
            offsets = self._offsets(places[..., 0], places[..., 1])
            compiled.run(
                compiled_images.add_pairs, len(planes), planes, offsets, factors, total.flatten(0, 1)
            )
            return self.crop(total)
        total = torch.zeros_like(self.read(0, 0))
        pair = torch.empty_like(total)
        for (down, right, other_down, other_right), weight in zip(pairs, weights, strict=True):
            torch.add(self.read(down, right), self.read(other_down, other_right), out=pair)
            total.add_(pair.mul_(weight))
        return self.crop(total)

    def add_steps(
        self, down: np.ndarray, right: np.ndarray, weights: np.ndarray
    ) -> Float[Tensor, "n c h w"]:
        """Return the sum of readings times their weights; every image has its own [n, steps]."""
        if self._padded.device.type == "cpu":
            # Two steps are added at a time.
            odd = (0, len(weights) % 2)
            offsets = np.pad(self._offsets(down, right), ((0, 0), odd))
            factors, total = np.pad(weights.astype(np.float32), odd), self._empty()
            images = self._padded.flatten(2)
            compiled.run(compiled_images.add_steps, len(images), images, offsets, factors, total)
            return self.crop(total)
        total = torch.zeros_like(self.read(0, 0))
        for row, column, weight in zip(down.T, right.T, weights.tolist(), strict=True):
            bounds = np.flatnonzero(np.diff(row) | np.diff(column)) + 1
            for start, stop in zip([0, *bounds.tolist()], [*bounds.tolist(), len(row)], strict=True):
                moved = self.read(int(row[start]), int(column[start]), slice(start, stop))
                total[start:stop].add_(moved, alpha=weight)
        return self.crop(total)

    def _empty(self) -> Float[Tensor, "n c run"]:
        return torch.empty(*self._shape[:2], self._shape[2] * self._padded.shape[3])

    def _offsets(self, down: np.ndarray, right: np.ndarray) -> np.ndarray:
        return (self._rows + down) * self._padded.shape[3] + self._columns + right


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
    return symmetric_filter(symmetric_filter(planes, weights, 2, border), weights, 3, border)


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
    steps = np.arange(2 * radius + 1)
    weights = np.exp(-(steps**2) / (2 * sigma**2))
    weights = exact_weights(weights / weights.sum())
    length = int(np.flatnonzero(weights)[-1]) + 1
    turned = np.deg2rad(angles)[:, None]
    down, right = (
        np.ceil(steps[:length] * np.stack([np.sin(turned), np.cos(turned)]) - 0.5).astype(np.int64)
    )
    margins = [int(np.abs(moves).max()) for moves in (down, right)]
    if levels.device.type == "cpu":
        return Shifts(levels, *margins, "nearest").add_steps(down, right, weights[:length])
    # Images of neighbouring angles, whose steps fall on the same pixels, go together.
    order = np.argsort(angles, kind="stable")
    index = torch.from_numpy(order).to(levels.device)
    shifts = Shifts(levels.index_select(0, index), *margins, "nearest")
    return shifts.add_steps(down[order], right[order], weights[:length]).index_select(0, index.argsort())


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


def bilinear_sample(
    planes: Float[Tensor, "n c h w"],
    rows: Float[Tensor, "n h w"],
    columns: Float[Tensor, "n h w"],
    border: Border,
) -> Float[Tensor, "n c h w"]:
    """Read every plane at fractional positions, one grid of them per image."""
    count, channels, height, width = planes.shape
    flat = planes.flatten(2)
    if planes.device.type == "cpu":
        result = torch.empty_like(planes)
        grids = (grid.expand(count, height, width) for grid in (rows, columns))
        is_edge = int(border == "reflect")
        compiled.run(compiled_images.sample, count, flat, *grids, is_edge, result)
        return result
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
