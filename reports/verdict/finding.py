"""What a check has found."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from reports.records import Record

Status = Literal["pass", "FAIL", "not run"]

ALPHA = 0.01
"""A check fails if chance explains its numbers with at most this probability."""
MARGIN = 0.01
"""Share of the examples that a better attack may gain before the weaker one counts as too weak."""
TOLERATED = 0.1
"""Share of the inspected examples that may be out of line: hard gates and ties do happen."""


@dataclass(frozen=True)
class Finding:
    """The outcome of one check.

    Attributes:
        status: "not run" also where there are too few examples for the check to fail.
        numbers: What was counted, or why it was not run.
        doubted: Keys of the records whose numbers a failed check puts in doubt.
    """

    status: Status
    numbers: str
    doubted: frozenset[str] = frozenset()


def not_run(reason: str) -> Finding:
    """Return the finding of a check that could not be made."""
    return Finding("not run", reason)


def judged(is_failure: bool, numbers: str, doubted: Iterable[Record]) -> Finding:
    """Return the finding of a check that was made; the records are in doubt if it fails."""
    if is_failure:
        return Finding("FAIL", numbers, frozenset(record.key for record in doubted))
    return Finding("pass", numbers)
