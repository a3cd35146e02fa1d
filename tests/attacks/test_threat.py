from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attacks import Draws, ThreatModel

THREATS = st.builds(ThreatModel, st.sampled_from(["linf", "l2"]), st.floats(0, 2))
SEEDS = st.integers(0, 2**32 - 1)


def sizes(threat: ThreatModel, change: torch.Tensor) -> torch.Tensor:
    """Return the norm of each perturbation."""
    order = float("inf") if threat.norm == "linf" else 2
    return torch.linalg.vector_norm(change.flatten(1), ord=order, dim=1)


def images_and_noise(seed: int, scale: float) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    images = torch.rand(3, 2, 4, 4, generator=generator, dtype=torch.float64)
    return images, images + scale * torch.randn(images.shape, generator=generator, dtype=torch.float64)


@given(threat=THREATS, seed=SEEDS, scale=st.floats(0, 3))
@settings(deadline=None)
def test_projection_lands_in_the_ball_and_the_pixel_range(threat, seed, scale) -> None:
    """Whatever comes in, the result is allowed, and projecting it again changes nothing."""
    images, noisy = images_and_noise(seed, scale)
    projected = threat.project(noisy, images)

    assert (sizes(threat, projected - images) <= threat.epsilon * (1 + 1e-12) + 1e-15).all()
    assert projected.min() >= 0
    assert projected.max() <= 1
    torch.testing.assert_close(threat.project(projected, images), projected, rtol=0, atol=1e-12)


@given(threat=THREATS, seed=SEEDS)
@settings(deadline=None)
def test_allowed_points_stay_where_they_are(threat, seed) -> None:
    """Projection moves nothing that is inside already."""
    images, noisy = images_and_noise(seed, 0.01)
    inside = threat.project(images + (noisy - images).clamp(-threat.epsilon / 8, threat.epsilon / 8), images)

    torch.testing.assert_close(threat.project(inside, images), inside, rtol=0, atol=1e-12)


@given(threat=THREATS, seed=SEEDS)
@settings(deadline=None)
def test_random_starts_are_allowed(threat, seed) -> None:
    """A climb begins inside the ball and the pixel range."""
    images, _ = images_and_noise(seed, 0)
    start = threat.random_start(images, Draws(str(seed), range(3), images))

    assert (sizes(threat, start - images) <= threat.epsilon * (1 + 1e-12) + 1e-15).all()
    assert start.min() >= 0
    assert start.max() <= 1


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("scale", [1e-37, 1e-25, 1e-22, 1.0, 1e30])
def test_steps_have_unit_length_however_flat_the_loss_is(norm: str, scale: float) -> None:
    """The squares of slopes of 1e-23 and less are 0 in float32; no slope at all is no step."""
    gradient = scale * torch.randn(3, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    threat = ThreatModel(norm, 1.0)
    steps = threat.steepest(gradient)

    torch.testing.assert_close(sizes(threat, steps), torch.ones(3))
    assert (steps.sign() == gradient.sign()).all()
    assert threat.steepest(torch.zeros_like(gradient)).count_nonzero() == 0


def test_l2_starts_fill_the_ball_evenly() -> None:
    """In d dimensions the radius r of a uniform point has E[(r / epsilon)^d] = 1/2."""
    images = torch.full((4000, 1, 1, 2), 0.5, dtype=torch.float64)
    start = ThreatModel("l2", 0.3).random_start(images, Draws("even", range(4000), images))
    radius = sizes(ThreatModel("l2", 0.3), start - images) / 0.3

    assert radius.square().mean().item() == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize(("norm", "epsilon"), [("l1", 0.1), ("linf", -0.1), ("l2", float("nan"))])
def test_impossible_threat_models_are_refused(norm, epsilon) -> None:
    """The message holds the value."""
    with pytest.raises(ValueError, match="must be"):
        ThreatModel(norm, epsilon)
