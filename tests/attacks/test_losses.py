"""What attacks climb."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from attacks import APGD, PGD, Draws, ThreatModel, losses
from attacks.pgd import MomentumPGD

WIDE = ThreatModel("linf", 0.55)
NARROW = ThreatModel("l2", 0.1)


def drawn_logits(*shape: int, dtype: torch.dtype, scale: float = 5.0) -> torch.Tensor:
    return scale * torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=dtype)


@pytest.mark.parametrize("shape", [(9, 10), (3, 9, 10), (9, 2)])
def test_cross_entropy_is_that_of_everyone(shape: tuple[int, ...]) -> None:
    """Value and gradient, summed over the answers to each image."""
    logits = drawn_logits(*shape, dtype=torch.float64).requires_grad_()
    labels = torch.arange(9) % shape[-1]
    usual = sum(F.cross_entropy(rows, labels, reduction="none") for rows in logits.reshape(-1, *shape[-2:]))
    found = losses.cross_entropy(logits, labels)

    torch.testing.assert_close(found, usual, rtol=1e-12, atol=1e-12)
    slopes = [torch.autograd.grad(loss.sum(), logits, retain_graph=True)[0] for loss in (found, usual)]
    torch.testing.assert_close(*slopes, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("ahead", [-300.0, -60.0, 0.0, 17.0, 60.0, 85.0])
def test_cross_entropy_keeps_its_precision_in_float32(ahead: float) -> None:
    """However far the label is ahead of the others, or behind."""
    found, exact = [], []
    for dtype, kept in ((torch.float32, found), (torch.float64, exact)):
        logits = torch.tensor([[ahead, 0.0, -1.0]], dtype=dtype, requires_grad=True)
        loss = losses.cross_entropy(logits, torch.tensor([0]))
        kept += [loss.detach().double(), torch.autograd.grad(loss.sum(), logits)[0].double()]

    torch.testing.assert_close(found, exact, rtol=1e-5, atol=0)
    assert exact[1][0, 0] != 0


def test_cross_entropy_of_half_precision_is_computed_in_float32() -> None:
    """As training attacks under autocast; without images there is no loss."""
    logits, labels = drawn_logits(9, 10, dtype=torch.bfloat16), torch.arange(9)

    torch.testing.assert_close(
        losses.cross_entropy(logits, labels), F.cross_entropy(logits.float(), labels, reduction="none")
    )
    assert losses.cross_entropy(logits[:0], labels[:0]).shape == (0,)


class Sure:
    """A classifier of whose logits only the label's depends on the image, and which begins far ahead."""

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        rising = 60 * (images.mean((1, 2, 3)) - 0.1)
        return torch.stack([rising, torch.zeros_like(rising), torch.zeros_like(rising)], dim=1)


@pytest.mark.parametrize(
    "attack",
    [
        PGD(WIDE, steps=10, step_size=0.1),
        MomentumPGD(WIDE, steps=10, step_size=0.1),
        APGD(WIDE, steps=10),
    ],
    ids=["pgd", "momentum", "apgd"],
)
def test_a_sure_classifier_is_no_robust_one(attack) -> None:
    """Where float32 rounds its probability to 1, with a margin of 30, the way to an error is still seen."""
    images, labels = torch.full((4, 1, 4, 4), 0.6), torch.zeros(4, dtype=torch.int64)
    adversarial = attack(Sure(), images, labels, Draws("test", range(4), images))

    assert F.cross_entropy(Sure()(images), labels) == 0
    assert (Sure()(adversarial).argmax(1) != 0).all()


def rooted(images: torch.Tensor) -> torch.Tensor:
    """Return finite logits whose slope at a black pixel is NaN."""
    roots = (images * images).sqrt().flatten(1)
    return torch.stack([roots.sum(1), torch.full((len(images),), 2.0), roots[:, 0]], dim=1)


@pytest.mark.parametrize(
    "attack",
    [
        PGD(NARROW, steps=5, step_size=0.05),
        MomentumPGD(NARROW, steps=5, step_size=0.05),
        APGD(NARROW, steps=5),
    ],
    ids=["pgd", "momentum", "apgd"],
)
def test_a_gradient_that_is_nan_is_none(attack) -> None:
    """A pixel without a slope neither makes images of NaN, which count as errors, nor stops the rest."""
    images = torch.full((3, 1, 3, 3), 0.25)
    images[:, :, 1, 1] = 0
    labels = torch.zeros(3, dtype=torch.int64)
    adversarial = attack(rooted, images, labels, Draws("test", range(3), images))

    assert adversarial.isfinite().all()
    assert (torch.linalg.vector_norm((adversarial - images).flatten(1), dim=1) <= 0.1 + 1e-6).all()
    assert (rooted(adversarial)[:, 0] < rooted(images)[:, 0]).all()


def test_apgd_takes_as_many_gradients_as_it_makes_steps() -> None:
    """The last images are looked at, and not climbed from."""
    passes = []

    def classifier(images: torch.Tensor) -> torch.Tensor:
        passes.append(images.requires_grad)
        return images.flatten(1)[:, :3]

    images = torch.rand(2, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    draws = Draws("test", range(2), images)
    APGD(ThreatModel("linf", 0.001), steps=6)(classifier, images, images.flatten(1)[:, :3].argmax(1), draws)

    assert sum(passes) == 6
