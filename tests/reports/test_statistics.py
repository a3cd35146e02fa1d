from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.metrics import Accuracy
from reports.statistics import (
    difference_interval,
    holm,
    mcnemar,
    mcnemar_two_sided,
    paired_interval,
    upper_tail,
)


@pytest.mark.parametrize(
    ("ahead", "behind", "p"),
    [
        (0, 0, 1.0),
        (1, 0, 1 / 2),
        (0, 1, 1.0),
        (7, 0, 1 / 128),
        # 10 of 12: (66 + 12 + 1) / 4096.
        (10, 2, 79 / 4096),
        # 6 of 10: (210 + 120 + 45 + 10 + 1) / 1024.
        (6, 4, 386 / 1024),
        # Agresti, Categorical Data Analysis, approval of the prime minister (150 and 86 changed).
        (150, 86, pytest.approx(1.86e-5, rel=0.01)),
    ],
)
def test_mcnemar_by_hand(ahead, behind, p) -> None:
    """Sums of binomial coefficients over 2**n, counted by hand; a case of the literature."""
    assert mcnemar(ahead, behind) == p


@given(st.integers(1, 60), st.data())
def test_tails_are_sums_of_the_binomial(n, data) -> None:
    """The tail is what counting gives, also at its ends."""
    count, share = data.draw(st.integers(0, n)), data.draw(st.floats(0, 1))
    expected = sum(math.comb(n, k) * share**k * (1 - share) ** (n - k) for k in range(count, n + 1))

    assert upper_tail(count, n, share) == pytest.approx(expected, abs=1e-9)


@given(st.integers(0, 300), st.integers(0, 300))
def test_mcnemar_of_both_directions(ahead, behind) -> None:
    """At least `ahead` and at least `behind` overlap in exactly the outcome seen."""
    seen = math.comb(ahead + behind, ahead) / 2 ** (ahead + behind)

    assert mcnemar(ahead, behind) + mcnemar(behind, ahead) == pytest.approx(1 + seen)


@pytest.mark.parametrize("changed", range(60))
def test_mcnemar_holds_its_level(changed) -> None:
    """Where chance alone decides which way an example changes, p is at most alpha at most that often."""
    chances = [math.comb(changed, ahead) / 2**changed for ahead in range(changed + 1)]
    for alpha in (0.001, 0.01, 0.05, 0.3):
        false_alarms = sum(
            chance for ahead, chance in enumerate(chances) if mcnemar(ahead, changed - ahead) <= alpha
        )
        assert false_alarms <= alpha


def test_mcnemar_of_many_changes_is_a_number() -> None:
    """Ten thousand changes all one way: 2**-10000 is zero to a float, and no error."""
    assert mcnemar(10_000, 0) == 0
    assert mcnemar(5_000, 5_000) == pytest.approx(0.5, abs=0.005)


@pytest.mark.parametrize(("gained", "lost", "p"), [(7, 0, 1 / 64), (0, 7, 1 / 64), (3, 3, 1.0), (0, 0, 1.0)])
def test_mcnemar_two_sided_by_hand(gained, lost, p) -> None:
    """Twice the tail of the direction seen, and never more than certain."""
    assert mcnemar_two_sided(gained, lost) == p


def test_mcnemar_refuses_negative_counts() -> None:
    """Counts are counts."""
    with pytest.raises(ValueError, match="counts must be at least 0, got -1 and 2"):
        mcnemar(-1, 2)


