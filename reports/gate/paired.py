"""A run against a baseline: the same examples, answered twice."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from reports.archive import Outcomes
from reports.gate.baseline import Baseline, MadeWith, made_with
from reports.gate.matching import Incomparable, MatchedCell, Matcher
from reports.gate.naming import names_of
from reports.gate.result import CellResult, CheckResult, Rules, Status, status_of_change
from reports.metrics import Accuracy
from reports.records import Record
from reports.statistics import holm, mcnemar


@dataclass(frozen=True)
class CellChange:
    """What changed in one cell.

    Attributes:
        before: Accuracy in the baseline.
        now: Accuracy of the run.
        lost: Examples that were right and are wrong.
        gained: Examples that were wrong and are right.
        flips: Examples that are answered by another class.
        p: One-sided p-value of McNemar's test in the direction of the change.
        adjusted: The same after Holm's correction over all cells.
    """

    before: Accuracy
    now: Accuracy
    lost: int
    gained: int
    flips: int
    p: float
    adjusted: float

    @property
    def points(self) -> float:
        """Change of the accuracy in percentage points."""
        return 100 * (self.gained - self.lost) / self.before.n

    def figures(self) -> dict[str, str]:
        """Return heading -> text of a table."""
        return {
            "n": str(self.before.n),
            "baseline %": f"{100 * self.before.share:.2f}",
            "now %": f"{100 * self.now.share:.2f}",
            "lost": str(self.lost),
            "gained": str(self.gained),
            "flips": str(self.flips),
            "p": f"{self.p:.2g}",
            "adjusted p": f"{self.adjusted:.2g}",
        }

    def sentence(self) -> str:
        """Return the numbers in words."""
        return (
            f"{100 * self.before.share:.2f} %, now {100 * self.now.share:.2f} % ({self.points:+.2f} points), "
            f"{self.lost} lost, {self.gained} gained, {self.flips} of {self.before.n} answers changed; "
            f"p {self.p:.2g}, adjusted {self.adjusted:.2g}"
        )


def compare(baseline: Baseline, records: Sequence[Record], store: Outcomes, rules: Rules) -> CheckResult:
    """Compare the records of a run with a baseline.

    A drop is tested in every cell, and so is a rise; each of the two families is corrected for its number of
    cells, so that in unchanged runs neither raises a false alarm more often than `rules.alpha`.

    Args:
        baseline: What is compared with.
        records: All records of one run.
        store: Where their outcomes lie.
        rules: What counts as a change.
    """
    matcher = Matcher(baseline, store, rules.compares_weights, rules.takes_any_seed)
    matches = matcher.match(records)
    pairs = [match for match in matches if isinstance(match, MatchedCell)]
    evidence = iter(weigh(pairs))
    findings = tuple(
        _finding(name, match, evidence, rules)
        for name, match in zip(names_of([match.cell for match in matches]), matches, strict=True)
    )
    notes = [
        *_other_models(pairs),
        *_other_versions(baseline.made_with, made_with(records)),
        *_blind_spots(findings, rules),
    ]
    if surplus := matcher.unmatched():
        notes.append(f"{surplus} cells of the results are not in the baseline and were not checked")
    return CheckResult(findings, tuple(notes))


def _finding(
    name: str, match: MatchedCell | Incomparable, evidence: Iterator[CellChange], rules: Rules
) -> CellResult:
    """Return what is said about a match; each pair takes the next evidence."""
    if isinstance(match, Incomparable):
        return CellResult(name, match.cell.suite, Status.INCOMPARABLE, reason=match.reason)
    found = next(evidence)
    is_significant = found.adjusted <= rules.alpha
    status = status_of_change(match.cell, found.points, is_significant, rules, found.flips)
    return CellResult(name, match.cell.suite, status, found)


def weigh(pairs: Sequence[MatchedCell]) -> list[CellChange]:
    """Return the numbers of each pair, with p-values corrected over all of them."""
    lost = [int(np.count_nonzero(pair.before & ~pair.now)) for pair in pairs]
    gained = [int(np.count_nonzero(~pair.before & pair.now)) for pair in pairs]
    drops = [mcnemar(*counts) for counts in zip(lost, gained, strict=True)]
    rises = [mcnemar(*counts) for counts in zip(gained, lost, strict=True)]
    chances = zip(drops, holm(drops), rises, holm(rises), strict=True)
    found = []
    for pair, down, up, (drop, adjusted_drop, rise, adjusted_rise) in zip(
        pairs, lost, gained, chances, strict=True
    ):
        p, adjusted = (drop, adjusted_drop) if down >= up else (rise, adjusted_rise)
        before, now = (Accuracy(int(right.sum()), len(right)) for right in (pair.before, pair.now))
        found.append(CellChange(before, now, down, up, int(pair.is_changed.sum()), p, adjusted))
    return found


def _other_models(pairs: Iterable[MatchedCell]) -> list[str]:
    changes = dict.fromkeys(change for pair in pairs for change in pair.changes)
    return [f"compared although {what} of {model} changed: {values}" for what, model, values in changes]


def _other_versions(before: Sequence[MadeWith], now: Sequence[MadeWith]) -> list[str]:
    """Say what the run was made with, where it is not what the baseline was made with."""
    then, later = _ways(before), _ways(now)
    names = [name for name in then | later if then.get(name) != later.get(name)]
    told = "; ".join(f"{name} {then.get(name, 'none')}, now {later.get(name, 'none')}" for name in names)
    return [f"made otherwise than the baseline: {told}"] if told else []


def _ways(made: Sequence[MadeWith]) -> dict[str, str]:
    """Return name -> every version, device and dtype that records were made with."""
    flat = [way.versions | {"device": way.device, "dtype": way.dtype} for way in made]
    names = dict.fromkeys(name for way in flat for name in way)
    return {name: ", ".join(sorted({way[name] for way in flat if name in way})) for name in names}


def _blind_spots(findings: Sequence[CellResult], rules: Rules) -> list[str]:
    """Say which cells no drop could fail, since losing every right answer would not be significant."""
    if rules.max_flips is not None:
        return []
    tested = {f.name: f.evidence for f in findings if isinstance(f.evidence, CellChange)}
    blind = [name for name, e in tested.items() if len(tested) * mcnemar(e.before.correct, 0) > rules.alpha]
    if not blind:
        return []
    told = ", ".join(blind[:3]) + (", ..." if len(blind) > 3 else "")
    return [f"{len(blind)} cells have too few right answers for any drop to be significant: {told}"]
