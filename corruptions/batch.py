"""Corrupting a batch of images: checks, seeds, chunks and the 8-bit grid."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from corruptions import compiled, compiled_noise
from corruptions.catalogue import CORRUPTIONS, OPTIONS, RESTORATION_CORRUPTIONS, TABLES
from corruptions.draws import Draws
from corruptions.names import SEVERITIES, SEVERITY_TABLES
from corruptions.noise import DISTURBANCES, Disturbance

SMALLEST_SIDE = 28
CHUNK = {"cpu": 5 * 2**17, "cuda": 2**24}
"""Values corrupted at a time, at most half the batch: this bounds the scratch memory, which on a CPU
should also stay in the cache."""

TRUNCATION_SLACK = 2**-10
"""Added before levels are truncated, so that a sum that should be a whole level is not one below it."""

ONE_BITS = int(np.float32(1).view(np.uint32))
"""The bits of a float32 of 1, read as a whole number."""


def apply(
    images: Tensor,
    name: str,
    severity: int,
    seed: int = 0,
    family: str = "imagenet",
    indices: Sequence[int] | Tensor | None = None,
    **options: Any,
) -> Float[Tensor, "n c h w"]:
    """Return the images corrupted as the published sets are.

    An image is read as 8 bits (rounded to multiples of 1/255) and the result is 8 bits too, truncated as
    the published scripts truncate. It depends on the image, its index, the seed and the arguments, and
    not on the rest of the batch, on the batch's size or on the device.

    Args:
        images: Grey or colour images [n, c, h, w] in [0, 1], at least 28x28. (Not so annotated, because
            what is wrong with them is said below.)
        name: A key of `CORRUPTIONS`, or `dotted_line`.
        severity: From 1 to 5.
        seed: Any integer.
        family: The severity table: `imagenet`, `cifar` or `fashion` (28x28 grey).
        indices: The images' indices in their dataset; 0 to n - 1 unless given. Give them when corrupting
            a dataset batch by batch, else every batch gets the random numbers of the first.
        **options: `swap=True` for `glass_blur`, `frost_dir=folder` for `frost`.

    Raises:
        LookupError: If the corruption or the table is not known.
        TypeError: If the images are no tensor.
        ValueError: If the images, the severity, the indices or an option are not as described.
    """
    corrupt = _corruption(name, options)
    if family not in SEVERITY_TABLES:
        raise LookupError(_unknown("severity table", family, SEVERITY_TABLES))
    if severity not in SEVERITIES:
        raise ValueError(f"severity must be 1, 2, 3, 4 or 5, got {severity!r}")
    _check_images(images)
    owners = _check_indices(indices, len(images))
    setting = TABLES[name][family][int(severity) - 1]
    key = f"corruptions|1|{int(seed)}|{name}|{int(severity)}"
    result = torch.empty_like(images, memory_format=torch.contiguous_format)
    chunk = CHUNK.get(images.device.type, CHUNK["cuda"]) // images.shape[1:].numel()
    step = max(1, min(chunk, -(-len(images) // 2)))
    with torch.no_grad():
        for start in range(0, len(images), step):
            part = slice(start, start + step)
            draws = Draws(key, owners[part], images.device)
            if name in DISTURBANCES and _is_direct(images):
                _disturb(images[part], DISTURBANCES[name](setting), draws, result[part])
            else:
                _write(corrupt(_read(images[part]), setting, draws, **options), result[part])
    return result


def _is_direct(images: Tensor) -> bool:
    return compiled.is_used(images.device) and images.dtype == torch.float32


def _disturb(images: Tensor, disturbance: Disturbance, draws: Draws, result: Tensor) -> None:
    """Read images, add noise and write them."""
    images = images.contiguous()
    words, highest = draws.short_words(images[0].numel()), np.empty(len(images), np.uint32)
    source, target, slack = images.flatten(1), result.flatten(1), np.float32(TRUNCATION_SLACK)
    arguments = (source, words, *disturbance, slack, highest, target)
    compiled.run(compiled_noise.disturb, len(images), *arguments)
    _check_highest(highest, images)


def _read(images: Tensor) -> Tensor:
    """Return numbers in [0, 1] as whole levels; refuse others."""
    images = images.float()
    if not compiled.is_used(images.device):
        _check_range(images)
        return images.mul(255).round_()
    images = images.contiguous()
    levels, highest = torch.empty_like(images), np.empty(len(images), np.uint32)
    compiled.run(compiled.to_levels, len(images), images.flatten(1), levels.flatten(1), highest)
    _check_highest(highest, images)
    return levels


def _write(levels: Tensor, result: Tensor) -> None:
    """Truncate levels to 8 bits and write them as numbers in [0, 1]."""
    if not _is_direct(result):
        # GPUs turn the division by a number into a product with its rounded reciprocal.
        highest = torch.full((), 255.0, device=levels.device)
        result.copy_(levels.add(TRUNCATION_SLACK).floor_().clamp_(0, 255).div_(highest))
        return
    slack, target = np.float32(TRUNCATION_SLACK), result.flatten(1)
    compiled.run(compiled.from_levels, len(levels), levels.contiguous().flatten(1), slack, target)


def _corruption(name: str, options: Iterable[str]) -> Callable[..., Tensor]:
    known = CORRUPTIONS | RESTORATION_CORRUPTIONS
    if name not in known:
        raise LookupError(_unknown("corruption", name, known))
    for option in options:
        if option not in OPTIONS.get(name, ()):
            allowed = ", ".join(OPTIONS.get(name, ())) or "none"
            raise ValueError(f"{name} has no option {option!r}; its options: {allowed}")
    return known[name]


def _check_images(images: Tensor) -> None:
    if not isinstance(images, Tensor):
        raise TypeError(f"images must be a tensor [n, c, h, w], got {type(images).__name__}")
    if images.ndim != 4:
        raise ValueError(f"images must be a tensor [n, c, h, w], got shape {list(images.shape)}")
    if not images.is_floating_point():
        raise ValueError(f"images must be floating point in [0, 1], got {images.dtype}; divide by 255 first")
    channels, height, width = images.shape[1:]
    if channels not in (1, 3):
        raise ValueError(f"images must have 1 or 3 channels, got {channels}")
    if min(height, width) < SMALLEST_SIDE:
        raise ValueError(f"images must be at least {SMALLEST_SIDE}x{SMALLEST_SIDE}, got {height}x{width}")


def _check_highest(highest: np.ndarray, images: Tensor) -> None:
    # The bits of numbers from 0 to 1 are ordered as they are; all others but -0 have higher ones.
    if highest.max() > ONE_BITS:
        _check_range(images)


def _check_range(images: Tensor) -> None:
    low, high = (value.item() for value in images.aminmax())
    if not (low >= 0 and high <= 1):
        raise ValueError(f"images must lie in [0, 1], got values from {low:g} to {high:g}")


def _check_indices(indices: Sequence[int] | Tensor | None, count: int) -> list[int]:
    if indices is None:
        return list(range(count))
    owners = [int(index) for index in indices]
    if len(owners) != count:
        raise ValueError(f"indices must name {count} images, got {len(owners)}")
    if min(owners, default=0) < 0:
        raise ValueError(f"indices must not be negative, got {min(owners)}")
    return owners


def _unknown(what: str, name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(str(name), list(known), n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ";"
    return f"unknown {what} {name!r}{hint} known: {', '.join(known)}"
