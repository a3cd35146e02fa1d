"""CNN-F's adversarial tables beside what their authors published (Huang et al. 2020, tables 1 and 2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from reports.archive import Archive, Claims
from reports.cnnf_paper import PAPER_COLUMNS, budget_notes, by_backend, column_of, pick
from reports.metrics import Accuracy, lowest
from reports.records import Record
from reports.subjects import Subject, failures, labels_of, provenance, subject, subjects
from reports.tables import Column, Row, Table
from reports.values import Claim, Points, Value

CLAIMED = {
    "clean": "clean",
    "PGD (first)": "pgd_first",
    "PGD (e2e)": "pgd_e2e",
    "SPSA (first)": "spsa_first",
    "SPSA (e2e)": "spsa_e2e",
    "Transfer": "transfer",
}
"""Column -> its name among the claims."""
TEST_IMAGES = 10_000
SPSA_IMAGES = 640
"""The authors' SPSA takes ten batches of 64 (eval.py and test.py of their repository)."""


def beside_published(records: Sequence[Record], archive: Archive) -> list[Table]:
    """Return three rows per answer: measured, published, and their difference in points.

    A difference is marked where each number lies outside the 95 % interval of the other. Attacks of each
    backend have a table of their own.
    """
    return [
        table
        for remark, own in by_backend(records)
        for table in _beside_published(own, f"{remark}, beside the published numbers", archive)
    ]


def _beside_published(records: Sequence[Record], remark: str, archive: Archive) -> list[Table]:
    ok = [record for record in records if record.status == "ok"]
    published = archive.published
    rows = [
        row for row in subjects(ok) if row.model in published and any(claims_of(row, published[row.model]))
    ]
    if not rows or not any(record.cell.perturbation for record in ok):
        return []
    labels = labels_of(rows)
    lines = []
    for row in rows:
        own = [record for record in ok if subject(record) == row]
        measured = [pick(own, PAPER_COLUMNS[heading]) for heading in CLAIMED]
        measured.append(lowest(measured[1:]))
        claimed = _with_claimed_minimum(claims_of(row, archive.published[row.model]))
        differences = [_difference(ours, theirs) for ours, theirs in zip(measured, claimed, strict=True)]
        lines += [
            Row(labels[row], tuple(measured)),
            Row(f"{labels[row]}: published", tuple(claimed)),
            Row(f"{labels[row]}: difference", tuple(differences)),
        ]
    cell = ok[0].cell
    columns = (*(column_of(h, h != "clean") for h in CLAIMED), Column("min", is_attack=False))
    own = [record for record in ok if subject(record) in rows]
    notes = (
        "difference: measured less published, in points; * where each lies outside the 95 % interval of the "
        f"other (published: n = {TEST_IMAGES}, SPSA {SPSA_IMAGES})",
        *_citations(rows, archive.published),
        *failures(records),
        *budget_notes(own),
    )
    title = f"{cell.suite} on {cell.dataset}{remark}"
    return [Table(title, columns, tuple(lines), notes, tuple(provenance(own)))]


def claims_of(row: Subject, claims: Claims) -> list[Claim | None]:
    """Return what is claimed about an answer, in the order of CLAIMED; None where nothing is.

    Where the mean over iterations is claimed too, nothing is claimed about the first pass alone.
    """
    if row.iterations == 0 and "avg" in claims.accuracies:
        return [None] * len(CLAIMED)
    known = claims.accuracies.get(row.readout, {})
    # Without feedback the attack end to end is that on the first pass.
    names = [name.replace("_e2e", "_first") if row.iterations == 0 else name for name in CLAIMED.values()]
    return [
        Claim(known[name], SPSA_IMAGES if name.startswith("spsa") else TEST_IMAGES) if name in known else None
        for name in names
    ]


def _with_claimed_minimum(claimed: list[Claim | None]) -> list[Claim | None]:
    return [*claimed, min((c for c in claimed[1:] if c), key=lambda c: c.percent, default=None)]


def _difference(ours: Accuracy | None, theirs: Claim | None) -> Value | None:
    if ours is None or theirs is None:
        return None
    low, high = ours.interval
    their_low, their_high = theirs.interval
    published = theirs.percent / 100
    is_clear = not (low <= published <= high) and not (their_low <= ours.share <= their_high)
    return Points(100 * ours.share - theirs.percent, is_clear)


def _citations(rows: Sequence[Subject], published: Mapping[str, Claims]) -> list[str]:
    cited = dict.fromkeys(published[row.model].citation for row in rows)
    return [f"published: {citation}" for citation in cited]
