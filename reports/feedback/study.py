"""What feedback buys: each answer with feedback beside answers without, image by image.

The paper compares accuracies of two networks on the same images as if they were independent numbers. Paired,
the same images say more: what counts is those that only one of the two gets right. Training for feedback also
changes the weights: what the feedback itself does is seen beside the same weights after the first pass.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from reports.archive import Archive
from reports.changes import ALPHA
from reports.feedback.comparison import Comparison, share
from reports.feedback.pairing import OFF, WITHOUT, Pair, left_out, pairs_of
from reports.feedback.questions import attacks_met, questions
from reports.figures import Figure, Panel, Point, Series
from reports.records import Record
from reports.statistics import holm
from reports.subjects import Subject, failures, labels_of, provenance, subject, subjects
from reports.tables import Column, Row, Table
from reports.values import PValue, Remark, Value

TESTS = ("difference", "lost", "gained", "p", "adjusted p")
"""Headings of what is said of each comparison."""
PANELS = {
    WITHOUT: "accuracy with feedback less accuracy without",
    OFF: "accuracy with feedback less that of the same weights after 0 iterations",
}
"""Comparator -> title of its panel."""
SEVERAL = ("worst of", "mean of")
POINTWISE = (
    "95 % intervals of one difference each, not adjusted: one may leave out 0 where the adjusted p is large"
)


def feedback_tables(records: Sequence[Record], archive: Archive) -> list[Table]:
    """Return one table, a row per answer with feedback and question, from records of one suite."""
    study = _Study.of(records, archive)
    if not study.comparisons:
        return []
    notes = (
        *study.notes,
        "lost, gained: images that are right only without feedback, and only with it (of means, more often)",
        "p: exact two-sided McNemar test (of means: exact over all flips of signs), adjusted by Holm's "
        f"method over the table; * where it is at most {ALPHA}",
        f"[ ]: {POINTWISE}",
        *failures(records),
    )
    columns = tuple(_columns(study.comparators))
    return [Table(study.title, columns, tuple(_rows(study)), notes, study.provenance)]


def feedback_figures(records: Sequence[Record], archive: Archive) -> list[Figure]:
    """Return the differences as points, a colour per answer with feedback and a panel per comparator.

    There is none of a single question.
    """
    study = _Study.of(records, archive)
    places = tuple(dict.fromkeys(comparison.question for comparison in study.every))
    if len(places) < 2:
        return []
    most = max(comparison.n for comparison in study.every)
    # The interval of a few images would leave no room for all others.
    few = sorted({f"{c.question} (n = {c.n})" for c in study.every if c.n < most / 4})
    panels = tuple(
        Panel(PANELS[comparator], series)
        for comparator in study.comparators
        if (series := _series(study.comparisons[comparator].values(), most / 4))
    )
    drawn = {point.x for panel in panels for series in panel.series for point in series.points}
    figure = Figure(
        title=study.title,
        kind="points",
        x_label="attack or corruption",
        y_label="difference (points)",
        panels=panels,
        places=tuple(place for place in places if place in drawn),
        notes=(
            *study.notes,
            f"bars: paired {POINTWISE}",
            *((f"only in the table: {', '.join(few)}",) if few else ()),
        ),
        provenance=study.provenance,
    )
    return [figure]


@dataclass(frozen=True)
class _Study:
    """All comparisons of one suite, and what must be said beside them."""

    title: str
    comparisons: Mapping[str, Mapping[tuple[str, str], Comparison]]
    """Comparator -> answer and question -> their comparison."""
    notes: tuple[str, ...]
    provenance: tuple[str, ...]

    @classmethod
    def of(cls, records: Sequence[Record], archive: Archive) -> _Study:
        ok = [record for record in records if record.status == "ok" and record.cell.probe is None]
        rows = subjects(ok)
        pairs = pairs_of(rows, archive.partners)
        own = {
            row: [r for r in ok if subject(r) == row]
            for pair in pairs
            for row in (pair.feedback, pair.without)
        }
        names = _names(pairs, rows)
        found: dict[str, dict[tuple[str, str], Comparison]] = defaultdict(dict)
        for pair in pairs:
            for question, asked in questions(own[pair.without], own[pair.feedback], archive).items():
                if comparison := Comparison.of(names[pair], question, *asked):
                    found[pair.comparator][names[pair], question] = comparison
        cell = records[0].cell
        every = {question for compared in found.values() for _, question in compared}
        return cls(
            f"What feedback buys, {cell.suite} on {cell.dataset}",
            {comparator: found[comparator] for comparator in (WITHOUT, OFF) if found[comparator]},
            (*_notes(pairs, own, every), *left_out(rows, archive.partners)),
            tuple(provenance([record for row in own for record in own[row]])),
        )

    @property
    def comparators(self) -> list[str]:
        """Those that anything was compared with."""
        return list(self.comparisons)

    @property
    def every(self) -> list[Comparison]:
        """All comparisons, by comparator."""
        return [comparison for own in self.comparisons.values() for comparison in own.values()]


def _names(pairs: Sequence[Pair], rows: Sequence[Subject]) -> dict[Pair, str]:
    """Name the answers with feedback, and the network that one is compared with if there are several."""
    trained = [pair for pair in pairs if pair.comparator == WITHOUT]
    compared = {pair.feedback for pair in pairs} | {pair.without for pair in trained}
    labels = labels_of([row for row in rows if row in compared])
    several = {fed for fed in compared if sum(pair.feedback == fed for pair in trained) > 1}
    return {
        pair: f"{labels[pair.feedback]}, to {labels[pair.without]}"
        if pair in trained and pair.feedback in several
        else labels[pair.feedback]
        for pair in pairs
    }


def _notes(pairs: Sequence[Pair], own: Mapping[Subject, Sequence[Record]], every: set[str]) -> Iterable[str]:
    """Yield who is compared with whom, and what the questions of a study mean."""
    for pair in _once_a_model(pairs, WITHOUT):
        yield f"{pair.feedback.model} is compared with {pair.without.model} on the same images"
    if _once_a_model(pairs, OFF):
        yield (
            f"{OFF}: the same weights with the feedback switched off; the difference to them is what the "
            "feedback does, that to another network is also what training for it did to the weights"
        )
    if any(question.endswith(")") for question in every):
        yield (
            "in brackets: what attackers of the answer with feedback differentiate; an answer without has "
            "only a first pass and meets the same attack through it"
        )
    if any(question.startswith(SEVERAL) for question in every):
        yield (
            "worst of k, mean of k epsilons: right as they are and under each attack, through the one target "
            "under which least stands with feedback; both sides meet the same number of attacks; p and [ ] "
            "allow for the choice of the target (Bonferroni)"
        )
    met: dict[str, set[int]] = defaultdict(set)
    for pair in pairs:
        met[pair.comparator].add(attacks_met(own[pair.without]))
        met["with feedback"].add(attacks_met(own[pair.feedback]))
    if len(set().union(*met.values())) > 1:
        told = (f"{name} {' or '.join(map(str, sorted(counts)))}" for name, counts in met.items())
        yield f"attacks met in all, of which those in like form are compared: {', '.join(told)}"


def _once_a_model(pairs: Sequence[Pair], comparator: str) -> list[Pair]:
    """Return one pair for each two models that are compared."""
    found = {
        (pair.feedback.model, pair.without.model): pair for pair in pairs if pair.comparator == comparator
    }
    return list(found.values())


def _columns(comparators: Sequence[str]) -> Iterable[Column]:
    for heading in (*comparators, "with feedback"):
        yield Column(heading, is_attack=False)
    for comparator in comparators:
        # The table of another network alone needs no second line.
        group = f"to {comparator}" if OFF in comparators else ""
        told = f" ({comparator})" if comparator == OFF else ""
        for test in TESTS:
            yield Column(test + told, is_attack=False, group=group, under=test)


def _rows(study: _Study) -> Iterable[Row]:
    adjusted = iter(holm([comparison.p_value for comparison in study.every]))
    tests = {
        comparator: {place: _test(comparison, next(adjusted)) for place, comparison in own.items()}
        for comparator, own in study.comparisons.items()
    }
    for place in dict.fromkeys(place for own in study.comparisons.values() for place in own):
        met = [own.get(place) for own in study.comparisons.values()]
        fed = max((comparison for comparison in met if comparison), key=lambda comparison: comparison.n)
        values: list[Value | None] = [share(found.without) if found else None for found in met]
        values.append(share(fed.feedback))
        for own in tests.values():
            values += own.get(place, (None,) * len(TESTS))
        yield Row(": ".join(place), tuple(values))


def _test(comparison: Comparison, adjusted: float) -> tuple[Value, ...]:
    return (
        comparison.points(adjusted <= ALPHA),
        Remark(str(comparison.lost)),
        Remark(str(comparison.gained)),
        PValue(comparison.p_value),
        PValue(adjusted),
    )


def _series(comparisons: Iterable[Comparison], fewest: float) -> tuple[Series, ...]:
    by_answer: dict[str, list[Point]] = defaultdict(list)
    for comparison in comparisons:
        if comparison.n >= fewest:
            change = comparison.points(is_clear=False)
            low, high = change.interval or (change.points, change.points)
            by_answer[comparison.answer].append(
                Point(comparison.question, change.points, low, high, comparison.n)
            )
    return tuple(Series(answer, tuple(points)) for answer, points in by_answer.items())
