"""Which tables and figures there are. To add one, write its maker in a module and name it here."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from reports import leaderboard
from reports.archive import Archive
from reports.attack_matrix import attack_map, attack_matrix
from reports.attack_tables import cascade_tables, transfer_tables
from reports.cnnf_paper import adversarial_tables
from reports.consistency import consistency_figures, consistency_tables
from reports.corruption_figures import corruption_bars, iteration_curves, severity_curves
from reports.corruption_table import corruption_tables
from reports.epsilon_curves import epsilon_figures, epsilon_table, iteration_figures, target_figures
from reports.failed import failed_cells
from reports.feedback import feedback_figures, feedback_tables
from reports.figures import Figure, filled
from reports.predify_views import (
    attack_figures,
    corruption_curves,
    noise_figures,
    predify_tables,
    projection_figures,
)
from reports.published import beside_published
from reports.records import Record, Store
from reports.restoration_table import restoration_tables
from reports.subjects import provenance
from reports.tables import Table
from reports.verdict import verdict_tables

Made = TypeVar("Made", bound=Table | Figure)
Maker = Callable[[Sequence[Record], Any], list[Made]]
"""(records of one suite, version, dataset and seed, the archive they are from) to what they show."""
ATTACKS = ("adversarial", "cnnf-paper", "pgd", "smoke")
"""Suites of attacks at one epsilon each."""
PREDIFY = ("predify-attacks", "predify-corruptions", "predify-noise", "predify-paper", "predify-projection")
FEEDBACK = ("clean", *ATTACKS, "autoattack", "strongest", "epsilons", "corruptions")
"""Suites that put the same questions to networks with feedback and without."""
PAIRED = (
    "a network with feedback beside its partner, beside the only network without feedback if it has none, or "
    "beside its own answers after 0 iterations, on the same images"
)


@dataclass(frozen=True)
class Kind(Generic[Made]):
    """A table or a figure that the records of some suites give."""

    summary: str
    suites: tuple[str, ...]
    make: Maker[Made]
    needs: str = ""
    """What records of these suites must hold, where not all of them give something to show."""

    def of(self, records: Sequence[Record], archive: Archive | Store) -> list[Made]:
        """Return what records of one suite, version, dataset and seed give."""
        return self.make(records, archive)


class _FigureKind(Kind[Figure]):
    """A figure; of what has no points nothing is drawn."""

    def of(self, records: Sequence[Record], archive: Archive | Store) -> list[Figure]:
        return [figure for found in self.make(records, archive) if (figure := filled(found))]


class _TableKind(Kind[Table]):
    """A table; that of a suite is shown even if every cell has failed."""

    def of(self, records: Sequence[Record], archive: Archive | Store) -> list[Table]:
        shown = self.make(records, archive)
        if not shown and TABLES[main_table(records[0].cell.suite)] is self:
            shown = failed_cells(records)
        # A table of failed cells alone is made of no record.
        return [t if t.provenance else replace(t, provenance=tuple(provenance(records))) for t in shown]


TABLES: dict[str, Kind[Table]] = {
    "paper": _TableKind("CNN-F's columns, and beyond them", ("clean", *ATTACKS), adversarial_tables),
    "published": _TableKind(
        "CNN-F beside its authors' numbers", ("adversarial", "cnnf-paper"), beside_published
    ),
    "matrix": _TableKind("every attack against every answer", ATTACKS, attack_matrix),
    "cascades": _TableKind("what each attack leaves standing", ("autoattack", "strongest"), cascade_tables),
    "transfer": _TableKind("every network against every other", ("transfer",), transfer_tables),
    "epsilons": _TableKind("accuracy against epsilon", ("epsilons",), epsilon_table),
    "corruptions": _TableKind("accuracy by corruption", ("corruptions",), corruption_tables),
    "consistency": _TableKind("CNN-F's self-consistency", ("consistency",), consistency_tables),
    "predify": _TableKind("the experiments of the Predify paper", PREDIFY, predify_tables),
    "restoration": _TableKind("distance of restored images", ("restoration",), restoration_tables),
    "feedback": _TableKind("what feedback buys, image by image", FEEDBACK, feedback_tables, PAIRED),
    "verdict": _TableKind("whether the numbers can be believed", ("verdict",), verdict_tables),
    "leaderboard": _TableKind("RobustBench's columns", leaderboard.SUITES, leaderboard.leaderboard),
}
"""Name -> table. The first that shows a suite is what `bench report` prints of it."""
FIGURES: dict[str, Kind[Figure]] = {
    "matrix": _FigureKind("every attack against every answer", ATTACKS, attack_map),
    "feedback": _FigureKind("what feedback buys, in points", FEEDBACK, feedback_figures, PAIRED),
    "epsilons": _FigureKind("accuracy against epsilon, a line per model", ("epsilons",), epsilon_figures),
    "targets": _FigureKind("the same by what the attacker differentiates", ("epsilons",), target_figures),
    "iterations": _FigureKind("accuracy against test iterations", ("epsilons",), iteration_figures),
    "corruptions": _FigureKind("accuracy by corruption, bars", ("corruptions",), corruption_bars),
    "severities": _FigureKind("19 panels over severity", ("corruptions",), severity_curves),
    "corruption-iterations": _FigureKind("19 panels over iterations", ("corruptions",), iteration_curves),
    "consistency": _FigureKind(
        "CNN-F's self-consistency by iteration", ("consistency",), consistency_figures
    ),
    "predify-noise": _FigureKind("accuracy under noise by iteration", PREDIFY, noise_figures),
    "predify-corruptions": _FigureKind(
        "corruption error relative to iteration 0", PREDIFY, corruption_curves
    ),
    "predify-attacks": _FigureKind("success of the targeted BIM by iteration", PREDIFY, attack_figures),
    "predify-projection": _FigureKind("distance of noisy representations", PREDIFY, projection_figures),
}
"""Name -> figure."""

Group = tuple[str, int, str, int]
"""Suite, its version, dataset, seed: records that may stand in one table."""


def main_table(suite: str) -> str:
    """Return the name of the table that shows a suite when none is asked for."""
    return next((name for name, kind in TABLES.items() if suite in kind.suites), "paper")


def tables_of(records: Iterable[Record], archive: Archive | Store) -> list[Table]:
    """Return the main table of every suite, suite version, dataset and seed that the records hold.

    Raises:
        RecordError: If a table needs outcomes that are missing or damaged.
    """
    return [
        table
        for (suite, *_), group in groups(records).items()
        for table in TABLES[main_table(suite)].of(group, archive)
    ]


def made(kinds: dict[str, Kind[Made]], name: str, archive: Archive) -> Iterator[tuple[str, list[Made]]]:
    """Yield what one kind of table or figure shows of each group of records, under a name for a file.

    Raises:
        RecordError: If outcomes are missing or damaged.
    """
    kind, every = kinds[name], groups(archive.records)
    for group in every:
        if group[0] in kind.suites and (shown := kind.of(every[group], archive)):
            yield "_".join([name, *_what_tells_apart(group, list(every))]), shown


def groups(records: Iterable[Record]) -> dict[Group, list[Record]]:
    """Return the records that may stand in one table together."""
    found: dict[Group, list[Record]] = defaultdict(list)
    for record in records:
        cell = record.cell
        found[cell.suite, cell.suite_version, cell.dataset, cell.seed].append(record)
    return dict(sorted(found.items()))


def _what_tells_apart(group: Group, every: list[Group]) -> list[str]:
    """Return suite and dataset, and version and seed where there are several."""
    suite, version, dataset, seed = group
    alike = [other for other in every if (other[0], other[2]) == (suite, dataset)]
    parts = [suite, dataset]
    if len({other[1] for other in alike}) > 1:
        parts.append(f"v{version}")
    if len({other[3] for other in alike}) > 1:
        parts.append(f"seed{seed}")
    return parts
