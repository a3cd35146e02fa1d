"""What baseline JPEG does to pixels, without the entropy coding that does nothing to them.

The arithmetic follows the standard (ITU-T T.81, JFIF) as libjpeg does it by default: 4:2:0 chroma for
colour images, rounding at the same places, the triangle filter for the chroma's return. All sums are
exact (see `corruptions.filters`), so that the result does not depend on codec, device or batch.
"""

from __future__ import annotations

import functools
import math

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad

LUMINANCE = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
"""Quantisation steps at quality 50 (T.81, table K.1)."""

CHROMINANCE = (
    (17, 18, 24, 47, 99, 99, 99, 99),
    (18, 21, 26, 66, 99, 99, 99, 99),
    (24, 26, 56, 99, 99, 99, 99, 99),
    (47, 66, 99, 99, 99, 99, 99, 99),
    *((99,) * 8,) * 4,
)
"""The same for colour differences (T.81, table K.2)."""

FIXED = 2**16


def compress(levels: Float[Tensor, "n c h w"], quality: int) -> Float[Tensor, "n c h w"]:
    """Return whole levels as they are after a JPEG file of the given quality, 1 to 100.

    The result is still to be clipped and truncated.
    """
    luminance = _steps(LUMINANCE, quality, levels.device)
    if levels.shape[1] == 1:
        return _quantise(levels - 128, luminance).add_(128)
    chrominance = _steps(CHROMINANCE, quality, levels.device)
    red, green, blue = (plane.contiguous() for plane in levels.split(1, 1))
    luma = _combine(FIXED // 2 - 128 * FIXED, (19595, red), (38470, green), (7471, blue))
    blueness = _halve(_combine(FIXED // 2 - 1, (-11059, red), (-21709, green), (32768, blue)))
    redness = _halve(_combine(FIXED // 2 - 1, (32768, red), (-27439, green), (-5329, blue)))
    luma = _quantise(luma, luminance).add_(128.5)
    chroma = _quantise(torch.cat([blueness, redness], 1), chrominance)
    blueness, redness = _double(chroma)[..., : levels.shape[2], : levels.shape[3]].split(1, 1)
    result = torch.empty_like(levels)
    torch.add(luma, redness, alpha=22970 / 2**14, out=result[:, :1])
    torch.add(luma, blueness, alpha=-5638 / 2**14, out=result[:, 1:2])
    result[:, 1:2].add_(redness, alpha=-11700 / 2**14)
    torch.add(luma, blueness, alpha=29032 / 2**14, out=result[:, 2:])
    return result


def _combine(start: int, *terms: tuple[int, Tensor]) -> Tensor:
    """Return the sum of the start and the terms in units of 2**-16, truncated."""
    total = torch.full_like(terms[0][1], start)
    for factor, plane in terms:
        total.add_(plane, alpha=factor)
    return total.mul_(1 / FIXED).floor_()


def _halve(planes: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c H W"]:
    """Average 2x2 pixels; halves are rounded down and up in turn along a row."""
    height, width = planes.shape[-2:]
    if width % 2 or height % 2:
        planes = pad(planes, (0, width % 2, 0, height % 2), mode="replicate")
    rows = planes[:, :, ::2] + planes[:, :, 1::2]
    total = rows[..., ::2] + rows[..., 1::2]
    bias = torch.arange(total.shape[-1], device=planes.device).remainder(2).add(1.0)
    return total.add_(bias).mul_(0.25).floor_()


def _double(planes: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c H W"]:
    """Enlarge to twice the size by the triangle filter: 3/4 of the near and 1/4 of the far pixel."""
    count, channels, height, width = planes.shape
    padded = pad(planes, (1, 1, 1, 1), mode="replicate")
    near = padded[:, :, 1:-1] * 3
    rows = torch.empty(count, channels, height, 2, width + 2, device=planes.device)
    torch.add(near, padded[:, :, :-2], out=rows[:, :, :, 0])
    torch.add(near, padded[:, :, 2:], out=rows[:, :, :, 1])
    rows = rows.view(count, channels, 2 * height, width + 2).mul_(1 / 16)
    near = (rows[..., 1:-1] * 3).add_(7 / 16)
    columns = torch.empty(count, channels, 2 * height, width, 2, device=planes.device)
    torch.add(near, rows[..., 2:], out=columns[..., 1])
    torch.add(near.add_(1 / 16), rows[..., :-2], out=columns[..., 0])
    return columns.floor_().view(count, channels, 2 * height, 2 * width)


def _quantise(planes: Float[Tensor, "n c h w"], steps: Float[Tensor, " 64"]) -> Float[Tensor, "n c h w"]:
    """Round the cosine transform of every 8x8 block, of levels around 0, to multiples of the steps."""
    count, channels, height, width = planes.shape
    down, right = -height % 8, -width % 8
    if down or right:
        planes = pad(planes, (0, right, 0, down), mode="replicate")
    tiles = planes.view(count, channels, (height + down) // 8, 8, (width + right) // 8, 8)
    blocks = tiles.transpose(3, 4).reshape(-1, 64)
    transform = _transform(planes.device)
    # Steps a millionth smaller make halves round away from 0, as libjpeg's do.
    coefficients = _exact_product(blocks, transform.T).div_(steps * (1 - 2**-20)).round_().mul_(steps)
    blocks = _exact_product(coefficients, transform).round_().clamp_(-128, 127)
    tiles = blocks.view(count, channels, (height + down) // 8, (width + right) // 8, 8, 8)
    return tiles.transpose(3, 4).reshape(count, channels, height + down, width + right)[..., :height, :width]


def _exact_product(left: Tensor, right: Tensor) -> Tensor:
    # A GPU may multiply float32 matrices with fewer bits (TF32); float64 it may not.
    return left @ right if left.device.type == "cpu" else (left.double() @ right.double()).float()


@functools.cache
def _transform(device: torch.device) -> Float[Tensor, "64 64"]:
    """Return the cosine transform of 8x8 blocks as a matrix of multiples of 2**-13."""
    frequency, position = np.mgrid[:8, :8]
    cosines = np.cos((2 * position + 1) * frequency * math.pi / 16) / 2
    cosines[0] /= math.sqrt(2)
    return torch.from_numpy(np.round(np.kron(cosines, cosines) * 2**13) / 2**13).float().to(device)


@functools.cache
def _steps(table: tuple[tuple[int, ...], ...], quality: int, device: torch.device) -> Float[Tensor, " 64"]:
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    steps = (np.array(table).ravel() * scale + 50) // 100
    return torch.from_numpy(steps.clip(1, 255).astype(np.float32)).to(device)
