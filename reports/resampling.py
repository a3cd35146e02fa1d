"""Intervals of numbers that are no means: the bootstrap over examples (Efron 1979)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Int

from reports.metrics import Interval
from reports.values import Mean

RESAMPLES = 1000


def bootstrap(
    statistic: Callable[[Int[np.ndarray, "r n"]], Float[np.ndarray, " r"]], examples: int
) -> Mean | None:
    """Return a statistic of all examples with its 95 % percentile interval over resampled ones.

    Args:
        statistic: Takes rows of indices of examples, with repetitions, to one number each.
        examples: How many there are.

    Returns:
        None if the statistic of all examples is not finite. Resamples whose own is not are left out.
    """
    everyone = np.arange(examples)[None]
    value = float(statistic(everyone)[0])
    if not np.isfinite(value):
        return None
    drawn = np.random.default_rng(0).integers(examples, size=(RESAMPLES, examples))
    found = statistic(drawn)
    low, high = np.percentile(found[np.isfinite(found)], [2.5, 97.5])
    return Mean(value, examples, Interval(float(low), float(high)))


def ratio(above: Float[np.ndarray, " n"], below: Float[np.ndarray, " n"]) -> Mean | None:
    """Return the mean of `above` over that of `below`, resampled in pairs; None where the latter is 0."""

    def statistic(rows: Int[np.ndarray, "r n"]) -> Float[np.ndarray, " r"]:
        with np.errstate(divide="ignore", invalid="ignore"):
            quotient: Float[np.ndarray, " r"] = above[rows].mean(1) / below[rows].mean(1)
        return quotient

    return bootstrap(statistic, len(above))


def difference(
    after: Float[np.ndarray, " n"], before: Float[np.ndarray, " n"], unit: float = 1.0
) -> Mean | None:
    """Return the mean of `after` less that of `before`, in parts of `unit`, resampled in pairs."""
    change = (after - before) / unit
    return bootstrap(lambda rows: change[rows].mean(1), len(change))


def sign_flip(change: Float[np.ndarray, " n"]) -> float:
    """Return the two-sided p-value of a mean change if each sign could as well have been the other.

    Fisher's randomisation test with 9,999 drawn sets of signs; the one seen counts as one of them.

    Args:
        change: A change per example.
    """
    generator = np.random.default_rng(0)
    seen = abs(change.sum())
    # A sum of the same terms in another order is not quite the same sum.
    at_least = seen - 1e-9 * np.abs(change).sum()
    more = sum(
        int(np.count_nonzero(np.abs(generator.choice((-1.0, 1.0), (101, len(change))) @ change) >= at_least))
        for _ in range(99)
    )
    return (1 + more) / (1 + 99 * 101)
