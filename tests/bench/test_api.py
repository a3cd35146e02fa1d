"""How `bench.evaluate` computes."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
import torch
from torch import nn

import bench
from bench import data, evaluation, provenance, suites
from bench.api import frame_of
from bench.devices import Machine
from bench.errors import BenchError
from bench.evaluation import Options
from bench.models import Candidate
from bench.progress import PlainProgress
from reports.records import Record
from zoo import ENTRIES


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


def test_a_data_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """Even where the embedded images do: who names one wants its images."""
    with pytest.raises(BenchError, match=r"the data folder .*nowhere is not there"):
        bench.evaluate("cnn_fmnist", suite="clean", examples=2, data_dir=tmp_path / "nowhere")


def test_corruptions_can_be_chosen() -> None:
    """As on the command line; whoever wants to is told how far it is."""
    told = io.StringIO()
    frame = bench.evaluate(
        "cnn_fmnist",
        suite="corruptions",
        examples=2,
        corruptions=["fog", "snow"],
        severities=[2, 4],
        progress=PlainProgress(told),
    )

    shown = set(zip(frame["attack"].dropna(), frame["severity"].dropna(), strict=True))
    assert shown == {(kind, severity) for kind in ("fog", "snow") for severity in (2, 4)}
    assert len(told.getvalue().splitlines()) == 5


def test_the_backend_of_attacks_can_be_chosen() -> None:
    """The record says whose code ran."""
    with pytest.raises(BenchError, match="does not heed an attack backend"):
        bench.evaluate("cnn_fmnist", suite="clean", examples=2, attack_backend="advertorch")


@pytest.mark.parametrize(
    ("suite", "model", "size"),
    [("adversarial", "cnn_cifar", 1024), ("strongest", "cnn_cifar", 256), ("adversarial", "pvgg16", 128)],
)
def test_a_gpu_takes_smaller_batches_of_long_attacks_and_large_images(
    suite: str, model: str, size: int
) -> None:
    """A killed run loses a batch, and photographs need fifty times the memory."""
    scored = suites.Scored(model, "w", 0)
    candidate = Candidate(scored, model, ENTRIES[model].dataset, "drawn", nn.Identity)
    gpu = torch.device("cuda")

    assert evaluation._machine(Options(suite), gpu, [candidate]).batch_size == size
    assert evaluation._machine(Options(suite, batch_size=7), gpu, [candidate]).batch_size == 7


def test_images_are_hashed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not once a cell: a suite has thousands."""
    hashed = []
    whole = data.LabelledImages.sha256.fget
    monkeypatch.setattr(
        data.LabelledImages, "sha256", property(lambda self: hashed.append(len(self.images)) or whole(self))
    )
    bench.evaluate("cnn_fmnist", suite="smoke", examples=2, device="cpu")

    assert hashed == [2]
