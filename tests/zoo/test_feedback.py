from __future__ import annotations

from typing import get_args

import torch

from reports.cell import Target
from zoo.feedback import AttackTarget, FeedbackModel, Readout
from zoo.plain import Plain


class Counting:
    """Iteration t answers with t in the first class."""

    def unroll(self, images: torch.Tensor, iterations: int) -> torch.Tensor:
        steps = torch.arange(iterations + 1.0)[:, None, None]
        return torch.cat(
            [steps.expand(-1, len(images), 1), torch.zeros(iterations + 1, len(images), 1)], dim=2
        )


def test_readouts() -> None:
    """Last takes the last logits, avg the mean including the first pass."""
    logits = Counting().unroll(torch.zeros(2, 1, 1, 1), 4)

    assert Readout.LAST.of(logits)[:, 0].tolist() == [4.0, 4.0]
    assert Readout.AVG.of(logits)[:, 0].tolist() == [2.0, 2.0]


def test_attack_targets() -> None:
    """First sees no iteration, e2e the last of them, e2e_avg their mean, e2e_sum each."""
    images = torch.zeros(1, 1, 1, 1)
    answers = {
        target.value: target.classifier(Counting(), 4)(images)[..., 0, 0].tolist() for target in AttackTarget
    }

    # A model without gates has nothing to soften.
    assert answers == {
        "first": 0.0,
        "e2e": 4.0,
        "e2e_avg": 2.0,
        "e2e_sum": [0.0, 1.0, 2.0, 3.0, 4.0],
        "e2e_bpda": 4.0,
        "e2e_avg_bpda": 2.0,
    }


def test_cells_know_every_target() -> None:
    """A record can name whatever an attacker can differentiate."""
    assert set(get_args(Target)) == {target.value for target in AttackTarget}


def test_plain_networks_have_one_pass() -> None:
    """A network without feedback answers once, however many iterations are asked for."""
    plain = Plain(torch.nn.Flatten())

    assert isinstance(plain, FeedbackModel)
    assert plain.unroll(torch.rand(2, 1, 3, 3), 5).shape == (1, 2, 9)
