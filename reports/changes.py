"""Two answers to the same examples: the differences in points, and which of them chance does not explain."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool

from reports.metrics import Interval
from reports.statistics import holm, mcnemar_two_sided, paired_interval
from reports.values import Points

ALPHA = 0.05
"""Largest adjusted p-value of a difference that is called clear."""
RULE = (
    "in points, with the 95 % interval for paired shares of each row by itself; * where the exact two-sided "
    f"McNemar test, adjusted by Holm's method over the rows, gives at most {ALPHA}"
)
"""What must be said beside such differences."""
Pair = tuple[Bool[np.ndarray, " n"], Bool[np.ndarray, " n"]]
"""Which examples were right before, and which are after."""


def changes(pairs: Sequence[Pair]) -> list[Points]:
    """Return the differences of the rows of one table, after less before, judged together."""
    counts = [_count(before, after) for before, after in pairs]
    adjusted = holm([mcnemar_two_sided(gained, lost) for _, gained, lost, _ in counts])
    return [_points(*found, p <= ALPHA) for found, p in zip(counts, adjusted, strict=True)]


def balance(changes: Sequence[Points]) -> str:
    """Return how many of the differences are clearly above 0, clearly below, and neither."""
    helps = sum(change.is_clear and change.points > 0 for change in changes)
    hurts = sum(change.is_clear and change.points < 0 for change in changes)
    unclear = len(changes) - helps - hurts
    return f"of {len(changes)} rows feedback helps in {helps}, hurts in {hurts}, and {unclear} are not clear"


def _count(before: Bool[np.ndarray, " n"], after: Bool[np.ndarray, " n"]) -> tuple[int, int, int, int]:
    """Return how many are right both times, after only, before only, and never."""
    both, gained, lost = (
        int(np.count_nonzero(found)) for found in (before & after, after & ~before, before & ~after)
    )
    return both, gained, lost, len(before) - both - gained - lost


def _points(both: int, gained: int, lost: int, neither: int, is_clear: bool) -> Points:
    low, high = paired_interval(both, gained, lost, neither)
    n = both + gained + lost + neither
    return Points(100 * (gained - lost) / n, is_clear, Interval(100 * low, 100 * high))
