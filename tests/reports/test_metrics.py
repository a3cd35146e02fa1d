from __future__ import annotations

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
    """1.959964 standard errors each way, the deviation with n - 1: of 0.2, 0.4, 0.6 it is 0.2."""
    low, high = MeanAccuracy((0.2, 0.4, 0.6)).interval

    assert (low, high) == pytest.approx((0.4 - 1.959964 * 0.2 / 3**0.5, 0.4 + 1.959964 * 0.2 / 3**0.5))
