"""Ours against what the published scripts print for the same images."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from corruptions import CORRUPTIONS, SEVERITIES, apply

DETERMINISTIC = (
    "defocus_blur",
    "zoom_blur",
    "brightness",
    "contrast",
    "pixelate",
    "jpeg_compression",
    "gaussian_blur",
    "saturate",
)
STOCHASTIC = tuple(name for name in CORRUPTIONS if name not in DETERMINISTIC)
SEEDS = {"cifar": 8, "imagenet": 6}


def _images(golden: dict[str, Any], family: str) -> Tensor:
    return torch.from_numpy(golden[f"{family}/images"]).permute(0, 3, 1, 2).contiguous().float() / 255


def _differences(golden: dict[str, Any], family: str, name: str, severity: int) -> np.ndarray:
    """Return ours minus theirs in levels; for `imagenet` both are means of 8x8 blocks."""
    key = f"{family}/{name}/{severity}"
    expected = np.stack([golden[f"{key}/{image}"] for image in range(4) if f"{key}/{image}" in golden])
    images = _images(golden, family)[: len(expected)]
    levels = apply(images, name, severity, family=family).mul(255).round()
    if family == "imagenet":
        levels = torch.nn.functional.avg_pool2d(levels, 8)
    return levels.permute(0, 2, 3, 1).numpy() - expected.astype(np.float64)


@pytest.mark.parametrize("severity", SEVERITIES)
@pytest.mark.parametrize("name", [name for name in DETERMINISTIC if name != "jpeg_compression"])
@pytest.mark.parametrize("family", ["cifar", "imagenet"])
def test_deterministic_kinds_are_the_published_ones(
    golden: dict[str, Any], family: str, name: str, severity: int
) -> None:
    """A deterministic corruption is within one level on 99 % of the pixels, and not systematically off."""
    difference = _differences(golden, family, name, severity)
    assert np.mean(np.abs(difference) <= 1 + 1e-4) >= 0.99
    assert abs(difference.mean()) < 0.12


@pytest.mark.parametrize("severity", SEVERITIES)
@pytest.mark.parametrize("family", ["cifar", "imagenet"])
def test_jpeg_loses_what_the_codec_loses(golden: dict[str, Any], family: str, severity: int) -> None:
    """JPEG without a codec differs from libjpeg by less than half a level on average."""
    assert np.abs(_differences(golden, family, "jpeg_compression", severity)).mean() < 0.5


@pytest.mark.parametrize("severity", SEVERITIES)
@pytest.mark.parametrize("name", STOCHASTIC)
@pytest.mark.parametrize("family", ["cifar", "imagenet"])
def test_stochastic_kinds_have_the_published_statistics(
    golden: dict[str, Any], family: str, name: str, severity: int
) -> None:
    """Mean absolute, root mean square and mean change, and deviation, are as published."""
    images = _images(golden, family)
    rows = []
    for seed in range(SEEDS[family]):
        result = apply(images, name, severity, seed=seed, family=family)
        change = (result - images).mul(255).flatten(1)
        deviation = result.mul(255).flatten(1).std(1, correction=0)
        columns = [change.abs().mean(1), change.square().mean(1).sqrt(), change.mean(1), deviation]
        rows.append(torch.stack(columns, 1).mean(0))
    measured = torch.stack(rows).mean(0).numpy()
    published, errors = np.split(golden[f"{family}/{name}/stats"][severity - 1], 2)
    allowed = np.maximum(0.1 * np.abs(published), 4 * errors)
    assert (np.abs(measured - published) <= allowed).all(), (measured, published, allowed)
