"""Choosing beta, lambda and alpha of every encoder: the cross-entropy on noisy training images decides.

Choksi et al. 2021, appendix A.7: equal weights at first, Adam, cross-entropy over the first pass and five
timesteps, Gaussian noise of several strengths. Backbone and feedback weights stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench import data, devices
from bench.errors import BenchError, UnknownName
from bench.suites.protocols import PIXEL_DEVIATIONS
from bench.training.images import epoch_order, to_float
from zoo import ENTRIES, CheckpointError
from zoo.checkpoint import build, locate, read_into
from zoo.predictive_coding import Balance, Normalised, PredictiveCodingNetwork

SIGMAS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)
"""Standard deviations of the noise, in standard deviations of the pixels.

Theirs are 0.5 to 1.5, under which our small networks answer at random, and have no clean images.
"""
ITERATIONS = 5
LEARNING_RATE = 0.03
"""Theirs is 0.01 over eight epochs; a few hundred steps are taken here."""


@dataclass(frozen=True)
class Tuned:
    """What was found, and the loss on the way."""

    balances: tuple[Balance, ...]
    losses: tuple[float, ...]
    """Cross-entropy, the mean over timesteps, of each step."""

    def as_toml(self) -> str:
        """Return the settings as they stand in a zoo entry or a recipe."""
        columns = zip(*self.balances, strict=True)
        rows = zip(("beta", "lambda_", "alpha"), columns, strict=True)
        return "\n".join(
            f"{name} = [{', '.join(f'{value:.4g}' for value in values)}]" for name, values in rows
        )


class _Weights(nn.Module):
    """Beta, lambda and memory that sum to 1, and alpha, at least 0, of each encoder."""

    def __init__(self, encoders: int) -> None:
        super().__init__()
        self.shares = nn.Parameter(torch.zeros(encoders, 3))
        self.corrections = nn.Parameter(torch.full((encoders,), -3.0))

    def balances(self) -> tuple[Balance, ...]:
        """Return them as tensors that can be differentiated, in place of the numbers of a `Balance`."""
        shares: Any = self.shares.softmax(1)
        corrections: Any = F.softplus(self.corrections)
        pairs = zip(shares, corrections, strict=True)
        return tuple(Balance(share[0], share[1], correction) for share, correction in pairs)


def tune(
    name: str,
    checkpoint: str | None = None,
    data_dir: Path | None = None,
    steps: int = 200,
    batch_size: int = 64,
    device: str = "auto",
    report: Callable[[int, float], None] = lambda step, loss: None,
) -> Tuned:
    """Return the weights of equation 2 that classify noisy training images best.

    Args:
        name: A predictive-coding network of the zoo.
        checkpoint: Its weights; by default its first ones.
        data_dir: Where the training images are; see `bench.data.train_images`.
        steps: Batches to look at, at least 1.
        batch_size: Images of a batch.
        device: A torch device, or "auto".
        report: Called with the step and its loss.

    Raises:
        BenchError: If the model is unknown, has no predictive coding, or lacks weights or images.
    """
    place = devices.resolve(device)
    model, network = _load(name, checkpoint)
    found = data.train_images(ENTRIES[name].dataset, data_dir)
    model.to(place).eval().requires_grad_(False)
    weights = _Weights(len(network.balances)).to(place)
    optimiser = torch.optim.Adam(weights.parameters(), LEARNING_RATE)
    generator = torch.Generator(place).manual_seed(0)
    order = epoch_order(len(found.labels), 0, 0).numpy()
    losses = []
    for step in range(steps):
        chosen = order[np.arange(step * batch_size, (step + 1) * batch_size) % len(order)]
        pixels = torch.from_numpy(found.images[chosen]).permute(0, 3, 1, 2).to(place)
        images = to_float(pixels, pixels.shape[-1], is_channels_last=True)
        network.balances = weights.balances()
        logits = model.unroll(_noisy(images, ENTRIES[name].dataset, generator), ITERATIONS)
        loss = _loss(logits, torch.from_numpy(found.labels[chosen]).to(place))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
        report(step + 1, losses[-1])
    with torch.no_grad():
        balances = tuple(Balance(*map(float, balance)) for balance in weights.balances())
    return Tuned(balances, tuple(losses))


def _load(name: str, checkpoint: str | None) -> tuple[Normalised, PredictiveCodingNetwork]:
    """Return a network of the zoo with its weights, and what is inside its normalisation."""
    if name not in ENTRIES:
        raise UnknownName("model", name, ENTRIES)
    entry = ENTRIES[name]
    model = build(entry)
    if not isinstance(model, Normalised) or not isinstance(model.model, PredictiveCodingNetwork):
        raise BenchError(f"{name} has no predictive coding to tune")
    try:
        read_into(model, locate(entry, checkpoint or next(iter(entry.checkpoints), "shipped")))
    except CheckpointError as error:
        raise BenchError(str(error)) from error
    return model, model.model


def _noisy(images: Tensor, dataset: str, generator: torch.Generator) -> Tensor:
    """Add noise of one of `SIGMAS` to each image."""
    device = images.device
    strengths = torch.tensor(SIGMAS, device=device)
    chosen = strengths[torch.randint(len(SIGMAS), (len(images),), generator=generator, device=device)]
    noise = torch.randn(images.shape, generator=generator, device=device)
    return images + PIXEL_DEVIATIONS[dataset] * chosen[:, None, None, None] * noise


def _loss(logits: Tensor, labels: Tensor) -> Tensor:
    return torch.stack([F.cross_entropy(step, labels) for step in logits]).mean()
