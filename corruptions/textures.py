"""Ice for the frost corruption: made here, or read from the published photographs."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from corruptions.draws import Draws
from corruptions.filters import gaussian_filter
from corruptions.plasma import plasma

Texture = UInt8[Tensor, "3 h w"]

SIDE = 1024
PUBLISHED = 5
"""The published script chooses among the first five of its six photographs."""


class Ice(NamedTuple):
    """How one made texture looks, in levels from 0 to 255."""

    mean: float
    deviation: float
    tint: tuple[float, float, float]
    crystals: int
    length: float


ICE = (
    Ice(195, 21, (-6, 0, 6), 900, 70),
    Ice(174, 25, (-14, 2, 12), 1600, 40),
    Ice(156, 27, (-30, 8, 22), 500, 110),
    Ice(140, 33, (-10, 0, 10), 2200, 30),
    Ice(114, 37, (-16, 4, 12), 700, 90),
)
"""Chosen so that means, deviations and hues are like the photographs', all five together."""


@functools.cache
def made() -> tuple[Texture, ...]:
    """Return five textures of feathered crystals before clouds; always the same."""
    return tuple(
        _grow(ice, Draws("corruptions|1|frost textures", [number], torch.device("cpu")))
        for number, ice in enumerate(ICE)
    )


def _grow(ice: Ice, draws: Draws) -> Texture:
    # In float64 from here on: means and deviations must not depend on the number of threads.
    clouds = plasma(SIDE, 1.8, draws)[:, None].double()
    clouds = (clouds - clouds.mean()) / clouds.std()
    lines = _crystals(ice, draws)
    crystals = (gaussian_filter(lines, 0.7) + gaussian_filter(lines, 4.0)).double()
    # Light from one side makes a relief of the crystals.
    relief = crystals - crystals.roll((1, 1), (2, 3))
    surface = clouds * 0.6 + crystals / crystals.std() * 0.75 + relief / relief.std() * 0.3
    surface = (surface - surface.mean()) / surface.std()
    grey = surface[0] * ice.deviation + ice.mean
    levels = grey + torch.tensor(ice.tint)[:, None, None] * (1 - grey / 510)
    return levels.round().clamp(0, 255).to(torch.uint8)


def _crystals(ice: Ice, draws: Draws) -> Tensor:
    """Draw feathers: a stem and barbs at 60 degrees, shorter and fainter towards the tip."""
    top, left, turn, size, glow = draws.uniform(5, ice.crystals)[0].double().numpy()[:, :, None, None]
    turn, size, glow = 2 * np.pi * turn, ice.length * (0.4 + size), 0.3 + 0.7 * glow
    barbs, out = np.linspace(0, 1, 14)[:, None], np.linspace(0, 1, 40)
    canvas = np.zeros(SIDE * SIDE)
    stem = (np.linspace(0, 1, 120)[:, None], np.zeros(1), 0.0)
    for along, away, side in (stem, (barbs, out, np.pi / 3), (barbs, out, -np.pi / 3)):
        barb = 0.5 * size * (1 - along) * away
        rows = SIDE * top + size * along * np.sin(turn) + barb * np.sin(turn + side)
        columns = SIDE * left + size * along * np.cos(turn) + barb * np.cos(turn + side)
        pixels = rows.astype(np.int64) % SIDE * SIDE + columns.astype(np.int64) % SIDE
        strength = np.broadcast_to(glow * (1 - 0.5 * along) * (1 - 0.6 * away), pixels.shape)
        np.maximum.at(canvas, pixels.ravel(), strength.ravel())
    return torch.from_numpy(canvas).float().view(1, 1, SIDE, SIDE)


@functools.lru_cache(maxsize=4)
def read(folder: str) -> tuple[Texture, ...]:
    """Return the first five images of a folder by name, as the published script uses them.

    Raises:
        FileNotFoundError: If the folder holds no image.
    """
    from PIL import Image

    paths = sorted(
        path for path in Path(folder).glob("*") if path.suffix.lower() in (".png", ".jpg", ".jpeg")
    )
    if not paths:
        raise FileNotFoundError(f"frost_dir {folder!r} holds no .png or .jpg image")
    loaded = []
    for path in paths[:PUBLISHED]:
        with Image.open(path) as image:
            loaded.append(torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1).contiguous())
    return tuple(loaded)
