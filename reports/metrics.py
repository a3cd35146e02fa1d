"""Counts to numbers with intervals."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import NamedTuple


class Interval(NamedTuple):
    """Bounds of a proportion, in [0, 1]."""

    low: float
    high: float


@dataclass(frozen=True)
class Accuracy:
    """A share of correctly classified examples."""

    correct: int
    n: int

    def __post_init__(self) -> None:
        if not 0 <= self.correct <= self.n or self.n < 1:
            raise ValueError(f"need 0 <= correct <= n and n >= 1, got {self.correct} of {self.n}")

    @property
    def share(self) -> float:
        """Accuracy in [0, 1]."""
        return self.correct / self.n

    @property
    def interval(self) -> Interval:
        """The 95 % Wilson interval."""
        return wilson(self.correct, self.n)


def wilson(correct: int, n: int, level: float = 0.95) -> Interval:
    """Return the Wilson score interval of a proportion (Wilson 1927).

    Args:
        correct: Successes.
        n: Trials, at least 1.
        level: Coverage in (0, 1).
    """
    z = NormalDist().inv_cdf((1 + level) / 2)
    share = correct / n
    center = share + z**2 / (2 * n)
    half = z * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    scale = 1 + z**2 / n
    return Interval(max(0.0, (center - half) / scale), min(1.0, (center + half) / scale))
