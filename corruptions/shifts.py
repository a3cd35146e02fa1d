"""Planes with a border, read shifted by whole pixels, and sums of such readings."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

Border = Literal["nearest", "reflect", "mirror"]
"""aaa|abcd|ddd, cba|abcd|dcb and dcb|abcd|cba: the names of scipy.ndimage."""


def border_index(positions: Tensor, size: int, border: Border) -> Tensor:
    """Return the index inside 0..size-1 that each position, inside or out, stands for."""
    if border == "nearest":
        return positions.clamp(0, size - 1)
    if border == "reflect":
        return reflect_index(positions, size)
    folded = positions.remainder(2 * size - 2)
    return torch.minimum(folded, 2 * size - 2 - folded)


def reflect_index(positions: Tensor, size: int | Tensor) -> Tensor:
    """Do as `border_index` for `reflect`; the size may be a tensor that broadcasts."""
    folded = positions.remainder(2 * size)
    return torch.minimum(folded, 2 * size - folded - 1)


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
    surplus columns of a sum of such readings. Where loops are compiled, those of
    `corruptions.compiled_filters` take their place.
    """

    def __init__(self, planes: Float[Tensor, "n c h w"], rows: int, columns: int, border: Border) -> None:
        self._shape = planes.shape
        self._rows, self._columns = rows, columns
        # One more row, so that a reading shifted to the right does not run out of memory.
        self._padded = pad(planes, rows, columns, border, more=1).contiguous()

    def read(self, down: int, right: int, part: slice = slice(None)) -> Float[Tensor, "n c run"]:
        """Return a view of some images, each pixel replaced by the one `down` and `right` of it."""
        some = self._padded[part]
        height, padded_width = self._shape[2], self._padded.shape[3]
        offset = (self._rows + down) * padded_width + self._columns + right
        return some.as_strided(
            (*some.shape[:2], height * padded_width),
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
        total = torch.zeros_like(self.read(0, 0))
        pair = torch.empty_like(total)
        for (down, right, other_down, other_right), weight in zip(pairs, weights, strict=True):
            torch.add(self.read(down, right), self.read(other_down, other_right), out=pair)
            total.add_(pair.mul_(weight))
        return self.crop(total)

    def add_steps(self, down: np.ndarray, right: np.ndarray, weights: np.ndarray) -> Float[Tensor, "n c h w"]:
        """Return the sum of readings times their weights; every image has its own [n, steps]."""
        total = torch.zeros_like(self.read(0, 0))
        for row, column, weight in zip(down.T, right.T, weights.tolist(), strict=True):
            bounds = np.flatnonzero(np.diff(row) | np.diff(column)) + 1
            for start, stop in zip([0, *bounds.tolist()], [*bounds.tolist(), len(row)], strict=True):
                moved = self.read(int(row[start]), int(column[start]), slice(start, stop))
                total[start:stop].add_(moved, alpha=weight)
        return self.crop(total)
