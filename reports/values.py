"""What can stand in a cell of a table beside an accuracy."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

from reports.metrics import Accuracy, Interval, MeanAccuracy, wilson


@dataclass(frozen=True)
class Claim:
    """An accuracy that others have published."""

    percent: float
    n: int
    """Images behind it, as far as its authors' code tells."""

    @property
    def interval(self) -> Interval:
        """The 95 % Wilson interval, in [0, 1]."""
        return Accuracy(round(self.n * self.percent / 100), self.n).interval


@dataclass(frozen=True)
class Points:
    """A difference of two accuracies in percentage points."""

    points: float
    is_clear: bool = False
    """Whether chance does not explain it, by the rule that the table's notes give."""
    interval: Interval | None = None
    """95 %, in points; None where the two were not paired."""


@dataclass(frozen=True)
class PValue:
    """The chance of what was seen, or more, if nothing were behind it."""

    p: float


@dataclass(frozen=True)
class Doubted(Accuracy):
    """An accuracy that a failed check puts in doubt."""


@dataclass(frozen=True)
class Remark:
    """Words in place of a number."""

    text: str
    details: str = ""


@dataclass(frozen=True)
class Share:
    """A share of examples of which something is true that is neither good nor bad."""

    count: int
    n: int

    @property
    def share(self) -> float:
        """In [0, 1]."""
        return self.count / self.n

    @property
    def interval(self) -> Interval:
        """The 95 % Wilson interval."""
        return wilson(self.count, self.n)


@dataclass(frozen=True)
class Mean:
    """A mean over examples of something that is not an accuracy."""

    mean: float
    n: int
    interval: Interval | None
    """None for a single example."""

    @classmethod
    def of(cls, values: list[float]) -> Mean | None:
        """Return the mean of the finite values with its 95 % interval by the normal approximation."""
        finite = [value for value in values if math.isfinite(value)]
        n = len(finite)
        if n == 0:
            return None
        mean = math.fsum(finite) / n
        variance = math.fsum((value - mean) ** 2 for value in finite) / max(1, n - 1)
        half = NormalDist().inv_cdf(0.975) * math.sqrt(variance / n)
        return cls(mean, n, Interval(mean - half, mean + half) if n > 1 else None)


Value = Accuracy | MeanAccuracy | Share | Claim | Points | PValue | Mean | Remark

DAGGER = "\N{DAGGER}"


@dataclass(frozen=True)
class Texts:
    """A value as text: the number, and what is said under it."""

    number: str
    details: tuple[str, ...] = ()


def texts(value: Value) -> Texts:
    """Return a value as text, accuracies in percent."""
    match value:
        case Claim():
            return Texts(f"{value.percent:.1f}", ("published",))
        case Points():
            interval = () if value.interval is None else ("[{:+.1f}, {:+.1f}]".format(*value.interval),)
            return Texts(f"{value.points:+.1f}{'*' if value.is_clear else ''}", interval)
        case PValue():
            return Texts("< 0.0001" if value.p < 1e-4 else f"{value.p:.2g}")
        case Mean():
            interval = () if value.interval is None else ("[{:.3f}, {:.3f}]".format(*value.interval),)
            return Texts(f"{value.mean:.3f}", (*interval, f"n={value.n}"))
        case Remark():
            return Texts(value.text, (f"({value.details})",) if value.details else ())
    low, high = value.interval
    mark = DAGGER if isinstance(value, Doubted) else ""
    return Texts(f"{100 * value.share:.1f}{mark}", (f"[{100 * low:.1f}, {100 * high:.1f}]", f"n={value.n}"))


Fields = dict[str, float | str | bool | None]


def fields(value: Value) -> Fields:
    """Return a value as data; `value`, `low` and `high` are in `unit`."""
    match value:
        case Claim():
            return _fields("percent, published", value.percent, _percent(value.interval), value.n)
        case Points():
            return _fields("points", value.points, value.interval) | {"is_clear": value.is_clear}
        case PValue():
            return _fields("p", value.p, digits=6)
        case Mean():
            return _fields("mean", value.mean, value.interval, value.n, digits=6)
        case Remark():
            return {"unit": "words", "value": value.text, "details": value.details}
    numbers = _fields("percent", 100 * value.share, _percent(value.interval), value.n)
    if isinstance(value, Doubted):
        numbers |= {"is_doubted": True}
    return numbers if isinstance(value, Share) else numbers | {"correct": round(value.correct, 6)}


def _percent(interval: Interval) -> Interval:
    return Interval(100 * interval.low, 100 * interval.high)


def _fields(
    unit: str, value: float, interval: Interval | None = None, n: int | None = None, digits: int = 2
) -> Fields:
    low, high = (None, None) if interval is None else (round(bound, digits) for bound in interval)
    return {"unit": unit, "value": round(value, digits), "low": low, "high": high, "n": n}
