"""The bootstrap over examples."""

from __future__ import annotations

import numpy as np
import pytest

from reports.resampling import difference, ratio, sign_flip
from reports.statistics import mcnemar


def test_the_interval_of_a_difference_is_that_of_a_mean() -> None:
    """On many examples the percentile interval agrees with the normal approximation."""
    draw = np.random.default_rng(1)
    before, after = draw.normal(size=2000), draw.normal(0.5, 1, size=2000)
    found = difference(after, before)
    half = 1.96 * (after - before).std(ddof=1) / 2000**0.5

    assert found is not None
    assert found.mean == pytest.approx((after - before).mean())
    assert found.interval.low == pytest.approx(found.mean - half, abs=0.01)
    assert found.interval.high == pytest.approx(found.mean + half, abs=0.01)
    assert found.n == 2000


def test_pairs_stay_together() -> None:
    """A number over twice itself is one half however the examples are drawn."""
    values = np.random.default_rng(0).random(50)
    found = ratio(values, 2 * values)

    assert found is not None
    assert (found.mean, *found.interval) == pytest.approx((0.5, 0.5, 0.5))


def test_a_ratio_to_nothing_is_none() -> None:
    """Without an error in the first pass there is nothing to compare with."""
    assert ratio(np.ones(5), np.zeros(5)) is None


def test_points_are_parts_of_a_unit() -> None:
    """One example of two got right is a change of 50 points."""
    found = difference(np.array([1.0, 1.0]), np.array([0.0, 1.0]), unit=0.01)

    assert found is not None
    assert found.mean == pytest.approx(50)


@pytest.mark.parametrize(("gained", "lost"), [(9, 2), (5, 5), (7, 0), (0, 0)])
def test_flipped_signs_of_hits_and_misses_are_mcnemars_test(gained: int, lost: int) -> None:
    """Where every change is 1, what is drawn at random is what McNemar's test counts exactly."""
    change = np.array([1.0] * gained + [-1.0] * lost + [0.0] * 20)
    exact = min(1.0, 2 * mcnemar(max(gained, lost), min(gained, lost)))

    assert sign_flip(change) == pytest.approx(exact, abs=0.015)


def test_flipped_signs_never_give_nothing() -> None:
    """The signs seen are one of the sets, so p is at least one in ten thousand."""
    assert sign_flip(np.full(100, 0.3)) == pytest.approx(1e-4)
