"""Who a number is about, and what must be said beside it: shared by all tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from reports.records import Provenance, Record


@dataclass(frozen=True)
class Subject:
    """A scored answer: one row of a table."""

    label: str
    model: str
    weights: str
    iterations: int
    readout: str


def subject(record: Record) -> Subject:
    """Return the scored answer that a record is about."""
    cell = record.cell
    return Subject(record.label, cell.model, cell.weights, cell.iterations, cell.readout)


def subjects(records: Iterable[Record]) -> list[Subject]:
    """Return all scored answers, networks without feedback first."""

    def order(row: Subject) -> tuple[bool, str, str, int, bool]:
        return (row.iterations > 0, row.model, row.weights, row.iterations, row.readout == "avg")

    return sorted({subject(record) for record in records}, key=order)


def labels_of(rows: Sequence[Subject]) -> dict[Subject, str]:
    """Name rows as the paper does, adding just what tells two of them apart."""
    labels = {}
    for row in rows:
        label = row.label
        if len({other.model for other in rows if other.label == row.label}) > 1:
            label += f" {row.model}"
        same_model = [other for other in rows if other.model == row.model]
        if len({other.weights for other in same_model}) > 1:
            label += f" {row.weights[:8]}"
        if len({other.iterations for other in same_model}) > 1:
            label += f", {row.iterations} iterations"
        labels[row] = f"{label} ({row.readout})" if row.iterations else label
    return labels


def failures(records: Iterable[Record]) -> list[str]:
    """Return notes on cells that failed and answers that were no numbers."""
    records = list(records)
    failed = [record for record in records if record.status == "error"]
    nonfinite = sum(record.nonfinite for record in records)
    notes = []
    if failed:
        notes.append(f"{len(failed)} cells failed and are shown as a dash; first error: {failed[0].error}")
    if nonfinite:
        notes.append(f"{nonfinite} answers had NaN or infinite logits and count as wrong")
    return notes


def provenance(records: Sequence[Record]) -> list[str]:
    """Return what was run, on how many examples, with which weights, software and machines."""
    runs = sorted({(r.cell.suite, r.cell.suite_version, r.cell.seed) for r in records})
    sizes = sorted({r.n for r in records})
    weights = sorted(
        {f"{r.cell.model} ({r.provenance.checkpoint}, sha256 {r.cell.weights[:12]})" for r in records}
    )
    made = sorted({_software(r.provenance) for r in records})
    return [
        *(f"suite {suite}, version {version}, seed {seed}" for suite, version, seed in runs),
        f"n = {', '.join(map(str, sizes))}",
        f"weights: {'; '.join(weights)}",
        f"made with {'; '.join(made)}",
    ]


def _software(made: Provenance) -> str:
    names = [name for name in ("feedback-bench", "torch") if name in made.versions]
    versions = ", ".join(f"{name} {made.versions[name]}" for name in names)
    return f"{versions} on {made.device}"
