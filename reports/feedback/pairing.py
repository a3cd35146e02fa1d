"""Which answer without feedback an answer with feedback is compared with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from reports.subjects import Subject, final

WITHOUT = "without feedback"
"""Another network, which never had feedback."""
OFF = "0 iterations"
"""The same weights, asked after the first pass: with the feedback switched off."""


@dataclass(frozen=True)
class Pair:
    """An answer with feedback, and one without that it is compared with."""

    feedback: Subject
    without: Subject

    @property
    def comparator(self) -> str:
        """What the answer without feedback is: `WITHOUT` or `OFF`."""
        return OFF if self.feedback.identity == self.without.identity else WITHOUT


def pairs_of(rows: Sequence[Subject], partners: Mapping[str, str]) -> list[Pair]:
    """Return each answer with a model's most iterations, beside every answer without that it belongs to."""
    found = []
    for fed in _with_feedback(rows):
        found += [Pair(fed, plain) for plain in _partners_of(fed, rows, partners)]
        found += [Pair(fed, row) for row in rows if row.iterations == 0 and row.identity == fed.identity]
    return found


def left_out(rows: Sequence[Subject], partners: Mapping[str, str]) -> Iterator[str]:
    """Yield a note on each model with feedback that no network without can be found for."""
    for model in dict.fromkeys(fed.model for fed in _with_feedback(rows)):
        if any(_partners_of(fed, rows, partners) for fed in _with_feedback(rows) if fed.model == model):
            continue
        if model in partners:
            why = f"there is no record of {partners[model]}"
        else:
            why = "there are several" if _without_feedback(rows) else "there is none"
        yield f"{model} is not compared with a network without feedback: {why}"


def _partners_of(fed: Subject, rows: Sequence[Subject], partners: Mapping[str, str]) -> list[Subject]:
    """Return the networks without feedback that an answer is compared with.

    Of a model without a known partner it is the only one, if there is just one. A partner with several
    weights or settings is the one that shares those of the answer, else each of them.
    """
    plain = _without_feedback(rows)
    if fed.model not in partners:
        return plain if len(plain) == 1 else []
    own = [row for row in plain if row.model == partners[fed.model]]
    for shared in ("settings", "weights"):
        alike = [row for row in own if getattr(row, shared) == getattr(fed, shared)]
        own = alike if len(alike) == 1 else own
    return own


def _with_feedback(rows: Sequence[Subject]) -> list[Subject]:
    return [row for row in final(rows) if row.iterations > 0]


def _without_feedback(rows: Sequence[Subject]) -> list[Subject]:
    return [row for row in final(rows) if row.iterations == 0]
