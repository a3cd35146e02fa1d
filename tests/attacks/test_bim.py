"""The targeted attack of the Predify paper."""

from __future__ import annotations

import pytest
import torch

from attacks import Draws, TargetedBIM, ThreatModel, build


def linear(images: torch.Tensor) -> torch.Tensor:
    """Four classes, each with a pixel of its own."""
    return images.flatten(1)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_the_target_gains_what_the_ball_allows(norm) -> None:
    """Closed form: the target's pixel rises by epsilon; under linf all others fall by as much."""
    images, labels = torch.full((2, 1, 2, 2), 0.5), torch.tensor([0, 3])
    attack = TargetedBIM(ThreatModel(norm, 0.1), 50, 0.02, target_shift=3, classes=4)
    moved = attack(linear, images, labels, Draws("test", range(2), images)) - images
    target = torch.eye(4)[[3, 2]].bool()

    assert not moved.requires_grad
    if norm == "linf":
        torch.testing.assert_close(moved.flatten(1), torch.where(target, 0.1, -0.1))
    else:
        assert moved.flatten(1).norm(dim=1).max() <= 0.1 + 1e-6
        # At the optimum the perturbation is parallel to the gradient: p_target - 1 there, p elsewhere.
        away = target.float() - (images + moved).flatten(1).softmax(1)
        cosine = torch.cosine_similarity(moved.flatten(1), away)
        torch.testing.assert_close(cosine, torch.ones(2), atol=1e-3, rtol=0)


def test_the_start_is_each_examples_own() -> None:
    """With a step too short to matter, what is left is the random start, the same in any batch."""
    images, labels = torch.full((3, 1, 2, 2), 0.5), torch.tensor([0, 1, 2])
    attack = TargetedBIM(ThreatModel("linf", 0.1), 1, 1e-9, target_shift=1, classes=4)
    together = attack(linear, images, labels, Draws("test", range(3), images))
    alone = attack(linear, images[1:2], labels[1:2], Draws("test", [1], images))

    torch.testing.assert_close(together[1:2], alone, atol=1e-7, rtol=0)
    assert (together - images).abs().max() > 0.01


@pytest.mark.parametrize("shift", [0, 10, -1])
def test_a_target_that_is_no_other_class_is_refused(shift) -> None:
    """A shift by 0 or by the number of classes would attack towards the truth."""
    settings = {"norm": "linf", "epsilon": 0.1, "steps": 1, "step_size": 0.1, "classes": 10}
    with pytest.raises(ValueError, match="target_shift must be from 1 to 9"):
        build("targeted_bim", "native", settings | {"target_shift": shift})
