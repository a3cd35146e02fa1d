"""Counts to numbers with intervals."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import NamedTuple, TypeVar


class Interval(NamedTuple):
    """Bounds of a proportion, in [0, 1], or of another mean, in its unit."""

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


@dataclass(frozen=True)
class MeanAccuracy:
    """A mean over examples of the share of cells in which each was classified correctly.

    Each example meets several corruptions, so the trials are not independent; the examples are.
    """

    shares: tuple[float, ...]
    """One share in [0, 1] per example."""

    @property
    def n(self) -> int:
        """Examples."""
        return len(self.shares)

    @property
    def correct(self) -> float:
        """Sum of the shares."""
        return math.fsum(self.shares)

    @property
    def share(self) -> float:
        """Mean in [0, 1]."""
        return self.correct / self.n

    @property
    def interval(self) -> Interval:
        """The 95 % Wilson interval of the effective number of examples.

        That is how many hits and misses have the variance of this mean (Korn & Graubard 1998): the examples
        themselves if each was always right or always wrong, more if the cells of an example differ. Where
        all shares are the same, which says nothing of the next example's, it is the examples themselves too.
        """
        largest = self.share * (1 - self.share)
        variance = _variance(self.shares)
        parts = largest / variance if 0 < variance < largest else 1.0
        return wilson(self.correct * parts, self.n * parts)


AnyAccuracy = TypeVar("AnyAccuracy", bound=Accuracy | MeanAccuracy)


def lowest(accuracies: Iterable[AnyAccuracy | None]) -> AnyAccuracy | None:
    """Return the lowest of the accuracies on most examples, for one on a few says little about the rest."""
    measured = [value for value in accuracies if value]
    most = max((value.n for value in measured), default=0)
    return min((value for value in measured if value.n == most), key=lambda v: v.share, default=None)


ALEXNET_ERRORS = {
    "gaussian_noise": 0.886428,
    "shot_noise": 0.894468,
    "impulse_noise": 0.922640,
    "defocus_blur": 0.819880,
    "glass_blur": 0.826268,
    "motion_blur": 0.785948,
    "zoom_blur": 0.798360,
    "snow": 0.866816,
    "frost": 0.826572,
    "fog": 0.819324,
    "brightness": 0.564592,
    "contrast": 0.853204,
    "elastic_transform": 0.646056,
    "pixelate": 0.717840,
    "jpeg_compression": 0.606500,
}
"""Mean errors of AlexNet over the severities of ImageNet-C (Hendrycks & Dietterich 2019), the 15 kinds."""
ALEXNET_CLEAN_ERROR = 0.4345


def mean_corruption_error(errors: Mapping[str, float]) -> float:
    """Return the mCE: the mean over the 15 kinds of error over AlexNet's error (Hendrycks & Dietterich 2019).

    Args:
        errors: Kind to mean error over severities on ImageNet-C, in [0, 1]; other kinds are left out.

    Raises:
        ValueError: If one of the 15 kinds is missing.
    """
    return _mean(_of_benchmark(errors, kind) / reference for kind, reference in ALEXNET_ERRORS.items())


def relative_mean_corruption_error(errors: Mapping[str, float], clean_error: float) -> float:
    """Return the relative mCE: as the mCE, with clean errors subtracted on both sides."""
    return _mean(
        (_of_benchmark(errors, kind) - clean_error) / (reference - ALEXNET_CLEAN_ERROR)
        for kind, reference in ALEXNET_ERRORS.items()
    )


def mean_error(errors: Mapping[str, float]) -> float:
    """Return the plain mean error over the 15 kinds, as CIFAR-10-C is reported."""
    return _mean(_of_benchmark(errors, kind) for kind in ALEXNET_ERRORS)


def _variance(values: Sequence[float]) -> float:
    """Return the variance of what a sample was drawn from; 0 for a single value."""
    mean = math.fsum(values) / len(values)
    return math.fsum((value - mean) ** 2 for value in values) / max(1, len(values) - 1)


def _of_benchmark(errors: Mapping[str, float], kind: str) -> float:
    if kind not in errors:
        raise ValueError(f"a mean over the 15 corruptions needs {kind!r}")
    return errors[kind]


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return math.fsum(found) / len(found)


def wilson(correct: float, n: float, level: float = 0.95) -> Interval:
    """Return the Wilson score interval of a proportion (Wilson 1927).

    Args:
        correct: Successes; an effective number of them need not be whole.
        n: Trials, at least 1.
        level: Coverage in (0, 1).
    """
    z = NormalDist().inv_cdf((1 + level) / 2)
    share = correct / n
    center = share + z**2 / (2 * n)
    half = z * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    scale = 1 + z**2 / n
    return Interval(max(0.0, (center - half) / scale), min(1.0, (center + half) / scale))
