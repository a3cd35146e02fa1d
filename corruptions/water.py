"""The relief of water drops: edges, distance to them, and a light from one side.

The published script chains six OpenCV filters; these are the same steps on batches. The distance is
Euclid's where OpenCV's is an approximation of it.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from corruptions.shifts import pad

Plane = Float[Tensor, "n 1 h w"]

FAR = 20
LOW, HIGH = 50, 150
TAN_22, TAN_67 = 0.4142135623730951, 2.414213562373095


def shading(drops: Plane) -> Plane:
    """Return how brightly each pixel of the drops shines, from 0 to 1 in every image that has drops.

    Args:
        drops: Whole levels; 0 where there is no water.
    """
    distance = _box_blur(_distance(_edges(drops))).add_(2**-10).floor_()
    relief = _light(_equalise(distance)).clamp_(0, 255)
    light = drops * _box_blur(relief).round_()
    return light / light.amax((1, 2, 3), keepdim=True).clamp(min=1)


def _window(planes: Plane, padded: Tensor, down: int, right: int) -> Tensor:
    height, width = planes.shape[-2:]
    return padded[..., 1 + down : 1 + down + height, 1 + right : 1 + right + width]


def _box_blur(planes: Plane) -> Plane:
    rows = pad(planes, 1, 0, "mirror")
    rows = rows[:, :, :-2] + rows[:, :, 1:-1] + rows[:, :, 2:]
    columns = pad(rows, 0, 1, "mirror")
    return (columns[..., :-2] + columns[..., 1:-1] + columns[..., 2:]).div_(9)


def _light(planes: Plane) -> Plane:
    padded = pad(planes, 1, 1, "mirror")
    total = planes.clone()
    for weight, down, right in ((-2, -1, -1), (-1, -1, 0), (-1, 0, -1), (1, 0, 1), (1, 1, 0), (2, 1, 1)):
        total.add_(_window(planes, padded, down, right), alpha=weight)
    return total


def _edges(planes: Plane) -> Bool[Tensor, "n 1 h w"]:
    """Return Canny's edges: Sobel gradients, thinned across the edge, weak ones kept beside strong ones."""
    padded = pad(planes, 1, 1, "nearest").to(torch.int16)
    smooth_rows = padded[:, :, :-2] + padded[:, :, 1:-1] * 2 + padded[:, :, 2:]
    across = smooth_rows[..., 2:] - smooth_rows[..., :-2]
    smooth_columns = padded[..., :-2] + padded[..., 1:-1] * 2 + padded[..., 2:]
    down = smooth_columns[:, :, 2:] - smooth_columns[:, :, :-2]
    size = across.abs() + down.abs()
    around = torch.nn.functional.pad(size, (1, 1, 1, 1))

    def near(rows: int, columns: int) -> Tensor:
        return _window(planes, around, rows, columns)

    rise, run = down.abs().float(), across.abs().float()
    is_flat = rise < run * TAN_22
    is_steep = rise > run * TAN_67
    is_falling = across.bitwise_xor(down) >= 0
    # Arithmetic on conditions: torch.where is slow when they vary from pixel to pixel.
    is_ridge = is_flat & (size > near(0, -1)) & (size >= near(0, 1))
    is_ridge |= is_steep & (size > near(-1, 0)) & (size >= near(1, 0))
    is_slanted = ~(is_flat | is_steep)
    is_ridge |= is_slanted & is_falling & (size > near(-1, -1)) & (size > near(1, 1))
    is_ridge |= is_slanted & ~is_falling & (size > near(-1, 1)) & (size > near(1, -1))
    candidates = is_ridge & (size > LOW)
    return _connected(candidates & (size > HIGH), candidates)


def _connected(seeds: Tensor, candidates: Tensor) -> Bool[Tensor, "n 1 h w"]:
    found = seeds
    while True:
        padded = torch.nn.functional.pad(found, (1, 1, 1, 1))
        rows = padded[:, :, :-2] | padded[:, :, 1:-1] | padded[:, :, 2:]
        grown = (rows[..., :-2] | rows[..., 1:-1] | rows[..., 2:]) & candidates
        if torch.equal(grown, found):
            return found
        found = grown


def _distance(edges: Bool[Tensor, "n 1 h w"]) -> Plane:
    """Return the distance to the nearest edge, at most `FAR` pixels."""
    # Small integers: twice as many fit a vector instruction.
    along = (~edges).to(torch.int16).mul_(FAR)
    # Every distance up to 20 along the row is a sum of some of these steps.
    for reach in (1, 2, 4, 8, 5):
        _lower(along, along + reach, 3, reach)
    squared = along * along
    nearest, step = squared.clone(), torch.empty_like(squared)
    for reach in range(1, min(FAR, edges.shape[2])):
        _lower(nearest, torch.add(squared, reach**2, out=step), 2, reach)
    return nearest.float().sqrt_().clamp_(max=FAR)


def _lower(values: Tensor, others: Tensor, axis: int, reach: int) -> None:
    """Lower values to the others that lie `reach` before or after them along an axis."""
    length = values.shape[axis] - reach
    for target, source in ((reach, 0), (0, reach)):
        part = values.narrow(axis, target, length)
        torch.minimum(part, others.narrow(axis, source, length), out=part)


def _equalise(planes: Plane) -> Plane:
    """Spread the levels 0 to `FAR` over 0 to 255 so that they are equally frequent in every image."""
    flat = planes.flatten(1).long()
    # One-dimensional counting, and a running sum as a product, have deterministic versions on a GPU.
    bins = flat + torch.arange(len(flat), device=flat.device)[:, None] * (FAR + 1)
    counts = torch.zeros(len(flat) * (FAR + 1), dtype=torch.float64, device=flat.device)
    counts.scatter_add_(0, bins.flatten(), torch.ones_like(counts[:1]).expand(bins.numel()))
    ramp = torch.ones(FAR + 1, FAR + 1, dtype=torch.float64, device=flat.device).triu()
    running = (counts.view(len(flat), -1) @ ramp).float()
    lowest = running.masked_fill(running == 0, torch.inf).amin(1, keepdim=True)
    spread = (flat.shape[1] - lowest).clamp(min=1)
    levels = ((running - lowest).clamp_(min=0) * 255 / spread).round_()
    is_constant = lowest == flat.shape[1]
    levels = torch.where(is_constant, torch.arange(FAR + 1, device=flat.device), levels)
    return levels.gather(1, flat).view_as(planes)
