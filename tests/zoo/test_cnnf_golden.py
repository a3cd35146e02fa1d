"""CNN-F agrees with the numbers that the authors' code prints for weights anyone can draw."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from zoo.cnnf import CNNF, four_conv, load_public, wide_resnet
from zoo.cnnf.public import public_names

GOLDEN = Path(__file__).parent.parent / "golden" / "cnnf.npz"

CASES: dict[str, tuple[str, Callable[[], CNNF], int]] = {
    "fmnist_ind0": ("a", lambda: four_conv(0), 4),
    "fmnist_ind1": ("b", lambda: four_conv(1), 3),
    "fmnist_ind2": ("c", lambda: four_conv(2), 3),
    "wrn40_2_ind5": ("d", lambda: wide_resnet(40, 2, 5), 3),
    "wrn40_2_ind0": ("e", lambda: wide_resnet(40, 2, 0), 2),
    "wrn16_2_ind1": ("f", lambda: wide_resnet(16, 2, 1), 3),
}


def drawn(salt: str, name: str) -> np.random.Generator:
    """Return the generator that the golden file's drawing rule gives a parameter."""
    return np.random.Generator(np.random.PCG64(zlib.crc32(f"{salt}:{name}".encode())))


def drawn_state(model: CNNF, salt: str) -> dict[str, torch.Tensor]:
    """Return weights by the drawing rule, under the authors' names and without tied copies."""
    parameters = dict(model.named_parameters())
    state = {}
    for public, ours in public_names(model):
        shape = tuple(parameters[ours].shape)
        weights = drawn(salt, public).standard_normal(shape)
        if len(shape) == 4:
            weights *= np.sqrt(2 / (shape[2] * shape[3] * shape[0]))
        elif len(shape) == 2:
            weights /= np.sqrt(shape[1])
        else:
            weights *= 0.1
        state[public] = torch.from_numpy(weights)
    return state


@pytest.fixture(scope="module", params=CASES)
def case(request: Any) -> dict[str, Any]:
    """Return one golden case: its model with drawn weights, images, and the expected numbers."""
    salt, build, iterations = CASES[request.param]
    with np.load(GOLDEN) as arrays:
        expected = {k.split("/")[1]: arrays[k] for k in arrays.files if k.startswith(request.param + "/")}
    model = build().double()
    load_public(model, drawn_state(model, salt))
    scaled = drawn(salt, "images").uniform(-1, 1, expected["grad_first"].shape)
    images = ((torch.from_numpy(scaled) + 1) / 2).requires_grad_()
    return {"model": model, "images": images, "iterations": iterations, "expected": expected}


def test_logits_of_every_iteration(case: dict[str, Any]) -> None:
    """Each iteration's logits and their mean equal the authors' to 1e-9."""
    logits = case["model"].unroll(case["images"], case["iterations"]).detach().numpy()

    np.testing.assert_allclose(logits, case["expected"]["logits"], rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(logits.mean(0), case["expected"]["avg"], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("target", ["first", "e2e"])
def test_gradients(case: dict[str, Any], target: str) -> None:
    """The gradient with respect to the image, through one pass and through all, is the authors'."""
    images = case["images"]
    logits = case["model"].unroll(images, 0 if target == "first" else case["iterations"])[-1]
    loss = F.cross_entropy(logits, torch.arange(len(images)) % 10, reduction="sum")
    (gradient,) = torch.autograd.grad(loss, images)
    expected = case["expected"][f"grad_{target}"]

    # Their pixels span [-1, 1], ours [0, 1].
    np.testing.assert_allclose(gradient.numpy() / 2, expected, rtol=0, atol=1e-9 * np.abs(expected).max())


def test_features_and_reconstructions(case: dict[str, Any]) -> None:
    """The walk shows the fed-back feature and what the first feedback makes of it."""
    first, second = case["model"].walk(case["images"], 1)
    reconstruction = second.reconstruction

    def sums(tensor: torch.Tensor) -> np.ndarray:
        return tensor.detach().sum((1, 2, 3)).numpy()

    expected = case["expected"]
    np.testing.assert_allclose(sums(first.feature), expected["feature_sum"], rtol=1e-9)
    np.testing.assert_allclose(sums(reconstruction), expected["recon_sum"], rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(sums(reconstruction.square()), expected["recon_sq"], rtol=1e-9)
