"""Digital damage: contrast, elastic transform, pixelate, JPEG compression and saturate.

The arguments are those described in `corruptions.noise`.
"""

from __future__ import annotations

import functools

import numpy as np
import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor

from corruptions import compiled, compiled_images, compiled_warps, jpeg
from corruptions.draws import Draws
from corruptions.filters import bilinear_sample, gaussian_filter, pack
from corruptions.tables import Table

Levels = Float[Tensor, "n c h w"]

CONTRAST: Table[float] = {
    "imagenet": (0.4, 0.3, 0.2, 0.1, 0.05),
    "cifar": (0.75, 0.5, 0.4, 0.3, 0.15),
    "fashion": (0.4, 0.3, 0.2, 0.1, 0.05),
}
"""What is left of the distance to the mean."""


def contrast(levels: Levels, setting: float, draws: Draws) -> Levels:
    """Draw every level towards the mean of its channel."""
    if compiled.is_used(levels.device):
        flat, result = levels.flatten(0, 1).flatten(1), torch.empty_like(levels)
        arguments = flat, setting, result.flatten(0, 1).flatten(1)
        compiled.run(compiled_images.contrast, len(flat), *arguments)
        return result
    # A float32 holds the sum exactly up to 2**16 pixels.
    exact = torch.float32 if levels[0, 0].numel() <= 2**16 else torch.float64
    mean = levels.sum((2, 3), keepdim=True, dtype=exact).double() / levels[0, 0].numel()
    return (levels * setting).add_((mean * (1 - setting)).float())


ELASTIC_TRANSFORM: Table[tuple[float, float, float]] = {
    # The published script has 244 pixels where its images have 224.
    "imagenet": (
        (2 * 244 / 224, 0.7 * 244 / 224, 0.1 * 244 / 224),
        (2 * 244 / 224, 0.08 * 244 / 224, 0.2 * 244 / 224),
        (0.05 * 244 / 224, 0.01 * 244 / 224, 0.02 * 244 / 224),
        (0.07 * 244 / 224, 0.01 * 244 / 224, 0.02 * 244 / 224),
        (0.12 * 244 / 224, 0.01 * 244 / 224, 0.02 * 244 / 224),
    ),
    "cifar": ((0.0, 0.0, 0.08), (0.05, 0.2, 0.07), (0.08, 0.06, 0.06), (0.1, 0.04, 0.05), (0.1, 0.03, 0.03)),
    "fashion": (
        (0.0, 0.0, 0.08),
        (0.05, 0.2, 0.07),
        (0.08, 0.06, 0.06),
        (0.1, 0.04, 0.05),
        (0.1, 0.03, 0.03),
    ),
}
"""Strength and smoothness of the displacement, farthest move of a corner; in image sides."""


def elastic_transform(levels: Levels, setting: tuple[float, float, float], draws: Draws) -> Levels:
    """Move three corners of a square at random, then displace every pixel by a smooth random field."""
    height, width = levels.shape[-2:]
    strength, smoothness, corner = (value * min(height, width) for value in setting)
    warped = _warp(levels, _affine_matrices(draws.signed(3, 2).mul_(corner), height, width))
    if strength == 0:
        return warped
    field = draws.signed(2, height, width)
    if smoothness:
        field = gaussian_filter(field, smoothness, "reflect", truncate=3.0)
    return _displace(warped, field, strength)


