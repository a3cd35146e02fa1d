"""The training loss and the attack inside it."""

from __future__ import annotations

import math
import sys

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from bench.training.objective import (
    Objective,
    classification_loss,
    frozen,
    perturbed,
    reconstruction_loss,
)
from bench.training.recipe import Recipe, TrainingAttack
from zoo.cnnf import CNNF, Iteration, wide_resnet

LABELS = torch.tensor([1, 0])
CPU = torch.device("cpu")


def recipe(**settings: object) -> Recipe:
    base = {"model": "cnnf_cifar", "batch_size": 4, "held_out": 4, "epochs": 1, "learning_rate": 0.1}
    return Recipe.model_validate(base | {"schedule": "cosine"} | settings)


def small() -> CNNF:
    torch.manual_seed(0)
    return wide_resnet(10, 1, feedback_to=1)


def passes(rows: int, iterations: int) -> list[Iteration]:
    """Passes with random logits, one fed-back feature and two tapped above it."""
    draw = torch.Generator().manual_seed(rows)

    def some(*shape: int) -> Tensor:
        return torch.randn(rows, *shape, generator=draw)

    found = [Iteration(some(3), some(2, 4, 4), (some(5), some(6)), None, ())]
    for _ in range(iterations):
        found.append(Iteration(some(3), some(2, 4, 4), (some(5), some(6)), some(2, 4, 4), (some(5), some(6))))
    return found


def training_loss(
    found: list[Iteration], labels: Tensor, clean_weight: float, reconstruction_weight: float
) -> Tensor:
    """Return both terms as `Objective` adds them."""
    loss = classification_loss([step.logits for step in found], labels, clean_weight)
    if not reconstruction_weight:
        return loss
    return loss + reconstruction_weight * reconstruction_loss(found, len(labels))


def entropy(logits: Tensor) -> float:
    """Cross-entropy of LABELS, summed by hand."""
    rows = [
        math.log(sum(math.exp(v) for v in row)) - row[y]
        for row, y in zip(logits.tolist(), [1, 0], strict=True)
    ]
    return sum(rows) / len(rows)


def squares(one: Tensor, other: Tensor) -> float:
    return float(((one - other) ** 2).sum()) / one.numel()


def test_adversarial_loss_is_the_published_one() -> None:
    """K = 2: both parts at every pass over 2 (K + 1), reconstructions of the attacked against the clean."""
    found = passes(rows=4, iterations=2)
    expected = sum(0.05 * entropy(step.logits[:2]) + entropy(step.logits[2:]) for step in found) / 6
    for step in found[1:]:
        assert step.reconstruction is not None
        errors = squares(step.reconstruction[2:], found[0].feature[:2])
        errors += squares(step.tapped_reconstructions[0][2:], found[0].tapped[0][:2])
        errors += squares(step.tapped_reconstructions[1][2:], found[0].tapped[1][:2])
        expected += 0.1 / (3 * 2) * errors
    assert float(training_loss(found, LABELS, 0.05, 0.1)) == pytest.approx(expected, rel=1e-5)


def test_standard_loss_is_its_variant_without_attack() -> None:
    """One part: cross-entropy over K + 1, reconstructions of the clean against the clean."""
    found = passes(rows=2, iterations=1)
    assert found[1].reconstruction is not None
    errors = squares(found[1].reconstruction, found[0].feature)
    errors += sum(map(squares, found[1].tapped_reconstructions, found[0].tapped))
    expected = sum(entropy(step.logits) for step in found) / 2 + 0.1 / 3 * errors
    assert float(training_loss(found, LABELS, 0.0, 0.1)) == pytest.approx(expected, rel=1e-5)


def test_without_clean_weight_the_loss_is_that_of_the_attacked_alone() -> None:
    """Clean rows change nothing when neither weight looks at them, and the 2 of the two parts is gone."""
    both = passes(rows=4, iterations=1)
    alone = [step._replace(logits=step.logits[2:]) for step in both]
    expected = sum(entropy(step.logits) for step in alone) / 2
    assert float(training_loss(both, LABELS, 0.0, 0.0)) == pytest.approx(expected, rel=1e-5)
    assert float(training_loss(alone, LABELS, 0.0, 0.0)) == pytest.approx(expected, rel=1e-5)


def test_clean_features_learn_too() -> None:
    """The targets of the reconstruction are not detached, as in the public code."""
    found = passes(rows=4, iterations=1)
    feature = found[0].feature.requires_grad_()
    training_loss(found, LABELS, 0.0, 0.1).backward()
    assert feature.grad is not None
    assert feature.grad[:2].abs().min() > 0
    assert feature.grad[2:].abs().max() == 0


