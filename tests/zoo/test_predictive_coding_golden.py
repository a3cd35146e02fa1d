"""Predictive coding agrees with the numbers that the public package prints for weights anyone can draw."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from zoo.predictive_coding import PredictiveCodingNetwork, peffnetb0, predify, pvgg16
from zoo.predictive_coding.public import timm_names

GOLDEN = Path(__file__).parent.parent / "golden" / "predify.npz"
PAPER = {"beta": 0.8, "lambda_": 0.1, "alpha": 0.01, "compat": "public", "error_gradient": "constant"}


class Tiny(nn.Module):
    """The golden file's small network."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.relu1 = nn.Conv2d(3, 8, 3, padding=1), nn.ReLU()
        self.conv2, self.relu2 = nn.Conv2d(8, 12, 3, stride=2, padding=1), nn.ReLU()
        self.conv3, self.relu3 = nn.Conv2d(12, 16, 3, stride=2, padding=1), nn.ReLU()
        self.fc = nn.Linear(16, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        feature = self.relu2(self.conv2(self.relu1(self.conv1(images))))
        return self.fc(self.relu3(self.conv3(feature)).mean((2, 3)))


def tiny(alpha: list[float], **settings: Any) -> PredictiveCodingNetwork:
    """Return the small network with its decoders."""
    up = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)
    decoders = [
        nn.ConvTranspose2d(8, 3, 3, padding=1),
        nn.Sequential(up, nn.ConvTranspose2d(12, 8, 3, padding=1)),
        nn.Sequential(nn.ConvTranspose2d(16, 12, 4, 2, 1), nn.ReLU()),
    ]
    return predify(
        Tiny(),
        encoders=["relu1", "relu2", "relu3"],
        decoders=decoders,
        beta=[0.3, 0.4, 0.5],
        lambda_=[0.3, 0.2, 0],
        alpha=alpha,
        error_gradient="constant",
        **settings,
    )


def pvgg16n() -> PredictiveCodingNetwork:
    """Return PVGG16 with the scaled update and hyper-parameters of its own for every encoder."""
    model = pvgg16(
        100,
        beta=[0.2, 0.4, 0.4, 0.5, 0.6],
        lambda_=[0.05, 0.1, 0.1, 0.1, 0],
        scaling="scaled",
        # At 64x64 the top decoders' fields are cut off; the golden numbers are of the whole fields.
        prediction_cells=[75, 6400, 25088, 50176, 100352],
        error_gradient="constant",
    ).model
    assert isinstance(model, PredictiveCodingNetwork)
    return model


# Tag: the salt of its weights and images, its network, its timesteps.
CASES: dict[str, tuple[str, Callable[[], Any], int]] = {
    "tiny_pcoder": ("tiny_pcoder", lambda: tiny([40, 60, 80], compat="public"), 4),
    "tiny_pcoder_batch1": ("tiny_pcoder", lambda: tiny([40, 60, 80], compat="public"), 4),
    "tiny_pcodern": (
        "tiny_pcodern",
        lambda: tiny([0.05, 0.03, 0.02], scaling="scaled", prediction_cells=[27, 200, 192]),
        4,
    ),
    "pvgg16": ("pvgg16", lambda: pvgg16(100, **PAPER).model, 3),
    "pvgg16n": ("pvgg16n", pvgg16n, 3),
    "peffnetb0": ("peff", lambda: peffnetb0(100, **PAPER).model, 3),
}


def normal(salt: str, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Return the numbers that the golden file's drawing rule gives a name."""
    generator = np.random.Generator(np.random.PCG64(zlib.crc32(f"{salt}:{name}".encode())))
    return generator.standard_normal(shape)


def drawn_backbone(salt: str, name: str, shape: tuple[int, ...]) -> torch.Tensor:
    """Return a backbone's parameter by the drawing rule."""
    weights = normal(salt, f"backbone.{name}", shape)
    if name.endswith("running_mean"):
        weights *= 0.1
    elif name.endswith("running_var"):
        weights = 1 + 0.2 * np.abs(weights)
    elif len(shape) == 4:
        weights *= np.sqrt(2 / (shape[1] * shape[2] * shape[3]))
    elif len(shape) == 2:
        weights /= np.sqrt(shape[1])
    elif name.endswith(".weight"):
        weights = 1 + 0.1 * weights
    else:
        weights *= 0.05
    return torch.from_numpy(weights)


def drawn_decoder(salt: str, name: str, shape: tuple[int, ...]) -> torch.Tensor:
    """Return a decoder's parameter by the drawing rule."""
    weights = normal(salt, name, shape)
    weights *= 1 / np.sqrt(shape[0] * shape[2] * shape[3]) if len(shape) == 4 else 0.05
    return torch.from_numpy(weights)


def draw(model: PredictiveCodingNetwork, salt: str) -> None:
    """Give the model, which has no memory yet, its drawn weights."""
    backbone = model.backbone.state_dict()
    names = {name: name for name in backbone}
    if "features.0.0.weight" in backbone:
        names = {ours: timm for timm, ours in timm_names(model.backbone)}
    with ThreadPoolExecutor(2) as pool:  # VGG16 is 138 million numbers
        values = pool.map(lambda ours: drawn_backbone(salt, names[ours], tuple(backbone[ours].shape)), names)
        state = dict(zip(names, values, strict=True))
    counters = {name: torch.zeros((), dtype=torch.long) for name in backbone.keys() - state.keys()}
    model.backbone.load_state_dict(state | counters, assign=True)
    for n, decoder in enumerate(model.decoders):
        prefix = f"pcoder{n + 1}.pmodule"
        shapes = {name: tuple(value.shape) for name, value in decoder.state_dict().items()}
        state = {name: drawn_decoder(salt, f"{prefix}.{name}", shape) for name, shape in shapes.items()}
        decoder.load_state_dict(state, assign=True)


@pytest.mark.parametrize("tag", CASES)
def test_the_public_numbers(tag: str) -> None:
    """Logits, errors and representations of every timestep, and the image's gradient, are theirs to 1e-6.

    They keep hyper-parameters in float32, so nothing closer is to be expected.
    """
    salt, build, iterations = CASES[tag]
    with np.load(GOLDEN) as arrays:
        expected = {key.split("/")[1]: arrays[key] for key in arrays.files if key.startswith(tag + "/")}
    with torch.device("meta"):
        model = build()
    draw(model, salt)
    shape = expected["grad"].shape
    # The single image is the first of three.
    images = torch.from_numpy(normal(salt, "images", (3, *shape[1:]))[: shape[0]]).requires_grad_()
    steps = list(model.walk(images, iterations))
    labels = torch.arange(len(images)) % steps[-1].logits.shape[1]
    loss = F.cross_entropy(steps[-1].logits, labels, reduction="sum")
    (gradient,) = torch.autograd.grad(loss, images)

    found = {
        "logits": torch.stack([step.logits for step in steps]),
        "prediction_error": torch.stack([step.prediction_errors.mean(0) for step in steps]),
        "rep_mean_square": torch.stack(
            [torch.stack([e.square().mean() for e in step.representations]) for step in steps]
        ),
        "grad": gradient,
    }
    for name, values in found.items():
        scale = np.abs(expected[name]).max()
        np.testing.assert_allclose(values.detach().numpy(), expected[name], rtol=0, atol=1e-6 * scale)
