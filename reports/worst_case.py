"""The per-example worst case: which examples stand against every attack."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from reports.archive import Outcomes
from reports.attacks_run import attacked, untouched
from reports.metrics import Accuracy
from reports.records import Record

if TYPE_CHECKING:
    import pandas as pd

Hits = dict[int, bool]
"""Example -> whether it is classified correctly."""


def hits(outcomes: pd.DataFrame) -> Hits:
    """Return which examples of one record's outcomes are classified correctly."""
    return dict(zip(outcomes["example"].tolist(), outcomes["is_correct"].tolist(), strict=True))


def survivors(attacks: Iterable[Mapping[int, bool]], clean: Iterable[Mapping[int, bool]] = ()) -> Hits:
    """Return which examples stand against every attack that they have met.

    An attacker may leave an image as it is: one that is wrong among the clean ones does not stand.
    """
    found: Hits = {}
    for attack in attacks:
        for example, stands in attack.items():
            found[example] = found.get(example, True) and stands
    for answers in clean:
        for example in found.keys() & answers.keys():
            found[example] = found[example] and answers[example]
    return found


def met_all(groups: Sequence[Mapping[int, object]]) -> list[int]:
    """Return the examples that are in every group; none without a group."""
    return sorted(set.intersection(*map(set, groups))) if groups else []


def standing(records: Iterable[Record], archive: Outcomes) -> Hits:
    """Return which examples stand against every attack run on them; none without an attack.

    Args:
        records: Attacks on one scored answer, and its clean images, which count as an attack that does
            nothing; others are left out.
        archive: Where their outcomes lie.

    The examples are those of the attack with most; an attack on fewer can only lower the number on those.

    Raises:
        RecordError: If outcomes are missing or damaged.
    """
    records = list(records)
    attacks, clean = (
        [hits(archive.read_outcomes(record)) for record in found]
        for found in (attacked(records), untouched(records))
    )
    return survivors(attacks, clean)


def worst_case(records: Iterable[Record], archive: Outcomes) -> Accuracy | None:
    """Return the share of examples that stand (see `standing`); None without an attack."""
    found = standing(records, archive)
    return Accuracy(sum(found.values()), len(found)) if found else None
