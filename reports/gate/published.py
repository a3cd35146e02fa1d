"""A run against published accuracies, of which only a percentage and a number of examples are known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from reports.archive import Archive
from reports.cnnf_paper import PAPER_COLUMNS
from reports.gate.result import CellResult, CheckResult, Rules, Status, status_of_change
from reports.metrics import Accuracy, Interval
from reports.published import CLAIMED, claims_of
from reports.records import Record, RecordError
from reports.statistics import difference_interval
from reports.subjects import labels_of, subject, subjects
from reports.values import Claim

SUITE = "cnnf-paper"
"""The suite that measures what the authors published."""


@dataclass(frozen=True)
class Unpaired:
    """Two accuracies of different examples.

    Attributes:
        claim: The published accuracy.
        now: Accuracy of the run.
        interval: Of the difference now - published, in [-1, 1].
    """

    claim: Claim
    now: Accuracy
    interval: Interval

    @property
    def points(self) -> float:
        """Difference in percentage points."""
        return 100 * self.now.share - self.claim.percent

    @property
    def is_significant(self) -> bool:
        """Whether the interval leaves out zero."""
        return not self.interval.low <= 0 <= self.interval.high

    def figures(self) -> dict[str, str]:
        """Return heading -> text of a table."""
        return {
            "published %": f"{self.claim.percent:.2f}",
            "its n": str(self.claim.n),
            "now %": f"{100 * self.now.share:.2f}",
            "n": str(self.now.n),
            "difference": f"{self.points:+.2f}",
            "its interval": self._interval,
        }

    def sentence(self) -> str:
        """Return the numbers in words."""
        return (
            f"published {self.claim.percent:.2f} % of {self.claim.n}, now {100 * self.now.share:.2f} % "
            f"of {self.now.n} ({self.points:+.2f} points, interval {self._interval})"
        )

    @property
    def _interval(self) -> str:
        return f"[{100 * self.interval.low:+.2f}, {100 * self.interval.high:+.2f}]"


def compare_published(archive: Archive, rules: Rules) -> CheckResult:
    """Compare the records of a run with what the authors of the models claim.

    A difference counts when the interval of the difference of two independent shares leaves out zero. The
    intervals are those of level 1 - 2 alpha / m for m claims (Bonferroni), alpha for each direction.

    Args:
        archive: Records of the suite SUITE count, with the claims about their models.
        rules: What counts as a change.

    Raises:
        RecordError: If no such record is of a model with published numbers.
    """
    claims = list(_claims(archive))
    if not claims:
        known = ", ".join(archive.published)
        raise RecordError(f"no record of the suite {SUITE} is of a model with published numbers: {known}")
    comparable = sum(len(found) == 1 and found[0].status == "ok" for _, _, found in claims)
    level = 1 - 2 * rules.alpha / max(1, comparable)
    findings = tuple(_finding(name, claim, found, level, rules) for name, claim, found in claims)
    return CheckResult(findings, (f"intervals of level {100 * level:.6g} %",) if comparable else ())


def _claims(archive: Archive) -> Iterator[tuple[str, Claim, list[Record]]]:
    """Yield (name, claim, the records that answer it) for every claim about an answer that was run."""
    records = [r for r in archive.records if r.cell.suite == SUITE and r.cell.model in archive.published]
    rows = subjects(records)
    labels = labels_of(rows)
    for row in rows:
        own = [record for record in records if subject(record) == row]
        for heading, claim in zip(CLAIMED, claims_of(row, archive.published[row.model]), strict=True):
            # Without feedback the attack end to end is that on the first pass, which is asked already.
            if claim is not None and not (row.iterations == 0 and "e2e" in heading):
                found = [record for record in own if PAPER_COLUMNS[heading](record.cell)]
                yield f"{labels[row]}: {heading}", claim, found


def _finding(name: str, claim: Claim, found: Sequence[Record], level: float, rules: Rules) -> CellResult:
    if reason := _obstacle(found):
        return CellResult(name, SUITE, Status.INCOMPARABLE, reason=reason)
    (record,) = found
    now = Accuracy(record.correct, record.n)
    published = Accuracy(round(claim.n * claim.percent / 100), claim.n)
    evidence = Unpaired(claim, now, difference_interval(now, published, level))
    status = status_of_change(record.cell, evidence.points, evidence.is_significant, rules)
    return CellResult(name, SUITE, status, evidence)


def _obstacle(found: Sequence[Record]) -> str | None:
    """Return why the records of a claim cannot be compared with it, if they cannot."""
    if not found:
        return "missing from the results"
    if len(found) > 1:
        return f"the results hold {len(found)} versions of it: check the folder of one run"
    return f"failed: {found[0].error}" if found[0].status == "error" else None
