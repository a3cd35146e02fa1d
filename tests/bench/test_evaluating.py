"""How `bench.evaluate` computes."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import bench
from bench import data, provenance, suites
from bench.devices import Machine
from bench.errors import BenchError
from bench.evaluating import frame_of
from reports.records import Record


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


@pytest.mark.parametrize("suite", suites.SUITES)
def test_rows_tell_their_cells_apart(suite: str, plan) -> None:
    """By what was done to which images, of which the key is only a hash."""
    made = provenance.collect(Machine(torch.device("cpu"), 1, torch.float32), "drawn")
    records = [
        Record(key=cell.key, label="m", cell=cell, status="ok", n=2, correct=1, seconds=0.0, provenance=made)
        for cell in plan(suite)
    ]
    frame = frame_of(records)

    assert len(frame) == len(records)
    assert not frame.drop(columns="key").duplicated().any()


@pytest.mark.parametrize("size", [0, -5])
def test_a_batch_is_not_empty(size: int) -> None:
    """It is no cell that failed."""
    with pytest.raises(BenchError, match=f"batch size must be at least 1, got {size}"):
        bench.evaluate("cnn_fmnist", suite="clean", examples=2, batch_size=size)


def test_images_are_hashed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not once a cell: a suite has thousands."""
    hashed = []
    whole = data.LabelledImages.sha256.fget
    monkeypatch.setattr(
        data.LabelledImages, "sha256", property(lambda self: hashed.append(len(self.images)) or whole(self))
    )
    bench.evaluate("cnn_fmnist", suite="smoke", examples=2, device="cpu")

    assert hashed == [2]
