"""Tests and intervals of comparisons, exact where the examples are paired, in closed form without scipy."""

from __future__ import annotations

import math
from collections.abc import Sequence

from reports.metrics import Accuracy, Interval, wilson


def upper_tail(count: int, n: int, share: float) -> float:
    """Return the probability of at least `count` successes in `n` trials of probability `share`.

    Args:
        count: From 0 to n.
        n: Trials.
        share: In [0, 1].
    """
    if count <= 0 or share == 1:
        return 1.0
    if share == 0:
        return 0.0
    log_hit, log_miss = math.log(share), math.log1p(-share)

    def log_ways(k: int) -> float:
        return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)

    terms = (math.exp(log_ways(k) + k * log_hit + (n - k) * log_miss) for k in range(count, n + 1))
    return min(1.0, math.fsum(terms))


def mcnemar(ahead: int, behind: int) -> float:
    """Return the exact one-sided p-value of McNemar's test (McNemar 1947).

    If an example were as likely to change one way as the other, `ahead` would be binomial with ahead + behind
    trials of chance 1/2. This is the chance of at least `ahead`.

    Args:
        ahead: Examples that changed in the direction asked about.
        behind: Examples that changed in the other one.

    Raises:
        ValueError: If a count is negative.
    """
    if ahead < 0 or behind < 0:
        raise ValueError(f"counts must be at least 0, got {ahead} and {behind}")
    changed = ahead + behind
    ways = total = math.comb(changed, ahead)
    for count in range(ahead, changed):
        ways = ways * (changed - count) // (count + 1)
        total += ways
    return total / 2**changed


def mcnemar_two_sided(gained: int, lost: int) -> float:
    """Return the exact two-sided p-value of McNemar's test: twice that of the direction seen, at most 1."""
    return min(1.0, 2 * mcnemar(max(gained, lost), min(gained, lost)))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values adjusted for their number, in the same order (Holm 1979).

    Rejecting those at most alpha keeps the chance of any false rejection at most alpha, however the tests
    depend on each other.
    """
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def difference_interval(first: Accuracy, second: Accuracy, level: float) -> Interval:
    """Return the interval of first - second, in [-1, 1], for two independent samples.

    Newcombe's hybrid of two Wilson intervals (Newcombe 1998, "Interval estimation for the difference between
    independent proportions", method 10).

    Args:
        first: One share.
        second: The share that is subtracted.
        level: Coverage in (0, 1).
    """
    low_1, high_1 = wilson(first.correct, first.n, level)
    low_2, high_2 = wilson(second.correct, second.n, level)
    difference = first.share - second.share
    return Interval(
        difference - math.hypot(first.share - low_1, high_2 - second.share),
        difference + math.hypot(high_1 - first.share, second.share - low_2),
    )


def paired_interval(
    both: int, only_first: int, only_second: int, neither: int, level: float = 0.95
) -> Interval:
    """Return the interval of first - second, in [-1, 1], for two shares of the same examples.

    Newcombe's hybrid of two Wilson intervals, with the correlation of the pairs, corrected for continuity
    (Newcombe 1998, "Improved confidence intervals for the difference between binomial proportions based on
    paired data", method 10). It has a width even where the two never differ.

    Args:
        both: Examples of which both are true.
        only_first: Examples of which only the first is.
        only_second: Examples of which only the second is.
        neither: Examples of which none is.
        level: Coverage in (0, 1).
    """
    n = both + only_first + only_second + neither
    first, second = Accuracy(both + only_first, n), Accuracy(both + only_second, n)
    low_1, high_1 = wilson(first.correct, n, level)
    low_2, high_2 = wilson(second.correct, n, level)
    below, above = first.share - low_1, high_1 - first.share
    other_below, other_above = second.share - low_2, high_2 - second.share
    phi = _correlation(both, only_first, only_second, neither)
    difference = (only_first - only_second) / n
    return Interval(
        difference - math.sqrt(below**2 - 2 * phi * below * other_above + other_above**2),
        difference + math.sqrt(above**2 - 2 * phi * above * other_below + other_below**2),
    )


def _correlation(both: int, only_first: int, only_second: int, neither: int) -> float:
    """Return the phi coefficient, a positive one drawn towards 0 as for half an example."""
    n = both + only_first + only_second + neither
    product: float = both * neither - only_first * only_second
    if product > 0:
        product = max(0.0, product - n / 2)
    margins = (both + only_first) * (only_second + neither) * (both + only_second) * (only_first + neither)
    return product / math.sqrt(margins) if margins else 0.0
