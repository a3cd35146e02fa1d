"""Exact tests of counts, and of two attacks on the same examples."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass


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


@dataclass(frozen=True)
class Paired:
    """The same examples under two attacks."""

    n: int
    only_first: int
    """Examples that fall to the first attack and stand against the second."""
    only_second: int

    @classmethod
    def of(cls, first: Mapping[int, bool], second: Mapping[int, bool]) -> Paired:
        """Count over the examples that both attacks have met; the values say whether an example stands."""
        common = first.keys() & second.keys()
        only_first = sum(second[example] and not first[example] for example in common)
        only_second = sum(first[example] and not second[example] for example in common)
        return cls(len(common), only_first, only_second)

    @property
    def p_value(self) -> float:
        """One-sided exact p-value that the second attack is no stronger (McNemar 1947)."""
        return upper_tail(self.only_second, self.only_first + self.only_second, 0.5)
