"""A run against published accuracies, of which only a percentage and a number of examples are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reports.cell import Cell
from reports.cnnf_paper import PAPER_COLUMNS
from reports.gate.statistics import difference_interval
from reports.gate.verdict import Finding, Rules, Status, Verdict, status_of_change
from reports.metrics import Accuracy, Interval
from reports.records import Record

SUITE = "cnnf-paper"
"""The suite that measures what the authors published."""
COLUMNS = {
    "clean": "clean",
    "pgd_first": "PGD (first)",
    "pgd_e2e": "PGD (e2e)",
    "spsa_first": "SPSA (first)",
    "spsa_e2e": "SPSA (e2e)",
    "transfer": "Transfer",
}
"""Column of a published table -> the same column of ours."""


@dataclass(frozen=True)
class Claim:
    """A published accuracy."""

    model: str
    iterations: int
    readout: str
    column: str
    """A key of COLUMNS."""
    percent: float
    n: int
    """Examples behind it."""

    @property
    def name(self) -> str:
        """What the claim is about."""
        model = f"{self.model} ({self.readout})" if self.iterations else self.model
        return f"{model}: {COLUMNS[self.column]}"


@dataclass(frozen=True)
class Unpaired:
    """Two accuracies of different examples.

    Attributes:
        percent: The published accuracy.
        published_n: Examples behind it.
        now: Accuracy of the run.
        interval: Of the difference now - published, in [-1, 1], as wide as the number of claims demands.
    """

    percent: float
    published_n: int
    now: Accuracy
    interval: Interval

    @property
    def points(self) -> float:
        """Difference in percentage points."""
        return 100 * self.now.share - self.percent

    @property
    def is_significant(self) -> bool:
        """Whether the interval leaves out zero."""
        return not self.interval.low <= 0 <= self.interval.high

    def figures(self) -> dict[str, str]:
        """Return heading -> text of a table."""
        return {
            "published %": f"{self.percent:.2f}",
            "its n": str(self.published_n),
            "now %": f"{100 * self.now.share:.2f}",
            "n": str(self.now.n),
            "difference": f"{self.points:+.2f}",
            "its interval": self._interval,
        }

    def sentence(self) -> str:
        """Return the numbers in words."""
        return (
            f"published {self.percent:.2f} % of {self.published_n}, now {100 * self.now.share:.2f} % "
            f"of {self.now.n} ({self.points:+.2f} points, interval {self._interval})"
        )

    @property
    def _interval(self) -> str:
        return f"[{100 * self.interval.low:+.2f}, {100 * self.interval.high:+.2f}]"


def compare_published(claims: Sequence[Claim], records: Sequence[Record], rules: Rules) -> Verdict:
    """Compare the records of a run with what authors claim.

    A difference counts when the interval of the difference of two independent shares leaves out zero. The
    intervals are those of level 1 - 2 alpha / m for m claims (Bonferroni), alpha for each direction.

    Args:
        claims: What was published.
        records: Those of the suite SUITE count.
        rules: What counts as a change.
    """
    answered = [(claim, _answer(claim, records)) for claim in claims]
    comparable = sum(isinstance(answer, Record) for _, answer in answered)
    level = 1 - 2 * rules.alpha / max(1, comparable)
    findings = tuple(_finding(claim, answer, level, rules) for claim, answer in answered)
    return Verdict(findings, (f"intervals of level {100 * level:.6g} %",) if comparable else ())


def _answer(claim: Claim, records: Sequence[Record]) -> Record | str:
    """Return the record that answers a claim, or why none does."""
    asks = PAPER_COLUMNS[COLUMNS[claim.column]]
    wanted = (SUITE, claim.model, claim.iterations, claim.readout)
    found = [record for record in records if _subject(record.cell) == wanted and asks(record.cell)]
    if not found:
        return f"missing from the results; the suite {SUITE} measures it"
    if len(found) > 1:
        return f"the results hold {len(found)} versions of it: check the folder of one run"
    return found[0] if found[0].status == "ok" else f"failed: {found[0].error}"


def _subject(cell: Cell) -> tuple[str, str, int, str]:
    return cell.suite, cell.model, cell.iterations, cell.readout


def _finding(claim: Claim, answer: Record | str, level: float, rules: Rules) -> Finding:
    if isinstance(answer, str):
        return Finding(claim.name, SUITE, Status.INCOMPARABLE, reason=answer)
    now = Accuracy(answer.correct, answer.n)
    published = Accuracy(round(claim.n * claim.percent / 100), claim.n)
    found = Unpaired(claim.percent, claim.n, now, difference_interval(now, published, level))
    status = status_of_change(answer.cell, found.points, found.is_significant, rules)
    return Finding(claim.name, SUITE, status, found)
