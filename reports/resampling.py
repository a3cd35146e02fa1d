"""Intervals of numbers that are no means: the bootstrap over examples (Efron 1979); a test by signs."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
from jaxtyping import Float, Int

from reports.metrics import Interval
from reports.values import Mean

RESAMPLES = 1000
FINEST = 100_000
"""Parts of the finest fraction that changes may be multiples of; 19 kinds at 5 severities make 95."""


def bootstrap(
    statistic: Callable[[Int[np.ndarray, "r n"]], Float[np.ndarray, " r"]],
    examples: int,
    level: float = 0.95,
) -> Mean | None:
    """Return a statistic of all examples with its percentile interval over resampled ones.

    Args:
        statistic: Takes rows of indices of examples, with repetitions, to one number each.
        examples: How many there are.
        level: Coverage in (0, 1).

    Returns:
        None if the statistic of all examples is not finite. Resamples whose own is not are left out.
    """
    everyone = np.arange(examples)[None]
    value = float(statistic(everyone)[0])
    if not np.isfinite(value):
        return None
    drawn = np.random.default_rng(0).integers(examples, size=(RESAMPLES, examples))
    found = statistic(drawn)
    low, high = np.quantile(found[np.isfinite(found)], [(1 - level) / 2, (1 + level) / 2])
    return Mean(value, examples, Interval(float(low), float(high)))


def ratio(above: Float[np.ndarray, " n"], below: Float[np.ndarray, " n"]) -> Mean | None:
    """Return the mean of `above` over that of `below`, resampled in pairs; None where the latter is 0."""

    def statistic(rows: Int[np.ndarray, "r n"]) -> Float[np.ndarray, " r"]:
        with np.errstate(divide="ignore", invalid="ignore"):
            quotient: Float[np.ndarray, " r"] = above[rows].mean(1) / below[rows].mean(1)
        return quotient

    return bootstrap(statistic, len(above))


def difference(
    after: Float[np.ndarray, " n"],
    before: Float[np.ndarray, " n"],
    unit: float = 1.0,
    level: float = 0.95,
) -> Mean | None:
    """Return the mean of `after` less that of `before`, in parts of `unit`, resampled in pairs."""
    change = (after - before) / unit
    return bootstrap(lambda rows: change[rows].mean(1), len(change), level)


def sign_flip(change: Float[np.ndarray, " n"]) -> float:
    """Return the two-sided p-value of a mean change if each sign could as well have been the other.

    Fisher's randomisation test over all 2**n sets of signs (Fisher 1935), exact: shares of k images are
    multiples of 1/k, so sums of changes take few values, whose chances follow from one change after another.

    Args:
        change: A change per example, in [-1, 1].

    Raises:
        ValueError: If the changes are no multiples of one fraction.
    """
    steps = _steps(change)
    sizes, seen = np.sort(abs(steps[steps != 0])), abs(int(steps.sum()))
    total = int(sizes.sum())
    # Of the sum of the sizes whose sign is positive: twice that less the total is the sum of all.
    chances = np.zeros(total + 1)
    chances[0], reached = 1.0, 0
    for size in sizes.tolist():
        reached += size
        chances[: reached + 1] /= 2
        chances[size : reached + 1] += chances[: reached + 1 - size].copy()
    return min(1.0, 2 * float(chances[(total + seen) // 2 :].sum()))


def _steps(change: Float[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
    """Return changes as whole numbers of the largest step of which all are multiples."""
    values, places = np.unique(change, return_inverse=True)
    fractions = [Fraction(value).limit_denominator(FINEST) for value in values.tolist()]
    if not np.allclose([float(fraction) for fraction in fractions], values, rtol=0, atol=1e-12):
        raise ValueError(f"changes must be multiples of a fraction of at most {FINEST} parts")
    parts = math.lcm(*(fraction.denominator for fraction in fractions))
    whole = [fraction.numerator * (parts // fraction.denominator) for fraction in fractions]
    step = math.gcd(*whole) or 1
    return np.array([number // step for number in whole], dtype=np.int64)[places]
