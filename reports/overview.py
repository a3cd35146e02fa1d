"""One line per answer and suite: what a reader compares first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reports.archive import Archive
from reports.attacks_run import attack_name, attacked, untouched
from reports.catalogue import groups
from reports.corruption_table import alike, clean_accuracy, hits_by_kind, mean_over
from reports.metrics import Accuracy
from reports.records import Record
from reports.subjects import Subject, subject, subjects
from reports.values import Value
from reports.worst_case import worst_case


@dataclass(frozen=True)
class Line:
    """What one answer reaches under one suite; None where nothing was measured."""

    answer: Subject
    suite: str
    dataset: str
    seed: int
    checkpoint: str
    clean: Accuracy | None
    weakest: Accuracy | None
    """The lowest mean accuracy over the attacks run on most examples."""
    weakest_attack: str
    worst_case: Accuracy | None
    """What survives every attack, example by example."""
    corrupted: Value | None
    """Mean over the kinds and severities of corruption that were shown to any answer of the suite."""


def overview(archive: Archive) -> list[Line]:
    """Return the lines of all suites but those that measure something else than answers.

    Raises:
        RecordError: If outcomes are missing or damaged.
    """
    lines = []
    for (suite, _, dataset, seed), group in groups(archive.records).items():
        ok = [r for r in group if r.status == "ok" and r.cell.probe is None]
        rows = subjects(ok)
        own = [[record for record in ok if subject(record) == row] for row in rows]
        for row, records, corrupted in zip(rows, own, _corrupted(own, archive), strict=True):
            lines.append(_line(row, suite, dataset, seed, records, corrupted, archive))
    return lines


def _corrupted(groups: Sequence[Sequence[Record]], archive: Archive) -> list[Value | None]:
    """Return the mean over all corruptions of each answer, over images that all answers have met."""
    found = [hits_by_kind(records, archive) for records in groups]
    kinds = sorted({kind for hits in found for kind in hits})
    return [mean_over(hits, kinds) if kinds else None for hits in alike(found)]


def _line(
    row: Subject,
    suite: str,
    dataset: str,
    seed: int,
    records: Sequence[Record],
    corrupted: Value | None,
    archive: Archive,
) -> Line:
    # Attacks at several radii have no single minimum.
    under_attack = attacked(records) if _radii(records) == 1 else []
    most = max((record.n for record in under_attack), default=0)
    weakest = min((r for r in under_attack if r.n == most), key=lambda r: r.correct / r.n, default=None)
    return Line(
        answer=row,
        suite=suite,
        dataset=dataset,
        seed=seed,
        checkpoint=records[0].provenance.checkpoint,
        clean=clean_accuracy(records),
        weakest=Accuracy(weakest.correct, weakest.n) if weakest else None,
        weakest_attack=_name(weakest) if weakest else "",
        worst_case=worst_case([*untouched(records), *under_attack], archive),
        corrupted=corrupted,
    )


def _radii(records: Sequence[Record]) -> int:
    return len({r.cell.perturbation.settings["epsilon"] for r in attacked(records) if r.cell.perturbation})


def _name(record: Record) -> str:
    done = record.cell.perturbation
    knows = f"from {record.cell.source}" if record.cell.is_transfer else record.cell.attack_target
    return f"{attack_name(done)} ({knows})" if done else ""
