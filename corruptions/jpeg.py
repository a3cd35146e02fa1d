"""What baseline JPEG does to pixels, without the entropy coding that does nothing to them.

The arithmetic follows the standard (ITU-T T.81, JFIF) as libjpeg does it by default: 4:2:0 chroma for
colour images, rounding at the same places, the triangle filter for the chroma's return. Sums are
exact or in a fixed order (see `corruptions.filters`), so that the result does not depend on codec, device
or batch. For a CPU the same is compiled in `corruptions.compiled_jpeg`.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad

from corruptions import compiled, compiled_jpeg

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
    if compiled.is_used(levels.device):
        result, grey = torch.empty_like(levels), levels.shape[1] == 1
        tables = [luminance] if grey else [luminance, _steps(CHROMINANCE, quality, levels.device)]
        kernel = compiled_jpeg.compress_grey if grey else compiled_jpeg.compress_colour
        compiled.run(kernel, len(levels), levels, _cosines(), *tables, result)
        return result
    return _compress(levels, quality)


def _compress(levels: Float[Tensor, "n c h w"], quality: int) -> Float[Tensor, "n c h w"]:
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
    steps = steps.view(8, 1, 8)
    # Steps a millionth smaller make halves round away from 0, as libjpeg's do.
    coefficients = _forward(_forward(tiles, 3), 5).div_(steps * (1 - 2**-20)).round_().mul_(steps)
    tiles = _backward(_backward(coefficients, 5), 3).round_().clamp_(-128, 127)
    return tiles.view(count, channels, height + down, width + right)[..., :height, :width]


def _forward(tiles: Tensor, axis: int) -> Tensor:
    """Return the cosine transform of 8 values along an axis, sums and differences first."""
    values = tiles.unbind(axis)
    sums = [values[near] + values[7 - near] for near in range(4)]
    differences = [values[near] - values[7 - near] for near in range(4)]
    rows = enumerate(_cosines().tolist())
    return torch.stack([_mix(differences if row % 2 else sums, cosines) for row, cosines in rows], axis)


def _backward(tiles: Tensor, axis: int) -> Tensor:
    """Undo `_forward`."""
    values, cosines = tiles.unbind(axis), _cosines().T
    even = [_mix(values[::2], factors[::2].tolist()) for factors in cosines]
    odd = [_mix(values[1::2], factors[1::2].tolist()) for factors in cosines]
    pairs = list(zip(even, odd, strict=True))
    upper = [one + other for one, other in pairs]
    return torch.stack([*upper, *(one - other for one, other in reversed(pairs))], axis)


def _mix(values: Sequence[Tensor], factors: list[float]) -> Tensor:
    # Products and sums apart and in this order, as the compiled loops have them.
    total = values[0] * factors[0]
    for value, factor in zip(values[1:], factors[1:], strict=True):
        total.add_(value * factor)
    return total


@functools.cache
def _cosines() -> np.ndarray:
    """Return the left half of the 8-point cosine transform, float32 [frequency, position]."""
    frequency, position = np.mgrid[:8, :4]
    cosines = np.cos((2 * position + 1) * frequency * math.pi / 16) / 2
    cosines[0] /= math.sqrt(2)
    # Rounded, so that another math library's last digit cannot show.
    return (np.round(cosines * 2**22) / 2**22).astype(np.float32)


@functools.cache
def _steps(table: tuple[tuple[int, ...], ...], quality: int, device: torch.device) -> Float[Tensor, " 64"]:
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    steps = (np.array(table).ravel() * scale + 50) // 100
    return torch.from_numpy(steps.clip(1, 255).astype(np.float32)).to(device)
