"""The tables of the suite `verdict`, and the short form in those of other suites."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from reports.archive import Outcomes
from reports.cell import Cell
from reports.metrics import Accuracy
from reports.records import Record
from reports.series import one_of_each, rank
from reports.subjects import Subject, failures, labels_of, provenance, subject, subjects
from reports.tables import Column, Row, Table
from reports.values import DAGGER, Doubted, Remark
from reports.verdict.catalogue import RULES, Check, doubted, verdict_of
from reports.verdict.evidence import NOISE, Evidence, Threat, is_aimed, is_informed, threat_of, title, work
from reports.verdict.finding import ALPHA

Verdicts = Mapping[Subject, Sequence[Check]]


def verdict_tables(records: Sequence[Record], store: Outcomes) -> list[Table]:
    """Return the accuracies behind the verdict, those in doubt marked, and the checks.

    Args:
        records: Those of the suite `verdict` on one dataset.
        store: Where their outcomes lie.
    """
    ok = one_of_each(record for record in records if record.status == "ok")
    rows = subjects(ok)
    own = {row: [record for record in ok if subject(record) == row] for row in rows}
    verdicts = {row: verdict_of(own[row], store) for row in rows}
    cell = records[0].cell
    where, made_with = f"{cell.suite} on {cell.dataset}", tuple(provenance(ok))
    numbers = _numbers(f"{where}: accuracies", own, verdicts, store)
    checks = _checks(f"{where}: checks", verdicts)
    return [
        Table(*numbers, tuple(failures(records)), made_with),
        Table(*checks, (_threshold(), *explanations(verdicts)), made_with),
    ]


def explanations(verdicts: Verdicts) -> list[str]:
    """Return one note a failed check: whom it concerns, its numbers and what it means."""
    labels = labels_of(list(verdicts))
    return [
        f"{DAGGER} {labels[row]}, {check.name}: {check.finding.numbers}. {check.failing}"
        for row, checks in verdicts.items()
        for check in checks
        if check.finding.status == "FAIL"
    ]


def short_form(checks: Sequence[Check]) -> Remark:
    """Return the verdict on an answer as it stands in other tables."""
    counts = Counter(check.finding.status for check in checks)
    made = counts["pass"] + counts["FAIL"]
    return Remark(f"{counts['FAIL']} of {made} fail" if made else "not checked")


def short_notes(verdicts: Verdicts) -> list[str]:
    """Return what must be said under a table with short forms: what they are, and a line a failed check."""
    if not verdicts:
        return []
    meaning = "verdict: checks that fail, of those that the records of all suites in the folder allow"
    return [f"{meaning}; the suite verdict runs all {len(RULES)}", *explanations(verdicts)]


def marked(record: Record, doubts: frozenset[str]) -> Accuracy:
    """Return the accuracy of a record, marked if it is in doubt."""
    return (Doubted if record.key in doubts else Accuracy)(record.correct, record.n)


_Parts = tuple[str, tuple[Column, ...], tuple[Row, ...]]


def _numbers(
    heading: str, own: Mapping[Subject, Sequence[Record]], verdicts: Verdicts, store: Outcomes
) -> _Parts:
    columns: dict[str, dict[Subject, Accuracy]] = {}
    places: dict[str, tuple[int, float, str]] = {}
    worst: dict[Subject, Accuracy] = {}
    for row, records in own.items():
        evidence, doubts = Evidence.of(records, store), doubted(verdicts[row])
        if standing := _standing(evidence):
            worst[row] = standing
        for record in sorted(records, key=rank):
            if _is_shown(record.cell):
                name = title(record.cell, evidence.threat)
                columns.setdefault(name, {})[row] = marked(record, doubts)
                places.setdefault(name, _place(record.cell, evidence.threat))
    columns = {name: columns[name] for name in sorted(columns, key=places.__getitem__)}
    columns["worst case"] = worst
    labels = labels_of(list(own))
    rows = tuple(Row(labels[row], tuple(found.get(row) for found in columns.values())) for row in own)
    return heading, tuple(Column(name, name != "clean" and " at " not in name) for name in columns), rows


def _standing(evidence: Evidence) -> Accuracy | None:
    """Return what stands against every attack of the threat model in question; None without an attack."""
    standing = evidence.survivors(r for r in evidence.attacks if threat_of(r.cell) == evidence.threat)
    return Accuracy(sum(standing.values()), len(standing)) if standing else None


def _place(cell: Cell, threat: Threat | None) -> tuple[int, float, str]:
    """Return where a column stands: clean, attacks on the answer by work, other epsilons, other attacks."""
    if cell.perturbation is None:
        return 0, 0, ""
    name, allowed = title(cell, threat), threat_of(cell)
    if allowed != threat:
        return 2, allowed.epsilon, name
    return (1, work(cell), name) if is_informed(cell) else (3, 0, name)


def _is_shown(cell: Cell) -> bool:
    """Whether a record has a column: inspections have none, nor have attacks on the other readout."""
    if cell.perturbation is None:
        return cell.probe is None
    is_plain = cell.is_transfer or cell.perturbation.name in NOISE or cell.attack_target == "first"
    return is_plain or is_aimed(cell)


def _checks(heading: str, verdicts: Verdicts) -> _Parts:
    labels = labels_of(list(verdicts))
    by_name = {row: {check.name: check.finding for check in checks} for row, checks in verdicts.items()}
    rows = tuple(
        Row(name, tuple(Remark(found[name].status, found[name].numbers) for found in by_name.values()))
        for name in RULES
    )
    return heading, tuple(Column(labels[row], is_attack=False) for row in verdicts), rows


def _threshold() -> str:
    return f"a check fails if chance explains its numbers with p <= {ALPHA:g}; see docs/verdict.md"