@pytest.mark.parametrize(
    ("p_values", "adjusted"),
    [
        ([], []),
        ([0.03], [0.03]),
        # Sorted 0.005, 0.01, 0.03, 0.04 times 4, 3, 2, 1 is 0.02, 0.03, 0.06, 0.04; none below those before.
        ([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02]),
        ([0.6, 0.5, 1.0], [1.0, 1.0, 1.0]),
    ],
)
def test_holm_by_hand(p_values, adjusted) -> None:
    """Holm's steps, counted by hand; the order is kept."""
    assert holm(p_values) == pytest.approx(adjusted)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_is_between_nothing_and_bonferroni(p_values) -> None:
    """Adjusted values are never below p, never above m p, and keep the order of the p-values."""
    adjusted = holm(p_values)

    assert all(p <= a <= min(1, len(p_values) * p) for p, a in zip(p_values, adjusted, strict=True))
    assert sorted(range(len(p_values)), key=p_values.__getitem__) == sorted(
        range(len(p_values)), key=lambda index: (adjusted[index], p_values[index], index)
    )


@pytest.mark.parametrize(
    ("first", "second", "low", "high"),
    [
        # Newcombe, "Interval estimation for the difference between independent proportions", 1998, table II,
        # method 10, cases (a), (c), (e) and (g).
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((6, 7), (2, 7), 0.0582, 0.8062),
        ((5, 56), (0, 29), -0.0381, 0.1926),
        ((10, 10), (0, 20), 0.6791, 1.0),
    ],
)
def test_difference_interval_agrees_with_the_literature(first, second, low, high) -> None:
    """Newcombe's worked examples, to their four digits."""
    found = difference_interval(Accuracy(*first), Accuracy(*second), 0.95)

    assert found == pytest.approx((low, high), abs=6e-5)


@given(st.integers(1, 500), st.integers(1, 500), st.floats(0, 1), st.floats(0, 1))
def test_difference_interval_holds_the_difference_and_mirrors(n, m, share, other) -> None:
    """It contains the difference, lies in [-1, 1], and turns its sign with the order of the two."""
    first, second = Accuracy(round(share * n), n), Accuracy(round(other * m), m)
    low, high = difference_interval(first, second, 0.99)

    assert -1 - 1e-9 <= low <= first.share - second.share <= high <= 1 + 1e-9
    assert difference_interval(second, first, 0.99) == pytest.approx((-high, -low), abs=1e-9)


@pytest.mark.parametrize(
    ("counts", "low", "high"),
    [
        # Newcombe, "Improved confidence intervals for the difference between binomial proportions based on
        # paired data", 1998, its example of 36, 12, 2 and 0, method 10.
        ((36, 12, 2, 0), 0.0569, 0.3404),
        # Without a correlation it is the interval of independent samples, which test_difference_interval has.
        ((0, 0, 0, 10), -0.2775, 0.2775),
    ],
)
def test_paired_interval_agrees_with_the_literature(counts, low, high) -> None:
    """To four digits."""
    assert paired_interval(*counts) == pytest.approx((low, high), abs=6e-5)


counts = st.integers(0, 200)


@given(counts, counts, counts, counts.filter(bool))
def test_paired_interval_holds_the_difference_and_mirrors(both, first, second, neither) -> None:
    """It contains the difference, turns its sign with the order, and agreement makes it narrower."""
    n = both + first + second + neither
    low, high = paired_interval(both, first, second, neither)
    unpaired = difference_interval(Accuracy(both + first, n), Accuracy(both + second, n), 0.95)

    assert -1 - 1e-9 <= low <= (first - second) / n <= high <= 1 + 1e-9
    assert paired_interval(both, second, first, neither) == pytest.approx((-high, -low), abs=1e-9)
    if both * neither >= first * second:
        assert high - low <= unpaired.high - unpaired.low + 1e-9


def test_paired_interval_covers() -> None:
    """Of 2,000 drawn samples of 60 pairs, about 95 % give an interval with the true difference."""
    draw = np.random.default_rng(3)
    samples = draw.multinomial(60, (0.5, 0.2, 0.1, 0.2), size=2000)
    held = [low <= 0.1 <= high for low, high in (paired_interval(*map(int, sample)) for sample in samples)]

    assert np.mean(held) == pytest.approx(0.95, abs=0.015)
