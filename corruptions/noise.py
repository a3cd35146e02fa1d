"""Noise: Gaussian, shot, impulse and speckle.

Every function here and in the other three files takes whole levels from 0 to 255, contiguous, the setting
of one severity and the batch's random numbers, and returns levels before clipping and truncation; those
that it took may be overwritten. Settings are in the units of the published scripts, where images are in
[0, 1]. Severity tables: `imagenet` and `cifar` as in make_imagenet_c.py and make_cifar_c.py of Hendrycks
and Dietterich 2019; `fashion` takes the noise of MNIST-C (Mu and Gilmer 2019), which is ImageNet-C's.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from corruptions import compiled, compiled_noise
from corruptions.draws import WORD, Draws, normal_quantiles
from corruptions.tables import Table

Levels = Float[Tensor, "n c h w"]

GAUSSIAN_NOISE: Table[float] = {
    "imagenet": (0.08, 0.12, 0.18, 0.26, 0.38),
    "cifar": (0.04, 0.06, 0.08, 0.09, 0.10),
    "fashion": (0.08, 0.12, 0.18, 0.26, 0.38),
}
"""Standard deviation."""


def gaussian_noise(levels: Levels, setting: float, draws: Draws) -> Levels:
    """Add the same normal noise everywhere."""
    return draws.normal(*levels.shape[1:]).mul_(255 * setting).add_(levels)


SHOT_NOISE: Table[float] = {
    "imagenet": (60.0, 25.0, 12.0, 5.0, 3.0),
    "cifar": (500.0, 250.0, 100.0, 75.0, 50.0),
    "fashion": (60.0, 25.0, 12.0, 5.0, 3.0),
}
"""Photons that a white pixel receives."""


def shot_noise(levels: Levels, setting: float, draws: Draws) -> Levels:
    """Replace every level by a Poisson count of photons, `setting` of which make white."""
    accept, alias = _poisson_tables(setting, levels.device)
    columns = len(accept) // 256
    if compiled.is_used(levels.device):
        words = draws.long_words(*levels.shape[1:]).flatten(1)
        counts, scale = torch.empty_like(levels), np.float32(255 / setting)
        flat = levels.flatten(1)
        compiled.run(compiled_noise.poisson, len(flat), words, flat, accept, alias, scale, counts.flatten(1))
        return counts
    words = draws.long_words(*levels.shape[1:]).flatten()
    column = words.bitwise_and(columns - 1)
    cell = levels.int().mul_(columns).flatten().add_(column)
    is_kept = words.bitwise_right_shift_(columns.bit_length() - 1) < accept.index_select(0, cell)
    other = alias.index_select(0, cell)
    # Arithmetic instead of torch.where, which a random condition makes several times slower.
    counts = column.sub_(other).mul_(is_kept).add_(other)
    return counts.view(levels.shape).float().mul_(255 / setting)


@functools.lru_cache(maxsize=16)
def _poisson_tables(
    photons: float, device: torch.device
) -> tuple[Int[Tensor, " cells"], Int[Tensor, " cells"]]:
    """Return the alias tables (Walker 1977) of the Poisson distributions of all 256 levels, end to end.

    A word chooses a column by its low bits; the column is the count if the word's remaining bits, a
    signed number, are below the threshold of the first table, else the second table holds the count.
    Whole numbers and a recurrence of products make the tables the same on every machine.
    """
    columns = 2 ** math.ceil(math.log2(photons + 10 * math.sqrt(photons) + 10))
    span = 2**32 // columns
    weights = np.ones((256, columns))
    total = np.ones(256)
    for count in range(1, columns):
        weights[:, count] = weights[:, count - 1] * (np.arange(256) * (photons / 255) / count)
        total += weights[:, count]
    excess = np.round(weights / total[:, None] * 2**32).astype(np.int64)
    rows = np.arange(256)
    excess[rows, excess.argmax(1)] += 2**32 - excess.sum(1)
    accept = np.full((256, columns), span)
    alias = np.tile(np.arange(columns), (256, 1))
    closed = np.zeros((256, columns), np.int64)
    for _ in range(columns - 1):
        # The poorest open column of every level is filled up from the richest, and closed.
        poor, rich = (excess + closed).argmin(1), (excess - closed).argmax(1)
        accept[rows, poor] = excess[rows, poor]
        alias[rows, poor] = rich
        excess[rows, rich] += excess[rows, poor] - span
        closed[rows, poor] = 2**40
    thresholds, others = (
        torch.from_numpy(table.astype(np.int32)).flatten().to(device) for table in (accept - span // 2, alias)
    )
    return thresholds, others


IMPULSE_NOISE: Table[float] = {
    "imagenet": (0.03, 0.06, 0.09, 0.17, 0.27),
    "cifar": (0.01, 0.02, 0.03, 0.05, 0.07),
    "fashion": (0.03, 0.06, 0.09, 0.17, 0.27),
}
"""Fraction of values replaced."""


def impulse_noise(levels: Levels, setting: float, draws: Draws) -> Levels:
    """Turn a fraction of the values, half of them each, to black and to white."""
    return draws.pick(_spikes(setting, levels.device), *levels.shape[1:]).add_(levels)


@functools.lru_cache(maxsize=16)
def _spikes(fraction: float, device: torch.device) -> Float[Tensor, " words"]:
    """Return what each 16-bit word adds to a level: nothing, or more than the whole range."""
    half = _half(fraction)
    table = torch.zeros(WORD, device=device)
    table[:half] = -255
    table[WORD - half :] = 255
    return table


def _half(fraction: float) -> int:
    return round(fraction / 2 * WORD)


SPECKLE_NOISE: Table[float] = {
    "imagenet": (0.15, 0.2, 0.35, 0.45, 0.6),
    "cifar": (0.06, 0.1, 0.12, 0.16, 0.2),
    "fashion": (0.15, 0.2, 0.35, 0.45, 0.6),
}
"""Standard deviation, as a fraction of the pixel's own level."""


def speckle_noise(levels: Levels, setting: float, draws: Draws) -> Levels:
    """Add normal noise in proportion to the level."""
    return draws.normal(*levels.shape[1:]).mul_(setting).mul_(levels).add_(levels)


class Disturbance(NamedTuple):
    """What 16 random bits add to a value.

    `kind` is one of `compiled_noise`: what a table says (`ADDED`), that times the level (`SCALED`), or -255
    for the `half` lowest words and 255 for the `half` highest (`SPIKES`).
    """

    kind: int
    table: Float[Tensor, " words"] = torch.empty(0)
    half: int = 0


@functools.lru_cache(maxsize=16)
def _normals(kind: int, deviation: float) -> Disturbance:
    return Disturbance(kind, normal_quantiles(torch.device("cpu")) * deviation)


DISTURBANCES: dict[str, Callable[[float], Disturbance]] = {
    "gaussian_noise": lambda setting: _normals(compiled_noise.ADDED, 255 * setting),
    "impulse_noise": lambda setting: Disturbance(compiled_noise.SPIKES, half=_half(setting)),
    "speckle_noise": lambda setting: _normals(compiled_noise.SCALED, setting),
}
"""The same corruptions for a CPU, where one compiled loop reads, changes and writes."""
