"""What feedback buys: each answer with feedback beside the network without, image by image.

The paper compares accuracies of two networks on the same images as if they were independent numbers. Paired,
the same images say more: what counts is those that only one of the two gets right.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from reports.archive import Archive, Outcomes
from reports.attacks_run import attack_name, attacked, is_attacked, latest, untouched
from reports.cell import Identity
from reports.corruption_table import hits_by_kind, shares_over
from reports.figures import Figure, Panel, Point, Series
from reports.metrics import ALEXNET_ERRORS, Accuracy, Interval, MeanAccuracy
from reports.records import Record
from reports.resampling import difference, sign_flip
from reports.statistics import holm, mcnemar, paired_interval
from reports.subjects import Subject, failures, labels_of, provenance, subject, subjects
from reports.tables import Column, Row, Table
from reports.values import Points, PValue, Remark
from reports.verdict.evidence import Threat, threat_of, work
from reports.worst_case import hits, standing

ALPHA = 0.05
"""Largest adjusted p-value of a difference that is called clear."""
Shares = Mapping[int, float]
"""Example -> share of the images made of it that are classified correctly, in [0, 1]."""


@dataclass(frozen=True)
class Comparison:
    """One question put to an answer with feedback and to the network without.

    Attributes:
        answer: The one with feedback.
        question: What was done to the images.
        without: A value in [0, 1] for each image that both have met.
        feedback: The same with feedback.
    """

    answer: str
    question: str
    without: Float[np.ndarray, " n"]
    feedback: Float[np.ndarray, " n"]

    @classmethod
    def of(cls, answer: str, question: str, without: Shares, feedback: Shares) -> Comparison | None:
        """Pair by example; None if there is no common one."""
        common = sorted(without.keys() & feedback.keys())
        pair = (np.array([float(shares[k]) for k in common]) for shares in (without, feedback))
        return cls(answer, question, *pair) if common else None

    @property
    def gained(self) -> int:
        """Images that are right more often with feedback."""
        return int(np.count_nonzero(self.feedback > self.without))

    @property
    def lost(self) -> int:
        """Images that are right less often with feedback."""
        return int(np.count_nonzero(self.feedback < self.without))

    @property
    def p_value(self) -> float:
        """Two-sided chance of such a difference if each image could as well have changed the other way."""
        if self._is_binary:
            return min(1.0, 2 * mcnemar(max(self.gained, self.lost), min(self.gained, self.lost)))
        return sign_flip(self.feedback - self.without)

    def points(self, is_clear: bool) -> Points:
        """Return the difference in points with its paired 95 % interval."""
        change = 100 * float((self.feedback - self.without).mean())
        if self._is_binary:
            n, both = len(self.without), int(np.count_nonzero(self.feedback * self.without))
            neither = n - both - self.gained - self.lost
            low, high = paired_interval(both, self.gained, self.lost, neither)
            return Points(change, is_clear, Interval(100 * low, 100 * high))
        resampled = difference(self.feedback, self.without, unit=0.01)
        return Points(change, is_clear, resampled.interval if resampled else None)

    @property
    def _is_binary(self) -> bool:
        return set(np.unique([self.feedback, self.without])) <= {0.0, 1.0}


def feedback_tables(records: Sequence[Record], archive: Archive) -> list[Table]:
    """Return one table, a row per answer with feedback and question, from records of one suite."""
    study = _Study.of(records, archive)
    if not study.comparisons:
        return []
    notes = (
        *study.notes,
        "lost, gained: images that only the network without feedback gets right, and only that with it",
        "p: exact two-sided McNemar test (of means: signs flipped at random), adjusted by Holm's method over "
        f"the rows; * where it is at most {ALPHA}",
        *failures(records),
    )
    headings = ("without feedback", "with feedback", "difference", "lost", "gained", "p", "adjusted p")
    columns = tuple(Column(heading, is_attack=False) for heading in headings)
    return [Table(study.title, columns, tuple(_rows(study.comparisons)), notes, study.provenance)]


def feedback_figures(records: Sequence[Record], archive: Archive) -> list[Figure]:
    """Return the differences as points, a colour per answer with feedback; none of a single question."""
    study = _Study.of(records, archive)
    if len({comparison.question for comparison in study.comparisons}) < 2:
        return []
    most = max(len(comparison.without) for comparison in study.comparisons)
    by_answer: dict[str, list[Point]] = defaultdict(list)
    left_out = set()
    for comparison in study.comparisons:
        n = len(comparison.without)
        # The interval of a few images would leave no room for all others.
        if n < most / 4:
            left_out.add(f"{comparison.question} (n = {n})")
            continue
        change = comparison.points(is_clear=False)
        low, high = change.interval or (change.points, change.points)
        by_answer[comparison.answer].append(Point(comparison.question, change.points, low, high, n))
    series = tuple(Series(answer, tuple(points)) for answer, points in by_answer.items())
    hidden = (f"only in the table: {', '.join(sorted(left_out))}",) if left_out else ()
    figure = Figure(
        title=study.title,
        kind="points",
        x_label="attack or corruption",
        y_label="difference (points)",
        panels=(Panel("accuracy with feedback less accuracy without", series),),
        places=tuple(dict.fromkeys(str(point.x) for points in by_answer.values() for point in points)),
        notes=(*study.notes, "bars: paired 95 % intervals", *hidden),
        provenance=study.provenance,
    )
    return [figure]


@dataclass(frozen=True)
class _Study:
    """All comparisons of one suite, and what must be said beside them."""

    title: str
    comparisons: tuple[Comparison, ...]
    notes: tuple[str, ...]
    provenance: tuple[str, ...]

    @classmethod
    def of(cls, records: Sequence[Record], archive: Archive) -> _Study:
        ok = [record for record in records if record.status == "ok" and record.cell.probe is None]
        pairs = _pairs(subjects(ok), archive.partners)
        compared = {row for pair in pairs for row in pair}
        labels = labels_of(sorted(compared, key=subjects(ok).index))
        comparisons = [
            found
            for fed, plain in pairs
            for question, shares in _questions(_own(ok, plain), _own(ok, fed), archive).items()
            if (found := Comparison.of(labels[fed], question, *shares))
        ]
        models = dict.fromkeys((fed.model, plain.model) for fed, plain in pairs)
        notes = tuple(f"{fed} is compared with {plain} on the same images" for fed, plain in models)
        cell = records[0].cell
        made_with = tuple(provenance([record for record in ok if subject(record) in compared]))
        return cls(
            f"What feedback buys, {cell.suite} on {cell.dataset}", tuple(comparisons), notes, made_with
        )


def _rows(comparisons: Sequence[Comparison]) -> Iterable[Row]:
    chances = [comparison.p_value for comparison in comparisons]
    for comparison, p, adjusted in zip(comparisons, chances, holm(chances), strict=True):
        values = (
            _share(comparison.without),
            _share(comparison.feedback),
            comparison.points(adjusted <= ALPHA),
            Remark(str(comparison.lost)),
            Remark(str(comparison.gained)),
            PValue(p),
            PValue(adjusted),
        )
        yield Row(f"{comparison.answer}: {comparison.question}", values)


def _pairs(rows: Sequence[Subject], partners: Mapping[str, str]) -> list[tuple[Subject, Subject]]:
    """Return each answer with a model's most iterations, beside the network without feedback it belongs to.

    Of a model without a known partner it is the only network without feedback, if there is just one.
    """
    most: dict[Identity, int] = {}
    for row in rows:
        most[row.identity] = max(row.iterations, most.get(row.identity, 0))
    final = [row for row in rows if row.iterations == most[row.identity]]
    plain = [row for row in final if row.iterations == 0]
    pairs = []
    for fed in (row for row in final if row.iterations > 0):
        own = [row for row in plain if row.model == partners.get(fed.model, row.model)]
        pairs += [(fed, own[0])] if len(own) == 1 else []
    return pairs


def _own(records: Iterable[Record], row: Subject) -> list[Record]:
    return [record for record in records if subject(record) == row]


def _questions(
    plain: Sequence[Record], feedback: Sequence[Record], archive: Outcomes
) -> dict[str, tuple[Shares, Shares]]:
    """Return question -> what is right without feedback and with it."""
    found: dict[str, tuple[Shares, Shares]] = {}
    clean = [latest([r for r in own if r.cell.perturbation is None]) for own in (plain, feedback)]
    if clean[0] and clean[1]:
        found["clean"] = _shares(clean[0], archive), _shares(clean[1], archive)
    attacks = [[r for r in own if is_attacked(r.cell)] for own in (plain, feedback)]
    threats = sorted(set.intersection(*({threat_of(r.cell) for r in own} for own in attacks)))
    if len(threats) == 1:
        within = [[r for r in own if threat_of(r.cell) == threats[0]] for own in attacks]
        found |= _attack_questions(within[0], within[1], archive)
        if max(map(len, within)) > 1:
            found["worst case"] = (
                standing([*untouched(plain), *within[0]], archive),
                standing([*untouched(feedback), *within[1]], archive),
            )
    elif threats:
        radii = [f"{threat.epsilon:.3g}" for threat in threats]
        stands = [_over_threats(own, threats, archive) for own in (plain, feedback)]
        found[f"mean of {len(radii)} epsilons, {radii[0]} to {radii[-1]}"] = stands[0], stands[1]
    corrupted = [[r for r in own if _is_corrupted(r)] for own in (plain, feedback)]
    kinds = [hits_by_kind(own, archive) for own in corrupted]
    if shown := [kind for kind in ALEXNET_ERRORS if all(kind in own for own in kinds)]:
        found[f"mean of {len(shown)} corruptions"] = (
            shares_over(kinds[0], shown),
            shares_over(kinds[1], shown),
        )
    return found


def _attack_questions(
    plain: Sequence[Record], feedback: Sequence[Record], archive: Outcomes
) -> dict[str, tuple[Shares, Shares]]:
    """Return each attack on the model itself, the shortest first."""
    found: dict[str, tuple[Shares, Shares]] = {}
    bare, own = ([r for r in records if not r.cell.is_transfer] for records in (plain, feedback))
    for name, target in dict.fromkeys(map(_aim, sorted(own, key=_effort))):
        # A network without feedback has only a first pass: every target is the same attack on it.
        theirs = latest([r for r in bare if _aim(r)[0] == name])
        ours = latest([r for r in own if _aim(r) == (name, target)])
        if theirs and ours:
            found[f"{name} ({target})"] = _shares(theirs, archive), _shares(ours, archive)
    return found


def _over_threats(records: Sequence[Record], threats: Sequence[Threat], archive: Outcomes) -> Shares:
    """Return the share of threat models under all of whose attacks an example stands."""
    clean, attacks = untouched(records), attacked(records)
    stands = [
        standing([*clean, *(r for r in attacks if threat_of(r.cell) == threat)], archive)
        for threat in threats
    ]
    common = set.intersection(*map(set, stands))
    return {example: sum(found[example] for found in stands) / len(stands) for example in common}


def _aim(record: Record) -> tuple[str, str]:
    assert record.cell.perturbation is not None
    return attack_name(record.cell.perturbation), str(record.cell.attack_target)


def _effort(record: Record) -> tuple[str, int, str]:
    assert record.cell.perturbation is not None
    return record.cell.perturbation.name, work(record.cell), str(record.cell.attack_target)


def _is_corrupted(record: Record) -> bool:
    return record.cell.perturbation is not None and record.cell.perturbation.kind == "corruption"


def _shares(record: Record, archive: Outcomes) -> Shares:
    return {example: float(stands) for example, stands in hits(archive.read_outcomes(record)).items()}


def _share(values: Float[np.ndarray, " n"]) -> Accuracy | MeanAccuracy:
    if set(np.unique(values)) <= {0.0, 1.0}:
        return Accuracy(int(values.sum()), len(values))
    return MeanAccuracy(tuple(values.tolist()))
