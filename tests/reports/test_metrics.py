from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.metrics import Accuracy, MeanAccuracy, lowest, wilson


@pytest.mark.parametrize(
    ("correct", "n", "low", "high"),
    [
        # Newcombe, "Two-sided confidence intervals for the single proportion", 1998, table I, method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_agrees_with_the_literature(correct, n, low, high) -> None:
    """Newcombe's worked examples, to their four digits."""
    assert wilson(correct, n) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_wilson_holds_the_share_and_is_symmetric(n, share) -> None:
    """The interval contains the estimate, lies in [0, 1], and mirrors when hits and misses are swapped."""
    correct = round(share * n)
    low, high = wilson(correct, n)

    assert 0 <= low <= correct / n + 1e-12
    assert correct / n - 1e-12 <= high <= 1
    assert wilson(n - correct, n) == pytest.approx((1 - high, 1 - low), abs=1e-9)


@pytest.mark.parametrize(("correct", "n"), [(-1, 5), (6, 5), (0, 0)])
def test_impossible_counts_are_refused(correct, n) -> None:
    """A share needs hits among trials."""
    with pytest.raises(ValueError, match="need 0 <= correct <= n"):
        Accuracy(correct, n)


def test_the_lowest_is_sought_among_attacks_on_most_examples() -> None:
    """An attack on two images may leave none standing by chance."""
    assert lowest([Accuracy(60, 100), None, Accuracy(50, 100), Accuracy(0, 2)]) == Accuracy(50, 100)
    assert lowest([None]) is None


def test_the_interval_of_a_mean_by_hand() -> None:
    """Of 0.2, 0.4 and 0.6 the variance is 0.04, a sixth of the 0.24 of hits and misses: three count as 18."""
    assert MeanAccuracy((0.2, 0.4, 0.6)).interval == pytest.approx(wilson(7.2, 18))


@given(st.lists(st.booleans(), min_size=1, max_size=50))
def test_the_interval_of_hits_and_misses_is_that_of_an_accuracy(right) -> None:
    """Each example in one cell is the plain case."""
    assert MeanAccuracy(tuple(map(float, right))).interval == pytest.approx(wilson(sum(right), len(right)))


@given(st.lists(st.integers(0, 75), min_size=1, max_size=50))
def test_the_interval_of_a_mean_has_a_width(hits) -> None:
    """Whatever the shares, the next example's may be another one; Wilson's of the examples is the widest."""
    mean = MeanAccuracy(tuple(right / 75 for right in hits))
    low, high = mean.interval

    assert 0 <= low <= mean.share + 1e-12
    assert mean.share - 1e-12 <= high <= 1
    assert high - low > 0
    assert high - low <= 2e-9 + wilson(mean.correct, mean.n).high - wilson(mean.correct, mean.n).low


def test_a_perfect_mean_is_not_certain() -> None:
    """Ten images that are right under every corruption leave the eleventh open, as ten clean ones do."""
    assert MeanAccuracy((1.0,) * 10).interval == Accuracy(10, 10).interval


def test_the_interval_of_a_mean_covers() -> None:
    """Of 2,000 drawn samples of 60 examples under 15 corruptions, about 95 % hold the true mean."""
    draw = np.random.default_rng(5)
    chances = draw.beta(9, 1, size=(2000, 60))
    shares = draw.binomial(15, chances) / 15
    held = [low <= 0.9 <= high for low, high in (MeanAccuracy(tuple(row)).interval for row in shares)]

    assert np.mean(held) == pytest.approx(0.95, abs=0.015)
