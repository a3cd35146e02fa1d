"""The full attack matrix: every attack and target against every answer, and what survives them all."""

from __future__ import annotations

from collections.abc import Sequence

from reports.archive import Archive
from reports.attacks_run import TARGETS, attack_name, attacked, is_attacked, untouched
from reports.cnnf_paper import budget_notes
from reports.figures import Figure, Panel, Series, percent_at
from reports.metrics import Accuracy, lowest
from reports.records import Record
from reports.series import largest
from reports.subjects import failures, labels_of, provenance, subject, subjects
from reports.tables import Column, Row, Table
from reports.values import Points, Value
from reports.verdict import doubted, marked, short_form, short_notes, verdicts_on
from reports.worst_case import worst_case

Attack = tuple[str, str]
"""Name of an attack, and what the attacker differentiates or whose gradients are used."""


def attack_matrix(records: Sequence[Record], archive: Archive) -> list[Table]:
    """Return the matrix of one suite and dataset.

    A row is an answer (model, iterations, readout), a column an attack and its target. `min` is the papers'
    minimum over attacks of mean accuracies, of those on most examples; `worst case` the share of examples
    that survive every attack; `flattery` how much higher the first is. Networks without feedback have one
    target only. Accuracies in doubt are marked, and the verdict told, by the records of all suites in the
    folder.
    """
    ok = attacked(records)
    if not ok:
        return []
    rows, attacks = subjects(ok), _attacks(ok)
    labels = labels_of(rows)
    clean = untouched(records)
    verdicts = verdicts_on(ok, archive)
    lines, flattered = [], []
    for row in rows:
        own = [record for record in ok if subject(record) == row]
        doubts = doubted(verdicts[row])
        found = [accuracy_under(own, attack, doubts) for attack in attacks]
        minimum = lowest(found)
        worst = worst_case([*own, *(r for r in clean if subject(r) == row)], archive)
        shown = largest(record for record in clean if subject(record) == row)
        first = Accuracy(shown.correct, shown.n) if shown else None
        judged = short_form(verdicts[row])
        lines.append(Row(labels[row], (first, *found, minimum, worst, _flattery(minimum, worst), judged)))
        flattered += _remark(labels[row], minimum, worst)
    cell = ok[0].cell
    columns = (
        Column("clean", is_attack=False),
        *(Column(f"{name} ({target})", group=name, under=target) for name, target in attacks),
        Column("min", is_attack=False),
        Column("worst case", is_attack=False),
        Column("flattery", is_attack=False),
        Column("verdict", is_attack=False),
    )
    notes = (
        "min: lowest mean accuracy over the attacks run on most examples, as papers report it; worst case: "
        "examples that are right and survive every attack run on them; "
        "flattery: min less worst case, in points",
        *flattered,
        *failures(records),
        *budget_notes(ok),
        *short_notes(verdicts),
    )
    made_with = tuple(provenance([*clean, *ok]))
    return [Table(f"Attack matrix, {cell.suite} on {cell.dataset}", columns, tuple(lines), notes, made_with)]


def attack_map(records: Sequence[Record], archive: Archive) -> list[Figure]:
    """Return the matrix as a heat map."""
    ok = attacked(records)
    if not ok:
        return []
    rows, attacks = subjects(ok), _attacks(ok)
    labels = labels_of(rows)
    series = []
    for row in rows:
        own = [record for record in ok if subject(record) == row]
        found = {f"{name} ({target})": accuracy_under(own, (name, target)) for name, target in attacks}
        clean = [record for record in untouched(records) if subject(record) == row]
        found["worst case"] = worst_case([*clean, *own], archive)
        points = tuple(percent_at(heading, value) for heading, value in found.items() if value)
        series.append(Series(labels[row], points))
    cell = ok[0].cell
    return [
        Figure(
            title=f"Accuracy under attack, {cell.suite} on {cell.dataset}",
            kind="heat",
            x_label="attack",
            y_label="accuracy (%)",
            panels=(Panel("", tuple(series)),),
            places=(*(f"{name} ({target})" for name, target in attacks), "worst case"),
            notes=(
                "worst case: examples that are right and survive every attack run on them",
                *budget_notes(ok),
            ),
            provenance=tuple(provenance(ok)),
        )
    ]


def accuracy_under(
    records: Sequence[Record], attack: Attack, doubts: frozenset[str] = frozenset()
) -> Accuracy | None:
    """Return what an answer keeps under an attack, marked if in doubt; None if it was not run."""
    found = largest(r for r in records if is_attacked(r.cell) and _attack(r) == attack)
    return marked(found, doubts) if found else None


def _attacks(records: Sequence[Record]) -> list[Attack]:
    """Return the columns: attacks in alphabetic order, targets from the least to the most informed."""

    def order(attack: Attack) -> tuple[str, int, str]:
        name, target = attack
        return (name, TARGETS.index(target) if target in TARGETS else len(TARGETS), target)

    return sorted({_attack(record) for record in records}, key=order)


def _attack(record: Record) -> Attack:
    done = record.cell.perturbation
    if done is None:
        raise ValueError(f"nothing was done to the images of {record.label}")
    if record.cell.is_transfer:
        return attack_name(done), f"from {record.cell.source}"
    return attack_name(done), record.cell.attack_target or "-"


def _flattery(minimum: Accuracy | None, worst: Accuracy | None) -> Value | None:
    return Points(100 * (minimum.share - worst.share)) if minimum and worst else None


def _remark(label: str, minimum: Accuracy | None, worst: Accuracy | None) -> list[str]:
    if not minimum or not worst or worst.share >= minimum.share:
        return []
    return [
        f"{label}: the minimum over attacks flatters it: {minimum.correct} of {minimum.n} images survive "
        f"that attack, {worst.correct} of {worst.n} all of them"
    ]
