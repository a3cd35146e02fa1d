"""The adversarial tables of CNN-F (Huang et al., NeurIPS 2020), and what they leave out.

The paper's table has the columns clean, PGD (first), PGD (e2e), SPSA (first), SPSA (e2e), Transfer and min,
the lowest of the attacks. Ours adds attacks on the averaged logits, PGD with 40 steps, and the share of
examples that survive every attack, which is the number that counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from reports.archive import Outcomes, Results
from reports.cell import Cell
from reports.metrics import Accuracy, lowest
from reports.records import Record
from reports.series import largest
from reports.subjects import Subject, failures, labels_of, provenance, subject, subjects
from reports.tables import Column, Row, Table
from reports.verdict import doubted, marked, short_form, short_notes, verdicts_on
from reports.verdict.paired import Paired
from reports.verdict.tables import Verdicts
from reports.worst_case import hits, worst_case

ALPHA = 0.05
"""Largest p-value at which a note calls gradients masked; the suite `verdict` asks for more."""
Query = Callable[[Cell], bool]


def _clean(cell: Cell) -> bool:
    return cell.perturbation is None


def _white_box(name: str, target: str, steps: int) -> Query:
    def matches(cell: Cell) -> bool:
        # A network without feedback has only a first pass: every target is the same attack on it.
        wanted = "first" if cell.iterations == 0 else target
        done = cell.perturbation
        if done is None or cell.is_transfer:
            return False
        return done.name == name and done.settings["steps"] == steps and cell.attack_target == wanted

    return matches


def _transfer(cell: Cell) -> bool:
    return cell.is_transfer


PAPER_COLUMNS: dict[str, Query] = {
    "clean": _clean,
    "PGD (first)": _white_box("pgd", "first", 7),
    "PGD (e2e)": _white_box("pgd", "e2e", 7),
    "SPSA (first)": _white_box("spsa", "first", 7),
    "SPSA (e2e)": _white_box("spsa", "e2e", 7),
    "Transfer": _transfer,
}
MORE_COLUMNS: dict[str, Query] = {
    "PGD (e2e_avg)": _white_box("pgd", "e2e_avg", 7),
    "SPSA (e2e_avg)": _white_box("spsa", "e2e_avg", 7),
    "PGD-40 (first)": _white_box("pgd", "first", 40),
    "PGD-40 (e2e)": _white_box("pgd", "e2e", 40),
    "PGD-40 (e2e_avg)": _white_box("pgd", "e2e_avg", 40),
}


def adversarial_tables(records: Sequence[Record], store: Results) -> list[Table]:
    """Return the paper's table and ours from records of one suite, dataset and seed.

    Attacks of different backends are never mixed. Where several records fill one place, the largest counts
    (`reports.series`). The verdict beside them is by the records of all suites in the folder.
    """
    return [table for remark, own in by_backend(records) for table in _tables_of(own, remark, store)]


def by_backend(records: Sequence[Record]) -> Iterator[tuple[str, list[Record]]]:
    """Yield the attacks of each backend, ours first, with all clean images, under a remark for titles."""
    backends = {r.cell.perturbation.backend for r in records if r.cell.perturbation} or {"native"}
    for backend in sorted(backends, key=lambda backend: (backend != "native", backend)):
        own = [r for r in records if r.cell.perturbation is None or r.cell.perturbation.backend == backend]
        yield "" if backend == "native" else f", attacks by {backend}", own


def _tables_of(records: Sequence[Record], remark: str, store: Results) -> list[Table]:
    cell = records[0].cell
    title = f"{cell.suite} on {cell.dataset}{remark}"
    ok = [record for record in records if record.status == "ok"]
    rows = subjects(ok)
    by_subject = {row: [r for r in ok if subject(r) == row] for row in rows}
    labels = labels_of(rows)
    made_with = tuple(provenance(ok))
    notes = (*failures(records), *budget_notes(ok))

    has_attacks = any(not _clean(record.cell) for record in records)
    paper = dict(PAPER_COLUMNS) if has_attacks else {"clean": _clean}
    verdicts = verdicts_on(ok, store) if has_attacks else {}
    doubts = frozenset[str]().union(*map(doubted, verdicts.values()))
    values = {row: [pick(by_subject[row], query, doubts) for query in paper.values()] for row in rows}
    columns = [column_of(heading, heading != "clean") for heading in paper]
    if has_attacks:
        columns.append(Column("min", is_attack=False))
        for found in values.values():
            found.append(lowest(found[1:]))
    masking = tuple(note for row in rows for note in _masking_notes(row, labels[row], by_subject[row], store))
    tables = [_table(title, columns, labels, values, (*notes, *masking), made_with)]

    more = {heading: query for heading, query in MORE_COLUMNS.items() if any(query(r.cell) for r in ok)}
    if len(more) > 0 and any(r.cell.perturbation and r.cell.perturbation.settings["steps"] == 40 for r in ok):
        values = {
            row: [pick(by_subject[row], query, doubts) for query in more.values()]
            + [worst_case(by_subject[row], store)]
            for row in rows
        }
        columns = [*map(column_of, more), Column("worst case")]
        worst = (
            "worst case: examples that are right and survive every attack run on them, whatever target it had"
        )
        tables.append(
            _table(f"{title}: beyond the paper", columns, labels, values, (worst, *notes), made_with)
        )
    return [*tables[:-1], _judged(tables[-1], verdicts)]


def _judged(table: Table, verdicts: Verdicts) -> Table:
    """Return a table with a column for the verdict on each answer; without attacks there is none."""
    if not verdicts:
        return table
    rows = tuple(
        replace(row, values=(*row.values, short_form(checks)))
        for row, checks in zip(table.rows, verdicts.values(), strict=True)
    )
    columns = (*table.columns, Column("verdict", is_attack=False))
    return replace(table, columns=columns, rows=rows, notes=(*table.notes, *short_notes(verdicts)))


def column_of(heading: str, is_attack: bool = True) -> Column:
    """Return a column; "PGD (first)" is "first" under the group "PGD"."""
    group, _, rest = heading.partition(" (")
    return Column(heading, is_attack, group, rest.rstrip(")")) if rest else Column(heading, is_attack)


def _table(
    title: str,
    columns: list[Column],
    labels: dict[Subject, str],
    values: Mapping[Subject, Sequence[Accuracy | None]],
    notes: tuple[str, ...],
    provenance: tuple[str, ...],
) -> Table:
    rows = tuple(Row(labels[subject], tuple(found)) for subject, found in values.items())
    return Table(title, tuple(columns), rows, notes, provenance)


def pick(records: Iterable[Record], query: Query, doubts: frozenset[str] = frozenset()) -> Accuracy | None:
    """Return the accuracy that answers a query, that of the largest record."""
    found = largest(record for record in records if query(record.cell))
    return marked(found, doubts) if found else None


def _masking_notes(row: Subject, label: str, records: list[Record], store: Outcomes) -> list[str]:
    """Say where an attacker who differentiates what is scored does worse than on the first pass.

    Honest gradients do not allow it. The attack on the last logits proves nothing about the mean, which it
    does not aim at; where it is the only one, that is said. Judged on the images that met both attacks;
    records without outcomes tell nothing.
    """
    notes = []
    columns = PAPER_COLUMNS | MORE_COLUMNS
    scored = "e2e_avg" if row.readout == "avg" else "e2e"
    for kind in ("PGD", "SPSA"):
        made = {t: any(columns[f"{kind} ({t})"](r.cell) for r in records) for t in ("e2e", scored)}
        if made["e2e"] and not made[scored]:
            notes.append(f"{label}: {kind} (e2e) aims at the last logits, not at the mean, which is scored")
        queries = [columns[f"{kind} ({target})"] for target in ("first", scored)]
        found = [largest(r for r in records if query(r.cell) and r.outcomes is not None) for query in queries]
        judged = [hits(store.read_outcomes(record)) for record in found if record]
        if len(judged) < len(queries):
            continue
        first, informed = judged
        test = Paired.of(informed, first)
        if test.only_second > test.only_first:
            p = test.p_value
            told = "masked gradients" if p <= ALPHA else "masked gradients, or chance"
            notes.append(
                f"{label}: of {test.n} images only {kind} (first) breaks {test.only_second}, and only "
                f"{kind} ({scored}), which aims at what is scored, {test.only_first} (p = {p:.2g}): {told}"
            )
    return notes


def budget_notes(records: Iterable[Record]) -> list[str]:
    """Say what the attacks were allowed, and how much of it SPSA, whose steps are bounded, has used."""
    thresholds = {
        (done.settings["norm"], done.settings["epsilon"]) for r in records if (done := r.cell.perturbation)
    }
    notes = [f"threat model: {norm}, epsilon {epsilon:.5g} in [0, 1]" for norm, epsilon in sorted(thresholds)]
    spsa = [r for r in records if r.cell.perturbation and r.cell.perturbation.name == "spsa"]
    if spsa:
        reached = max(r.largest_linf or 0.0 for r in spsa)
        sizes = sorted({r.n for r in spsa})
        notes.append(f"SPSA: n = {', '.join(map(str, sizes))}; largest perturbation reached {reached:.5g}")
    return notes
