"""Which record answers the question of a baseline cell, and why none can be compared with it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from reports.archive import Outcomes
from reports.cell import Cell
from reports.gate.baseline import Baseline, BaselineCell, answers
from reports.gate.naming import changes_of, differences, question
from reports.records import Record, RecordError

NEAREST = 3
"""A missing cell is explained by the nearest one that was measured, if no more fields differ."""


class Change(NamedTuple):
    """What is not the same model as before."""

    what: str
    """"weights" or "settings"."""
    model: str
    values: str
    """In the baseline and now."""

    def __str__(self) -> str:
        return f"{self.what} of {self.model} {self.values}"


@dataclass(frozen=True)
class MatchedCell:
    """A baseline cell and the same question answered now, example by example.

    Attributes:
        before: Whether each example was right in the baseline.
        now: Whether each example is right now.
        is_changed: Whether each example is answered by another class than before.
        changes: What changed in the models behind the answers.
    """

    cell: Cell
    before: np.ndarray
    now: np.ndarray
    is_changed: np.ndarray
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True)
class Incomparable:
    """A baseline cell that nothing can be said about."""

    cell: Cell
    reason: str


@dataclass
class Matcher:
    """Pairs the cells of a baseline with the records of a run.

    Attributes:
        baseline: What is compared with.
        store: Where the outcomes of the records lie.
        compares_weights: Whether other weights and settings are compared all the same.
        takes_any_seed: Whether a record may have another seed than the baseline.
    """

    baseline: Baseline
    store: Outcomes
    compares_weights: bool = False
    takes_any_seed: bool = False
    _records: dict[str, list[Record]] = field(default_factory=lambda: defaultdict(list))

    def match(self, records: Iterable[Record]) -> list[MatchedCell | Incomparable]:
        """Return one answer for each cell of the baseline, in its order."""
        for record in records:
            self._records[self._question(record.cell)].append(record)
        return [self._match(known) for known in self.baseline.cells]

    def unmatched(self) -> int:
        """Return the number of records whose question is not in the baseline."""
        asked = {self._question(known.cell) for known in self.baseline.cells}
        return sum(len(found) for question, found in self._records.items() if question not in asked)

    def _question(self, cell: Cell) -> str:
        return question(cell, *(("seed",) if self.takes_any_seed else ()))

    def _match(self, known: BaselineCell) -> MatchedCell | Incomparable:
        candidates = self._records.get(self._question(known.cell), [])
        if not candidates:
            return Incomparable(known.cell, self._absence(known.cell))
        if len(candidates) > 1:
            # The newest is not always the one that was meant: an unchanged run does not measure again.
            return Incomparable(
                known.cell,
                f"the results hold {len(candidates)} versions of it, of other weights, settings, images or "
                "seeds: check the folder of one run",
            )
        reason = self._obstacle(known.cell, candidates[0])
        return Incomparable(known.cell, reason) if reason else self._pair(known, candidates[0])

    def _absence(self, cell: Cell) -> str:
        """Say that a cell is missing, and what the nearest one that was measured asks instead."""
        others = (record.cell for found in self._records.values() for record in found)
        changes = [differences(cell, other) for other in others if other.model == cell.model]
        nearest = min(changes, key=len, default=[])
        if not 1 <= len(nearest) <= NEAREST:
            return "missing from the results"
        return f"missing from the results; the nearest cell differs in {'; '.join(nearest)}"

    def _obstacle(self, cell: Cell, record: Record) -> str | None:
        """Return why a record of the same question cannot be compared, if it cannot."""
        if record.status == "error":
            return f"failed: {record.error}"
        if record.cell.data != cell.data:
            return f"other images or labels: data {cell.data[:12]}, now {record.cell.data[:12]}"
        changes = _changes(cell, record.cell)
        if changes and not self.compares_weights:
            return f"{'; '.join(map(str, changes))} (--compare-weights compares them)"
        return None

    def _pair(self, known: BaselineCell, record: Record) -> MatchedCell | Incomparable:
        try:
            labels, predictions = map(np.asarray, answers(record, self.store))
        except RecordError as error:
            return Incomparable(known.cell, str(error))
        truth, before = np.asarray(self.baseline.labels[known.cell.data]), np.asarray(known.predictions)
        if moved := np.count_nonzero(labels != truth):
            # The hash is of what was planned for; the outcomes tell what the answers were held against.
            return Incomparable(known.cell, f"{moved} labels differ, though the hash of the data is the same")
        return MatchedCell(
            known.cell,
            before=before == truth,
            now=predictions == truth,
            is_changed=predictions != before,
            changes=_changes(known.cell, record.cell),
        )


def _changes(before: Cell, now: Cell) -> tuple[Change, ...]:
    """Return what changed in the scored model and in the attacker's, each model's once."""
    both = (
        (before.model, (before.weights, now.weights), (before.settings, now.settings)),
        (
            before.source or "",
            (before.source_weights or "", now.source_weights or ""),
            (before.source_settings, now.source_settings),
        ),
    )
    found = []
    for model, (old, new), settings in both:
        if old != new:
            found.append(Change("weights", model, f"{old[:12]}, now {new[:12]}"))
        if told := changes_of(*settings):
            found.append(Change("settings", model, ", ".join(told)))
    return tuple(dict.fromkeys(found))
