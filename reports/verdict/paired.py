"""Two attacks on the same examples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from reports.statistics import mcnemar


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
        """One-sided exact p-value that the second attack is no stronger (`reports.statistics.mcnemar`)."""
        return mcnemar(self.only_second, self.only_first)
