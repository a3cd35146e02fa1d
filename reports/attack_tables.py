"""Tables of cascades of attacks, and of every network attacked by every other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from reports.archive import Results
from reports.attacks_run import attacked
from reports.cell import Cell, Identity, Setting
from reports.metrics import Accuracy
from reports.records import Record
from reports.series import largest
from reports.subjects import Subject, failures, labels_of, names_of, provenance, subject, subjects
from reports.tables import Column, Row, Table
from reports.values import Doubted
from reports.verdict import doubted, short_form, short_notes, verdicts_on
from reports.verdict.evidence import about, threat_of
from reports.worst_case import hits, standing

if TYPE_CHECKING:
    import pandas as pd


def cascade_tables(records: Sequence[Record], store: Results) -> list[Table]:
    """Return one table, a column per scored answer and a row per member, from records of one suite.

    A value is the share of examples that stand after a member. The last row is the share that stands after
    every attack of every suite in the folder on the same examples, dataset and seed. What a cascade in doubt
    leaves is marked.
    """
    ok = [record for record in records if record.status == "ok"]
    columns = [row for row in subjects(ok) if _cascade_of(ok, row)]
    labels = labels_of(columns)
    verdicts = verdicts_on([record for record in ok if subject(record) in columns], store)
    standing: dict[str, dict[Subject, Accuracy]] = {"clean": {}}
    notes = [*_threat(ok), "after a member: the share of examples that it and all before it left standing"]
    worst: dict[Subject, Accuracy] = {}
    for column in columns:
        record = _cascade_of(ok, column)
        assert record is not None
        outcomes = store.read_outcomes(record)
        is_doubted = record.key in doubted(verdicts[column])
        for number, name in enumerate(["clean", *member_names(record.cell)]):
            left = int((outcomes["fooled_by"] > number).sum())
            kind = Doubted if is_doubted and number else Accuracy
            standing.setdefault(name, {})[column] = kind(left, len(outcomes))
        worst[column] = _worst_case(record, store)
        notes += _hidden_notes(labels[column], record.cell, outcomes)
    standing["worst case"] = worst
    order = sorted(standing, key=lambda name: _place(name, columns, ok))
    rows = [Row(name, tuple(standing[name].get(column) for column in columns)) for name in order]
    rows.append(Row("verdict", tuple(short_form(verdicts[column]) for column in columns)))
    cell = records[0].cell
    notes.append("worst case: examples that stand after every attack of this threat model in the folder")
    made_with = (f"suite version {cell.suite_version}, seed {cell.seed}", *provenance(ok))
    headings = tuple(Column(labels[column], is_attack=False) for column in columns)
    title = f"{cell.suite} on {cell.dataset}: accuracy after each attack"
    return [
        Table(title, headings, tuple(rows), (*notes, *failures(records), *short_notes(verdicts)), made_with)
    ]


def transfer_tables(records: Sequence[Record], store: Results) -> list[Table]:
    """Return one table, a row per scored answer and a column per network that the images were made on."""
    ok = [record for record in records if record.status == "ok"]
    rows = subjects(ok)
    labels = labels_of(rows)
    sources = sorted({model for r in ok if (model := r.cell.source_identity) is not None})
    names = names_of(sources)
    found = {row: [_pick(ok, row, source) for source in (None, *sources)] for row in rows}
    cell = records[0].cell
    columns = (Column("clean", is_attack=False), *(Column(f"from {names[source]}") for source in sources))
    notes = (*_threat(ok), "a network attacked from itself is the white-box attack", *failures(records))
    made_with = (f"suite version {cell.suite_version}, seed {cell.seed}", *provenance(ok))
    lines = tuple(Row(labels[row], tuple(values)) for row, values in found.items())
    return [Table(f"{cell.suite} on {cell.dataset}", columns, lines, notes, made_with)]


def member_names(cell: Cell) -> list[str]:
    """Return a name for each member of a cell's cascade, alike for all answers that it may judge."""
    members = cell.perturbation.members if cell.perturbation else []
    return [_member_name(member, str(cell.attack_target)) for member in members]


def _member_name(member: dict[str, Setting], judge: str) -> str:
    target = str(member["target"])
    aim = "answer" if target == judge else "answer, soft gates" if target.endswith("bpda") else target
    aim += ", refining" if "start" in member else ""
    parts = [str(member["attack"])]
    parts += [str(member["loss"]).replace("dlr_targeted", "dlr-t")] if "loss" in member else []
    parts += [str(member[size]) for size in ("steps", "queries") if size in member]
    return f"{'-'.join(parts)} ({aim})"


def _cascade_of(records: Iterable[Record], answer: Subject) -> Record | None:
    """Return the cascade on a scored answer: as it was last defined, the largest."""
    own = [
        record
        for record in records
        if subject(record) == answer and record.cell.perturbation and record.cell.perturbation.members
    ]
    latest = max(own, key=lambda record: record.provenance.finished_at, default=None)
    alike = [record for record in own if latest and record.cell.perturbation == latest.cell.perturbation]
    return largest(alike)


def _place(name: str, columns: Sequence[Subject], records: Sequence[Record]) -> float:
    """Return where a row belongs: its latest place among the members of any cascade."""
    if name in ("clean", "worst case"):
        return -1 if name == "clean" else float("inf")
    cascades = [record for column in columns if (record := _cascade_of(records, column))]
    orders = [member_names(record.cell) for record in cascades]
    return max(order.index(name) for order in orders if name in order)


def _worst_case(cascade: Record, store: Results) -> Accuracy:
    """Return what stands of a cascade's examples after all attacks of its threat model in the folder."""
    cell = cascade.cell
    rivals = [
        record
        for record in attacked(about(subject(cascade), cell, store.read()))
        if threat_of(record.cell) == threat_of(cell)
    ]
    found = standing(rivals, store)
    stands = [found[example] for example in hits(store.read_outcomes(cascade))]
    return Accuracy(sum(stands), len(stands))


def _hidden_notes(label: str, cell: Cell, outcomes: pd.DataFrame) -> list[str]:
    """Say how many examples fell only to attacks that do without the gradient of the scored answer."""
    members = cell.perturbation.members if cell.perturbation else []
    refining = [k for k, member in enumerate(members, 1) if "start" in member]
    around = [
        k
        for k, member in enumerate(members, 1)
        if k not in refining and (member["target"] != cell.attack_target or member["attack"] == "square")
    ]
    sentences = (
        (
            around,
            "fell to attacks that go around the gradient of the scored answer, after cheaper attacks along "
            "it had failed",
        ),
        (refining, "fell to a search without gradients from where these had led: they had stopped short"),
    )
    counts = [(int(outcomes["fooled_by"].isin(numbers).sum()), words) for numbers, words in sentences]
    return [f"{label}: {count} of {len(outcomes)} examples {words}" for count, words in counts if count]


def _pick(records: Sequence[Record], answer: Subject, source: Identity | None) -> Accuracy | None:
    found = largest(r for r in records if subject(r) == answer and r.cell.source_identity == source)
    return Accuracy(found.correct, found.n) if found else None


def _threat(records: Sequence[Record]) -> list[str]:
    allowed = {
        (done.settings["norm"], done.settings["epsilon"]) for r in records if (done := r.cell.perturbation)
    }
    return [f"threat model: {norm}, epsilon {epsilon:.5g} in [0, 1]" for norm, epsilon in sorted(allowed)]
