"""Fixtures of the corruption tests: the golden file, pictures of many sizes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

GOLDEN = Path(__file__).parents[1] / "golden" / "corruptions.npz"


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Small tensors on many threads are slow, and threads may be shared with other tests."""
    before = torch.get_num_threads()
    torch.set_num_threads(min(2, before))
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def golden() -> dict[str, Any]:
    with np.load(GOLDEN) as file:
        return {name: file[name] for name in file.files}


@pytest.fixture(scope="session")
def pictures() -> Callable[..., Tensor]:
    """Make pictures on the 8-bit grid: smooth colours with an edge, another one for every number."""

    def make(count: int, channels: int = 3, height: int = 32, width: int | None = None) -> Tensor:
        generator = torch.Generator().manual_seed(1000 * channels + height)
        coarse = torch.rand(count, channels, 5, 5, generator=generator)
        images = torch.nn.functional.interpolate(
            coarse, (height, width or height), mode="bilinear", align_corners=True
        )
        images[..., height // 3 : height // 2, :] *= 0.2
        return images.mul(255).round().div(255)

    return make
