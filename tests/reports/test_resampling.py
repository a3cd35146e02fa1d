"""The bootstrap over examples."""

from __future__ import annotations

from itertools import product
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

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


@pytest.mark.parametrize(("gained", "lost"), [(9, 2), (2, 9), (5, 5), (7, 0), (0, 0), (90, 60)])
def test_flipped_signs_of_hits_and_misses_are_mcnemars_test(gained: int, lost: int) -> None:
    """Where every change is 1, the two are the same test."""
    change = np.array([1.0] * gained + [-1.0] * lost + [0.0] * 20)
    exact = min(1.0, 2 * mcnemar(max(gained, lost), min(gained, lost)))

    assert sign_flip(change) == pytest.approx(exact, rel=1e-12)


def test_flipped_signs_by_hand() -> None:
    """Of the eight signed sums of 3, 2 and 1 tenths, 6, 4, -4 and -6 are at least 4 away from 0."""
    assert sign_flip(np.array([0.3, 0.2, -0.1])) == 4 / 8


@given(st.lists(st.integers(-15, 15), min_size=1, max_size=10), st.sampled_from([1, 7, 15, 75]))
def test_flipped_signs_are_all_sets_of_signs(steps: list[int], parts: int) -> None:
    """Every set of signs counted one by one, whatever the shares are parts of."""
    before = np.array([max(0, -step) for step in steps]) / parts
    after = np.array([max(0, step) for step in steps]) / parts
    sums = [abs(np.dot(signs, steps)) for signs in product((-1, 1), repeat=len(steps))]

    assert sign_flip(after - before) == np.mean([total >= abs(sum(steps)) for total in sums])


def test_flipped_signs_of_many_examples() -> None:
    """Ten thousand changes: the normal approximation holds, and changes all one way leave no chance."""
    draw = np.random.default_rng(0)
    change = draw.integers(-10, 11, size=10_000) / 75 + (draw.random(10_000) < 0.05) / 75
    z = abs(change.sum()) / np.linalg.norm(change)

    assert sign_flip(change) == pytest.approx(2 * NormalDist().cdf(-z), rel=0.01)
    assert sign_flip(np.full(10_000, 0.3)) == 0
    assert sign_flip(np.full(100, 0.3)) == 2 / 2**100


def test_changes_that_are_no_shares_are_refused() -> None:
    """Their sums take too many values to count."""
    with pytest.raises(ValueError, match="multiples of a fraction"):
        sign_flip(np.array([0.5, np.pi / 10]))
