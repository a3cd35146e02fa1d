"""The adversarial tables of CNN-F (Huang et al., NeurIPS 2020), and what they leave out.

The paper's table has the columns clean, PGD (first), PGD (e2e), SPSA (first), SPSA (e2e), Transfer and min,
the lowest of the attacks. Ours adds attacks on the averaged logits, PGD with 40 steps, and the share of
examples that survive every attack, which is the number that counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from reports.archive import Outcomes, Results
from reports.cell import Cell
from reports.metrics import Accuracy, lowest
from reports.records import Record
from reports.series import largest
from reports.statistics import holm
from reports.subjects import Subject, failures, labels_of, provenance, subject, subjects
from reports.tables import Column, Row, Table
from reports.verdict import doubted, marked, short_form, short_notes, verdicts_on
from reports.verdict.paired import Paired
from reports.verdict.tables import Verdicts
from reports.worst_case import hits, worst_case

ALPHA = 0.05
"""Largest adjusted p-value at which a note calls gradients masked; the suite `verdict` asks for more."""
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
    rows = _Rows.of(ok, (*failures(records), *budget_notes(ok)))
    has_attacks = any(not _clean(record.cell) for record in records)
    if not has_attacks:
        return [rows.table(title, [column_of("clean", is_attack=False)], lambda own: [pick(own, _clean)])]
    verdicts = verdicts_on(ok, store)
    doubts = frozenset[str]().union(*map(doubted, verdicts.values()))
    tables = [_paper_table(title, rows, doubts, store)]
    if any(r.cell.perturbation and r.cell.perturbation.settings["steps"] == 40 for r in ok):
        tables.append(_table_beyond(title, rows, doubts, store))
    return [*tables[:-1], _judged(tables[-1], verdicts)]


def _paper_table(title: str, rows: _Rows, doubts: frozenset[str], store: Outcomes) -> Table:
    columns = [column_of(heading, heading != "clean") for heading in PAPER_COLUMNS]

    def values(own: Sequence[Record]) -> list[Accuracy | None]:
        clean, *attacked = (pick(own, query, doubts) for query in PAPER_COLUMNS.values())
        return [clean, *attacked, lowest(attacked)]

    table = rows.table(title, [*columns, Column("min", is_attack=False)], values)
    return replace(table, notes=(*table.notes, *_masking_notes(rows, store)))


def _table_beyond(title: str, rows: _Rows, doubts: frozenset[str], store: Outcomes) -> Table:
    every = [record for own in rows.records.values() for record in own]
    more = {heading: query for heading, query in MORE_COLUMNS.items() if any(query(r.cell) for r in every)}

    def values(own: Sequence[Record]) -> list[Accuracy | None]:
        return [*(pick(own, query, doubts) for query in more.values()), worst_case(own, store)]

    table = rows.table(f"{title}: beyond the paper", [*map(column_of, more), Column("worst case")], values)
    worst = "worst case: examples that are right and survive every attack run on them, whatever target it had"
    return replace(table, notes=(worst, *table.notes))


@dataclass(frozen=True)
class _Rows:
    """The scored answers of a table, in order, and what stands under every table of them."""

    records: Mapping[Subject, Sequence[Record]]
    labels: Mapping[Subject, str]
    notes: tuple[str, ...]
    provenance: tuple[str, ...]

    @classmethod
    def of(cls, records: Sequence[Record], notes: tuple[str, ...]) -> _Rows:
        answers = subjects(records)
        own = {answer: [r for r in records if subject(r) == answer] for answer in answers}
        return cls(own, labels_of(answers), notes, tuple(provenance(records)))

    def table(
        self,
        title: str,
        columns: Sequence[Column],
        values: Callable[[Sequence[Record]], Sequence[Accuracy | None]],
    ) -> Table:
        """Return a table with a row of values for each answer, from its records."""
        rows = tuple(Row(self.labels[answer], tuple(values(own))) for answer, own in self.records.items())
        return Table(title, tuple(columns), rows, self.notes, self.provenance)


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


def pick(records: Iterable[Record], query: Query, doubts: frozenset[str] = frozenset()) -> Accuracy | None:
    """Return the accuracy that answers a query, that of the largest record."""
    found = largest(record for record in records if query(record.cell))
    return marked(found, doubts) if found else None


def _masking_notes(rows: _Rows, store: Outcomes) -> list[str]:
    """Say where an attacker who differentiates what is scored does worse than on the first pass.

    Honest gradients do not allow it. The attack on the last logits proves nothing about the mean, which it
    does not aim at; where it is the only one, that is said.
    """
    columns = PAPER_COLUMNS | MORE_COLUMNS
    tests: list[tuple[str, Paired]] = []
    notes = []
    for answer, records in rows.records.items():
        scored = "e2e_avg" if answer.readout == "avg" else "e2e"
        for kind in ("PGD", "SPSA"):
            made = {t: any(columns[f"{kind} ({t})"](r.cell) for r in records) for t in ("e2e", scored)}
            if made["e2e"] and not made[scored]:
                notes.append(
                    f"{rows.labels[answer]}: {kind} (e2e) aims at the last logits, not at the mean, which is "
                    "scored"
                )
            test = _compared(records, [columns[f"{kind} ({target})"] for target in (scored, "first")], store)
            if test:
                told = (
                    f"{rows.labels[answer]}: of {test.n} images only {kind} (first) breaks "
                    f"{test.only_second}, and only {kind} ({scored}), which aims at what is scored, "
                    f"{test.only_first}"
                )
                tests.append((told, test))
    adjusted = holm([test.p_value for _, test in tests])
    for (told, test), p in zip(tests, adjusted, strict=True):
        if test.only_second > test.only_first:
            why = "masked gradients" if p <= ALPHA else "masked gradients, or chance"
            others = f", adjusted for {len(tests)} tests" if len(tests) > 1 else ""
            notes.append(f"{told} (p = {p:.2g}{others}): {why}")
    return notes


def _compared(records: Sequence[Record], queries: Sequence[Query], store: Outcomes) -> Paired | None:
    """Return the test of two attacks on the images that met both; None without outcomes of both."""
    found = [largest(r for r in records if query(r.cell) and r.outcomes is not None) for query in queries]
    judged = [hits(store.read_outcomes(record)) for record in found if record]
    return Paired.of(*judged) if len(judged) == len(queries) else None


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
