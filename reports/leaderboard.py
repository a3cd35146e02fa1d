"""Our models in RobustBench's columns (Croce et al., NeurIPS 2021 Datasets and Benchmarks)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from reports.archive import Archive
from reports.attacks_run import is_attacked
from reports.metrics import Accuracy
from reports.records import Record
from reports.subjects import Subject, labels_of, provenance, subject, subjects
from reports.tables import Column, Row, Table
from reports.values import Doubted, Remark
from reports.verdict import verdict_of
from reports.verdict.evidence import Evidence, Threat, threat_of

SUITES = ("adversarial", "autoattack", "cnnf-paper", "smoke", "strongest", "verdict")
"""Whose answers and threat models are entered: suites of untargeted attacks on models as they are used."""
AUTOATTACK = "autoattack"
"""Name of the attack that is AutoAttack's standard version."""
FOLDERS = {"linf": "Linf", "l2": "L2"}
"""Norm -> RobustBench's name of the threat model."""


@dataclass(frozen=True)
class Standing:
    """One scored answer on a leaderboard.

    Attributes:
        best_known: Examples that survive every attack that was run on them, within the threat model.
        failed: Checks of the verdict that it failed.
        citation: Empty where the model is nobody's publication.
    """

    answer: Subject
    label: str
    dataset: str
    threat: Threat
    clean: Accuracy | None
    autoattack: Accuracy | None
    best_known: Accuracy
    failed: tuple[str, ...]
    citation: str


def standings(archive: Archive) -> list[Standing]:
    """Return every scored answer that was attacked, on each dataset the most robust first.

    Records of all suites and seeds count: an attack that has succeeded has succeeded.

    Raises:
        RecordError: If outcomes are missing or damaged.
    """
    ok = [record for record in archive.records if record.status == "ok"]
    rows = subjects(ok)
    labels = labels_of(rows)
    found = []
    for row in rows:
        for dataset in sorted({record.cell.dataset for record in ok if subject(record) == row}):
            own = [r for r in ok if subject(r) == row and r.cell.dataset == dataset]
            standing = _standing(row, labels[row], own, archive)
            found += [standing] if standing else []
    return sorted(found, key=lambda standing: (standing.dataset, -standing.best_known.share))


def leaderboard(records: Sequence[Record], archive: Archive) -> list[Table]:
    """Return the leaderboard of the dataset that records are of.

    It is shown once, with the first suite of `SUITES`. Its answers and threat models are those of these
    suites; what stands is counted over all records.
    """
    dataset = records[0].cell.dataset
    on_dataset = [r for r in archive.records if r.cell.dataset == dataset and r.status == "ok"]
    entered = [r for r in on_dataset if r.cell.suite in SUITES and is_attacked(r.cell)]
    if not entered or records[0].cell.suite != min(record.cell.suite for record in entered):
        return []
    answers, threats = set(subjects(entered)), {threat_of(record.cell) for record in entered}
    shown = [
        standing
        for standing in standings(archive)
        if standing.dataset == dataset and standing.answer in answers and standing.threat in threats
    ]
    if not shown:
        return []
    columns = (
        Column("clean", is_attack=False),
        Column("AutoAttack"),
        Column("best known"),
        Column("unreliable", is_attack=False),
        Column("threat model", is_attack=False),
        Column("paper", is_attack=False),
    )
    notes = (
        "AutoAttack: its standard version; "
        "best known: examples that are right and survive every attack run on them",
        "unreliable: checks of the verdict that failed",
    )
    rows = tuple(Row(standing.label, _values(standing)) for standing in shown)
    return [Table(f"Leaderboard, {dataset}", columns, rows, notes, tuple(provenance(on_dataset)))]


def model_info(standing: Standing) -> dict[str, str | int | bool | None]:
    """Return an entry of RobustBench, DATASET/THREAT/NAME.json in its model_info; accuracies in percent."""
    failed = ", ".join(standing.failed)
    return {
        "link": None,
        "name": standing.citation or None,
        "authors": None,
        "additional_data": None,
        "number_forward_passes": standing.answer.iterations + 1,
        "dataset": standing.dataset,
        "venue": None,
        "architecture": standing.label,
        "eps": _radius(standing.threat.epsilon),
        "clean_acc": _percent(standing.clean),
        "reported": None,
        "autoattack_acc": _percent(standing.autoattack),
        "external": _percent(standing.best_known),
        "unreliable": bool(failed),
        "footnote": f"failed checks: {failed}" if failed else None,
    }


def _standing(row: Subject, label: str, records: Sequence[Record], archive: Archive) -> Standing | None:
    evidence = Evidence.of(records, archive)
    if evidence.threat is None:
        return None
    within = [record for record in evidence.attacks if threat_of(record.cell) == evidence.threat]
    survived = evidence.survivors(within)
    automatic = [r for r in within if r.cell.perturbation and r.cell.perturbation.name == AUTOATTACK]
    checks = verdict_of(records, archive)
    claims = archive.published.get(row.model)
    return Standing(
        answer=row,
        label=label,
        dataset=records[0].cell.dataset,
        threat=evidence.threat,
        clean=_largest(r for r in records if r.cell.perturbation is None and r.cell.probe is None),
        autoattack=_largest(automatic),
        best_known=Accuracy(sum(survived.values()), len(survived)),
        failed=tuple(check.name for check in checks if check.finding.status == "FAIL"),
        citation=claims.citation if claims else "",
    )


def _values(standing: Standing) -> tuple[Accuracy | Remark | None, ...]:
    best = standing.best_known
    norm, epsilon = standing.threat
    return (
        standing.clean,
        standing.autoattack,
        Doubted(best.correct, best.n) if standing.failed else best,
        Remark(", ".join(standing.failed) or "no"),
        Remark(f"{norm} {_radius(epsilon)}"),
        Remark(standing.citation) if standing.citation else None,
    )


def _largest(records: Iterable[Record]) -> Accuracy | None:
    best = max(records, key=lambda record: (record.n, record.provenance.finished_at), default=None)
    return Accuracy(best.correct, best.n) if best else None


def _percent(accuracy: Accuracy | None) -> str | None:
    return f"{100 * accuracy.share:.2f}" if accuracy else None


def _radius(epsilon: float) -> str:
    """Return a radius as RobustBench writes it: in 255ths where it is a whole number of them."""
    levels = 255 * epsilon
    return f"{round(levels)}/255" if abs(levels - round(levels)) < 1e-6 else f"{epsilon:g}"
