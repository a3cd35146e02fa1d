"""How `bench.evaluate` computes."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import bench
from bench import data


def test_nothing_is_computed_in_tf32() -> None:
    """A GPU rounds the inputs of convolutions unless told otherwise; afterwards all is as before."""
    seen = []

    class Watching(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            seen.append((torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32))
            return images.flatten(1)[:, :10]

    before = torch.backends.cudnn.allow_tf32
    bench.evaluate(Watching(), "fashion_mnist", "clean", examples=2)

    assert seen[-1] == (False, False)
    assert torch.backends.cudnn.allow_tf32 == before


def test_images_are_hashed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not once a cell: a suite has thousands."""
    hashed = []
    whole = data.LabelledImages.sha256.fget
    monkeypatch.setattr(
        data.LabelledImages, "sha256", property(lambda self: hashed.append(len(self.images)) or whole(self))
    )
    bench.evaluate("cnn_fmnist", suite="smoke", examples=2, device="cpu")

    assert hashed == [2]
