"""Learning rate and image size at every step."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.training.recipe import Recipe
from bench.training.schedule import Plan


def plan(steps_per_epoch: int = 10, **settings: object) -> Plan:
    base = {"model": "cnn_cifar", "batch_size": 8, "held_out": 4, "epochs": 4, "learning_rate": 0.2}
    recipe = Recipe.model_validate(base | {"schedule": "cosine"} | settings)
    return Plan(recipe, steps_per_epoch, native_size=32)


def test_cosine_by_hand() -> None:
    """Half a cosine: the peak at the start, half of it in the middle, next to nothing at the last step."""
    cosine = plan()
    assert cosine.steps == 40
    assert cosine.learning_rate(0) == 0.2
    assert cosine.learning_rate(20) == pytest.approx(0.1)
    assert 0 < cosine.learning_rate(39) < 0.001


def test_polynomial_by_hand() -> None:
    """(1 - t)^0.9, as in the public code."""
    polynomial = plan(schedule="polynomial")
    assert polynomial.learning_rate(0) == 0.2
    assert polynomial.learning_rate(30) == pytest.approx(0.2 * 0.25**0.9)


def test_warmup_rises_linearly_and_the_decay_starts_where_it_ends() -> None:
    """The peak is reached at the last step of warm-up and nowhere exceeded."""
    warm = plan(warmup_epochs=1)
    assert [warm.learning_rate(step) for step in (0, 4, 9, 10)] == pytest.approx([0.02, 0.1, 0.2, 0.2])
    assert warm.learning_rate(25) == pytest.approx(0.1)


def test_image_sizes_by_hand() -> None:
    """Each stage begins where the one before it ends, in fractions of an epoch too."""
    stages = [{"epochs": 2.5, "size": 16}, {"epochs": 1, "size": 24}, {"epochs": 0.5, "size": 32}]
    progressive = plan(image_sizes=stages)
    assert [progressive.image_size(step) for step in (0, 24, 25, 34, 35, 39)] == [16, 16, 24, 24, 32, 32]
    assert progressive.work(0, 40) == pytest.approx(25 / 4 + 10 * 9 / 16 + 5)
    assert plan().image_size(0) == 32


@given(
    epochs=st.floats(0.01, 20),
    steps_per_epoch=st.integers(1, 50),
    warmup=st.floats(0, 0.99),
    schedule=st.sampled_from(["cosine", "polynomial"]),
)
def test_rate_stays_between_nothing_and_the_peak(
    epochs: float, steps_per_epoch: int, warmup: float, schedule: str
) -> None:
    """Every step has a positive rate, at most the peak, and after warm-up it never rises."""
    some = plan(steps_per_epoch, epochs=epochs, warmup_epochs=warmup * epochs, schedule=schedule)
    rates = [some.learning_rate(step) for step in range(some.steps)]
    assert all(0 < rate <= 0.2 for rate in rates)
    after = rates[int(warmup * epochs * steps_per_epoch) + 1 :]
    assert after == sorted(after, reverse=True)
    assert some.epoch_end(some.epochs - 1) == some.steps
