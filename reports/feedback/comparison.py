"""Two answers to the same images, and the tests of their difference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from reports.metrics import Accuracy, Interval, MeanAccuracy
from reports.resampling import difference, sign_flip
from reports.statistics import mcnemar_two_sided, paired_interval
from reports.values import Points

Shares = Mapping[int, float]
"""Example -> share of the images made of it that are classified correctly, in [0, 1]."""


@dataclass(frozen=True)
class Comparison:
    """One question put to an answer with feedback and to one without.

    Attributes:
        answer: The one with feedback.
        question: What was done to the images.
        without: A value in [0, 1] for each image that both have met.
        feedback: The same with feedback.
        choices: Like questions of which this one was chosen for its answers. The p-value and the interval
            allow for it (Bonferroni): they would hold for all of them at once.
    """

    answer: str
    question: str
    without: Float[np.ndarray, " n"]
    feedback: Float[np.ndarray, " n"]
    choices: int = 1

    @classmethod
    def of(
        cls, answer: str, question: str, without: Shares, feedback: Shares, choices: int = 1
    ) -> Comparison | None:
        """Pair by example; None if there is no common one."""
        common = sorted(without.keys() & feedback.keys())
        one, two = (np.array([float(shares[k]) for k in common]) for shares in (without, feedback))
        return cls(answer, question, one, two, choices) if common else None

    @property
    def n(self) -> int:
        """Images that both have met."""
        return len(self.without)

    @property
    def gained(self) -> int:
        """Images that are right more often with feedback."""
        return int(np.count_nonzero(self.feedback > self.without))

    @property
    def lost(self) -> int:
        """Images that are right less often with feedback."""
        return int(np.count_nonzero(self.feedback < self.without))

    @property
    def p_value(self) -> float:
        """Two-sided chance of such a difference if each image could as well have changed the other way."""
        if self._is_binary:
            p_value = mcnemar_two_sided(self.gained, self.lost)
        else:
            p_value = sign_flip(self.feedback - self.without)
        return min(1.0, self.choices * p_value)

    def points(self, is_clear: bool) -> Points:
        """Return the difference in points with its paired 95 % interval."""
        level = 1 - 0.05 / self.choices
        change = 100 * float((self.feedback - self.without).mean())
        if self._is_binary:
            both = int(np.count_nonzero(self.feedback * self.without))
            neither = self.n - both - self.gained - self.lost
            low, high = paired_interval(both, self.gained, self.lost, neither, level)
            return Points(change, is_clear, Interval(100 * low, 100 * high))
        resampled = difference(self.feedback, self.without, unit=0.01, level=level)
        return Points(change, is_clear, resampled.interval if resampled else None)

    @property
    def _is_binary(self) -> bool:
        return set(np.unique([self.feedback, self.without])) <= {0.0, 1.0}


def share(values: Float[np.ndarray, " n"]) -> Accuracy | MeanAccuracy:
    """Return the mean of values in [0, 1], as an accuracy if each is 0 or 1."""
    if set(np.unique(values)) <= {0.0, 1.0}:
        return Accuracy(int(values.sum()), len(values))
    return MeanAccuracy(tuple(values.tolist()))
