"""The per-example worst case: which examples stand against every attack."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from reports.archive import Outcomes
from reports.metrics import Accuracy
from reports.records import Record

if TYPE_CHECKING:
    import pandas as pd

Hits = dict[int, bool]
"""Example -> whether it is classified correctly."""


def hits(outcomes: pd.DataFrame) -> Hits:
    """Return which examples of one record's outcomes are classified correctly."""
    return dict(zip(outcomes["example"].tolist(), outcomes["is_correct"].tolist(), strict=True))


def survivors(attacks: Iterable[Mapping[int, bool]]) -> Hits:
    """Return which examples stand against every attack that they have met."""
    standing: Hits = {}
    for attack in attacks:
        for example, stands in attack.items():
            standing[example] = standing.get(example, True) and stands
    return standing


def worst_case(records: Iterable[Record], archive: Outcomes) -> Accuracy | None:
    """Return the share of examples that stand in every one of these records that has them; None without any.

    The examples are those of the record with most; an attack on fewer can only lower the number on those.

    Raises:
        RecordError: If outcomes are missing or damaged.
    """
    standing = survivors(hits(archive.read_outcomes(record)) for record in records)
    return Accuracy(sum(standing.values()), len(standing)) if standing else None
