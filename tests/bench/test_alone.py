"""Models whose answers depend on who shares a batch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from torch import nn

import bench
from bench import evaluation, models
from bench.api import frame_of
from bench.errors import BenchError
from bench.meter import Meter
from bench.progress import SilentProgress
from reports.records import Store
from zoo.predictive_coding import PredictiveCodingNetwork, predify

SIZES: list[int] = []
"""Of the batches that a network was shown."""


class Watched(nn.Module):
    """A network of a person's own around one that predictive coding made."""

    iterations = 2

    def __init__(self, network: PredictiveCodingNetwork) -> None:
        super().__init__()
        self.network = network

    def unroll(self, images: torch.Tensor, iterations: int) -> torch.Tensor:
        SIZES.append(len(images))
        return self.network.unroll(images, iterations)

    def walk(self, images: torch.Tensor, iterations: int) -> Any:
        SIZES.append(len(images))
        return self.network.walk(images, iterations)


def predictive(compat: Any = "public", scaling: Any = "plain") -> PredictiveCodingNetwork:
    """Return a network whose timesteps matter: who shares a batch moves its logits."""
    torch.manual_seed(0)
    backbone = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 784, 10))
    settings = {"alpha": 2000.0, "scaling": scaling, "compat": compat, "input_size": (1, 28, 28)}
    return predify(backbone, encoders=["1"], **settings)


@pytest.mark.parametrize("wrap", [lambda network: network, Watched, lambda network: Twins(network)])
def test_the_pinned_batch_is_a_setting(wrap: Any) -> None:
    """It is in the keys of all cells, of no model that does not need it."""

    def candidate(compat: str | None, scaling: str) -> models.Candidate:
        return models.from_object(wrap(predictive(compat, scaling)), "fashion_mnist", iterations=2)

    public = candidate("public", "plain")
    assert public.is_shown_alone
    assert public.scored.settings["images_at_once"] == 1
    for other in (candidate(None, "plain"), candidate("public", "scaled")):
        assert not other.is_shown_alone
        assert "images_at_once" not in other.scored.settings


class Twins(Watched):
    """A network with another one beside, so that settings have paths."""

    def __init__(self, network: PredictiveCodingNetwork) -> None:
        super().__init__(network)
        self.second = predictive(None)


@pytest.mark.parametrize("suite", ["pgd", "predify-projection", "restoration"])
def test_it_is_shown_one_image_at_a_time(suite: str, tmp_path: Path) -> None:
    """Whether attacked, looked at or drawn, and whatever the usual batch: the numbers are those of size 1."""

    def measured(batch_size: int | None) -> pd.DataFrame:
        candidate = evaluation.candidate_of(Watched(predictive()), "fashion_mnist", None, 1)
        options = evaluation.Options(suite, examples=4, device="cpu", batch_size=batch_size)
        SIZES.clear()
        done = evaluation.run([candidate], options, Store(tmp_path / str(batch_size)), SilentProgress())
        assert {*SIZES} == {1}
        assert done.is_complete
        assert {record.provenance.batch_size for record in done.records} == {1}
        return frame_of(done.records).drop(columns="seconds")

    assert measured(None).equals(measured(1))


def test_another_batch_size_is_refused() -> None:
    """It would be another model under the same key."""
    with pytest.raises(BenchError, match=r"^PredictiveCodingNetwork divides its error .* batch size 8 out$"):
        bench.evaluate(predictive(), "fashion_mnist", "clean", iterations=1, examples=2, batch_size=8)


def test_a_meter_shows_it_single_images_with_and_without_gradient() -> None:
    """Logits and gradients are those of each image by itself; in a batch they are others."""
    network, images = predictive(), torch.rand(3, 1, 28, 28)

    def answers(unroll: Any, shown: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        shown = shown.clone().requires_grad_()
        logits = unroll(shown, 2)
        return logits, torch.autograd.grad(logits[-1, :, 0].sum(), shown)[0]

    alone = [answers(network.unroll, image[None]) for image in images]
    expected = torch.cat([one for one, _ in alone], 1), torch.cat([slope for _, slope in alone])
    meter = Meter(network, is_shown_alone=True, limit=2)

    for found, wanted in zip(answers(meter.unroll, images), expected, strict=True):
        assert torch.equal(found, wanted)
    assert torch.equal(meter.unroll(images, 2), expected[0])
    assert not torch.allclose(network.unroll(images, 2), expected[0])