def test_one_step_on_a_linear_model_goes_to_the_corner() -> None:
    """Closed form: against a linear classifier the attack moves each pixel by epsilon against its weight."""
    torch.manual_seed(0)
    weight = torch.randn(2, 12)
    images = torch.full((2, 3, 2, 2), 0.5)
    attack = TrainingAttack(epsilon=0.1, step_size=0.125, steps=1, random_start=False)
    found = perturbed(lambda x: F.linear(x.flatten(1), weight), images, LABELS, attack, torch.Generator())
    away = (weight[1 - LABELS] - weight[LABELS]).sign().reshape(2, 3, 2, 2)
    torch.testing.assert_close(found, images + 0.1 * away)


def test_attack_stays_inside_and_hurts() -> None:
    """Adversarial images lie in the ball and in [0, 1], and raise the loss; draws are the generator's."""
    model = small()
    images, labels = torch.rand(8, 3, 8, 8), torch.arange(8)
    attack = TrainingAttack(epsilon=0.1, step_size=0.03, steps=5)

    def first(x: Tensor) -> Tensor:
        return model.unroll(x, 0)[0]

    found = perturbed(first, images, labels, attack, torch.Generator().manual_seed(1))
    again = perturbed(first, images, labels, attack, torch.Generator().manual_seed(1))
    assert torch.equal(found, again)
    assert (found - images).abs().max() <= 0.1 + 1e-6
    assert found.min() >= 0
    assert found.max() <= 1
    assert not found.requires_grad
    assert F.cross_entropy(first(found), labels) > F.cross_entropy(first(images), labels) + 0.1


def test_random_start_fills_the_ball() -> None:
    """Without room to climb, what is left is a uniform draw from the ball."""
    images = torch.full((16, 3, 8, 8), 0.5)
    attack = TrainingAttack(epsilon=0.2, step_size=1e-9, steps=1)
    found = perturbed(
        lambda x: x.flatten(1)[:, :10], images, torch.zeros(16).long(), attack, torch.Generator()
    )
    moved = found - images
    assert moved.std() == pytest.approx(0.2 / 3**0.5, rel=0.05)
    assert moved.abs().max() > 0.19


def test_attack_leaves_no_gradient_on_the_weights() -> None:
    """During the attack weights take no gradients; afterwards they do again."""
    model = small()
    with frozen(model):
        assert not any(p.requires_grad for p in model.parameters())
    assert all(p.requires_grad for p in model.parameters())
    settings = recipe(attack={"epsilon": 0.1, "step_size": 0.1, "steps": 2}, clean_weight=0.1)
    objective = Objective(model, settings, CPU)
    loss = objective.loss(torch.rand(4, 3, 8, 8), torch.arange(4), torch.Generator())
    assert all(p.grad is None for p in model.parameters())
    loss.backward()
    assert all(p.grad is not None for p in model.parameters())


@pytest.mark.parametrize("amp", ["off", "bf16"])
@pytest.mark.parametrize("clean_weight", [0.0, 0.05])
def test_every_part_of_the_network_learns(amp: str, clean_weight: float) -> None:
    """With feedback and reconstruction in the loss, every weight has a finite gradient in both precisions."""
    model = small()
    attack = {"epsilon": 0.1, "step_size": 0.1, "steps": 1}
    settings = recipe(attack=attack, clean_weight=clean_weight, reconstruction_weight=0.1, amp=amp)
    objective = Objective(model, settings, CPU)
    objective.loss(torch.rand(4, 3, 8, 8), torch.arange(4), torch.Generator()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().max() > 0, name


def test_a_few_steps_lower_the_loss() -> None:
    """Gradient descent on the objective learns a handful of images."""
    model = small()
    attack = {"epsilon": 0.05, "step_size": 0.05, "steps": 1}
    objective = Objective(model, recipe(attack=attack, clean_weight=0.1, reconstruction_weight=0.1), CPU)
    optimiser = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9)
    images, labels, generator = torch.rand(8, 3, 8, 8), torch.arange(8), torch.Generator()
    losses = []
    for _ in range(30):
        optimiser.zero_grad()
        loss = objective.loss(images, labels, generator)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.75 * losses[0]


@pytest.mark.parametrize(
    ("settings", "compiler", "compiled"),
    [
        ({"compile_on_cpu": True}, sys.executable, 2),
        ({"compile_on_cpu": True}, "no-such-compiler", 0),
        ({"compile_on_cpu": False}, sys.executable, 0),
    ],
)
def test_what_is_compiled_on_a_cpu(
    settings: dict[str, bool], compiler: str, compiled: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The attack's pass and the loss, where the recipe asks for it and a compiler is there."""
    seen = []
    monkeypatch.setenv("CXX", compiler)
    monkeypatch.setattr(torch, "compile", lambda function, **options: seen.append(function) or function)
    Objective(small(), recipe(**settings), CPU)

    assert len(seen) == compiled