def _affine_matrices(moves: Float[Tensor, "n 3 2"], height: int, width: int) -> Float64[Tensor, "n 3 2"]:
    """Return what maps (column, row, 1) to the place to read when three corners move."""
    centre, reach = np.array([height // 2, width // 2]), min(height, width) // 3
    corners = torch.from_numpy(centre + reach * np.array([[1, 1], [1, -1], [-1, -1]])).double()
    moved = corners + moves.cpu().double()
    homogeneous = torch.cat([moved, torch.ones_like(moved[..., :1])], 2)
    return torch.linalg.solve(homogeneous, corners.expand_as(moved))


def _warp(levels: Levels, matrices: Float64[Tensor, "n 3 2"]) -> Levels:
    """Read where the matrices say, to 1/32 of a pixel as OpenCV does."""
    if compiled.is_used(levels.device):
        pixels, result = pack(levels), torch.empty_like(levels)
        compiled.run(compiled_warps.warp, len(levels), pixels, matrices, result)
        return result
    height, width = levels.shape[-2:]
    matrix = matrices.to(levels.device)[..., None, None]
    x = torch.arange(width, dtype=torch.float64, device=levels.device)
    y = torch.arange(height, dtype=torch.float64, device=levels.device)[:, None]
    columns, rows = (
        (matrix[:, 1, axis] * y + matrix[:, 2, axis] + matrix[:, 0, axis] * x).mul_(32).round_().div_(32)
        for axis in (0, 1)
    )
    return bilinear_sample(levels, rows.float(), columns.float(), "mirror")


def _displace(levels: Levels, field: Float[Tensor, "n 2 h w"], strength: float) -> Levels:
    """Read `strength` times the field to the right and down of each pixel."""
    if compiled.is_used(levels.device):
        result = torch.empty_like(levels)
        compiled.run(compiled_warps.displace, len(levels), levels, field, strength, result)
        return result
    height, width = levels.shape[-2:]
    field = field * strength
    rows = torch.arange(height, device=levels.device)[:, None] + field[:, 1]
    columns = torch.arange(width, device=levels.device) + field[:, 0]
    return bilinear_sample(levels, rows, columns, "reflect")


PIXELATE: Table[float] = {
    "imagenet": (0.6, 0.5, 0.4, 0.3, 0.25),
    "cifar": (0.95, 0.9, 0.85, 0.75, 0.65),
    "fashion": (0.95, 0.9, 0.85, 0.75, 0.65),
}
"""Size of the reduced image, in sizes of the image."""


def pixelate(levels: Levels, setting: float, draws: Draws) -> Levels:
    """Reduce by averaging boxes of pixels, and enlarge by repeating pixels."""
    height, width = levels.shape[-2:]
    rows, columns = int(height * setting), int(width * setting)
    if compiled.is_used(levels.device):
        result = torch.empty_like(levels)
        tables = _pixelate_tables(height, width, rows, columns)
        planes, repeated = levels.flatten(0, 1), result.flatten(0, 1)
        compiled.run(compiled_images.pixelate, len(planes), planes, *tables, repeated)
        return result
    # Rows are cheaper to pick than columns, so columns are made rows and back.
    reduced = _box_rows(_box_rows(levels, rows).mT.contiguous(), columns)
    wide = reduced.index_select(2, _repeats(columns, width, levels.device)).mT.contiguous()
    return wide.index_select(2, _repeats(rows, height, levels.device))


def _repeats(reduced: int, size: int, device: torch.device) -> Int[Tensor, " size"]:
    positions = (np.arange(size) + 0.5) * (reduced / size)
    return torch.from_numpy(positions.astype(np.int64)).to(device)


@functools.cache
def _pixelate_tables(height: int, width: int, rows: int, columns: int) -> tuple[np.ndarray, ...]:
    """Return what `compiled_images.pixelate` calls boxes, places, shares, rows and columns."""
    first, last = _boxes(width, columns)
    members = first + np.arange((last - first).max())[:, None]
    places = np.minimum(members, width - 1).astype(np.uint32)
    shares = (members < last).astype(np.float32)
    cpu = torch.device("cpu")
    shown = _repeats(rows, height, cpu).numpy(), _repeats(columns, width, cpu).numpy().astype(np.uint32)
    return np.stack(_boxes(height, rows), 1), places, shares, *shown


def _box_rows(levels: Levels, size: int) -> Float[Tensor, "n c H w"]:
    """Average the rows whose centres lie in each of `size` boxes, and round, as Pillow does."""
    first, last = _boxes(levels.shape[2], size)
    # A box has as many rows as the smallest box, or one more.
    shortest = int((last - first).min())
    has_more = torch.from_numpy((last - first > shortest).astype(np.float32)).to(levels.device)[:, None]
    spare = np.minimum(first + shortest, levels.shape[2] - 1)
    total = levels.index_select(2, torch.from_numpy(spare).to(levels.device)).mul_(has_more)
    for offset in range(shortest):
        total.add_(levels.index_select(2, torch.from_numpy(first + offset).to(levels.device)))
    return total.div_(has_more + shortest).add_(0.5).floor_()


@functools.cache
def _boxes(size: int, reduced: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the first pixel of every box and the one after its last."""
    scale = size / reduced
    centres = ((np.arange(reduced) + 0.5) * scale)[:, None]
    pixels = np.arange(size)
    # Pillow's two conditions in its order of operations, so that ties fall as they do there.
    distance = (pixels - centres + 0.5) * (1 / scale)
    is_inside = (distance > -0.5) & (distance <= 0.5)
    is_inside &= (pixels >= (centres - scale / 2 + 0.5).astype(int)) & (
        pixels < (centres + scale / 2 + 0.5).astype(int)
    )
    first = is_inside.argmax(1)
    return first, first + is_inside.sum(1)


JPEG_COMPRESSION: Table[int] = {
    "imagenet": (25, 18, 15, 10, 7),
    "cifar": (80, 65, 58, 50, 40),
    "fashion": (25, 18, 15, 10, 7),
}
"""JPEG quality."""


def jpeg_compression(levels: Levels, setting: int, draws: Draws) -> Levels:
    """Lose what JPEG loses at this quality."""
    return jpeg.compress(levels, setting)


SATURATE: Table[tuple[float, float]] = {
    "imagenet": ((0.3, 0.0), (0.1, 0.0), (2.0, 0.0), (5.0, 0.1), (20.0, 0.2)),
    "cifar": ((0.3, 0.0), (0.1, 0.0), (1.5, 0.0), (2.0, 0.1), (2.5, 0.2)),
    "fashion": ((0.3, 0.0), (0.1, 0.0), (1.5, 0.0), (2.0, 0.1), (2.5, 0.2)),
}
"""Factor and summand of the saturation."""


def saturate(levels: Levels, setting: tuple[float, float], draws: Draws) -> Levels:
    """Change the saturation in HSV; a grey image (one channel) has none and stays as it is.

    With value and hue fixed, a channel's distance from the largest one scales as the saturation does. A
    grey pixel of a colour image counts as red, as in the published script.
    """
    if levels.shape[1] == 1:
        return levels
    factor, summand = setting
    value = levels.amax(1, keepdim=True)
    chroma = value - levels.amin(1, keepdim=True)
    is_grey = chroma == 0
    saturation = chroma / value.clamp(min=1)
    wanted = (saturation * factor).add_(summand).clamp_(0, 1).mul_(value)
    scale = (wanted / chroma.masked_fill(is_grey, 1)).masked_fill_(is_grey, 0)
    result = value - (value - levels).mul_(scale)
    if summand:
        result[:, 1:] -= wanted.mul_(is_grey)
    return result
