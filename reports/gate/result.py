"""What a check says: a status for each cell, and one answer for all."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from reports.cell import Cell


@dataclass(frozen=True)
class Rules:
    """When a change is told from noise, and which changes are meant.

    Attributes:
        alpha: Chance of any false regression in an unchanged run, and of any false suspicion.
        min_drop: Smallest change that matters, in percentage points of accuracy.
        max_flips: Largest number of changed answers in a cell; None for any.
        compares_weights: Compare though weights or settings of models have changed.
        takes_any_seed: Compare records of other seeds.
        allows_rise: Take a rise under attack or corruption for an improvement.
    """

    alpha: float = 0.01
    min_drop: float = 0.5
    max_flips: int | None = None
    compares_weights: bool = False
    takes_any_seed: bool = False
    allows_rise: bool = False


class Status(StrEnum):
    """What is said about a cell, the worst first."""

    REGRESSION = "regression"
    SUSPICIOUS = "suspicious"
    """Perturbed images do less harm than before: a weaker attack looks like a stronger model."""
    CHANGED = "changed"
    """More answers changed than are allowed to, whatever the accuracy."""
    INCOMPARABLE = "incomparable"
    IMPROVED = "improved"
    NEGLIGIBLE = "negligible"
    """More than chance, and too small to matter."""
    NOISE = "within noise"
    UNCHANGED = "unchanged"

    @property
    def fails(self) -> bool:
        """Whether a cell of this status has changed in a way that fails the check."""
        return self in (Status.REGRESSION, Status.SUSPICIOUS, Status.CHANGED)


class Evidence(Protocol):
    """The numbers behind a status."""

    @property
    def points(self) -> float:
        """Change of the accuracy in percentage points."""
        ...

    def figures(self) -> dict[str, str]:
        """Return heading -> text of a table."""
        ...

    def sentence(self) -> str:
        """Return the numbers in words."""
        ...


@dataclass(frozen=True)
class CellResult:
    """What is said about one cell, and why."""

    name: str
    suite: str
    status: Status
    evidence: Evidence | None = None
    """None where the cell cannot be compared."""
    reason: str = ""
    """Why it cannot."""

    @property
    def line(self) -> str:
        """Everything in one line."""
        return f"{self.status}: {self.name}: {self.evidence.sentence() if self.evidence else self.reason}"


@dataclass(frozen=True)
class CheckResult:
    """All findings of a check, with what a reader must know beside them."""

    findings: tuple[CellResult, ...]
    notes: tuple[str, ...] = ()

    @property
    def headline(self) -> str:
        """The answer in one line, the worst status first."""
        counts = {status: sum(f.status is status for f in self.findings) for status in Status}
        told = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
        answer = {0: "passed", 1: "failed", 3: "incomplete"}[self.exit_code]
        return f"{answer} ({told})"

    @property
    def exit_code(self) -> int:
        """0 if nothing is wrong, 1 if a cell fails, 3 if none fails but some cannot be compared."""
        if any(finding.status.fails for finding in self.findings):
            return 1
        return 3 if any(finding.status is Status.INCOMPARABLE for finding in self.findings) else 0

    @property
    def changed(self) -> list[CellResult]:
        """The findings that are not `unchanged`, the worst first."""
        order = list(Status)
        found = [finding for finding in self.findings if finding.status is not Status.UNCHANGED]
        return sorted(found, key=lambda finding: order.index(finding.status))


def status_of_change(cell: Cell, points: float, is_significant: bool, rules: Rules, flips: int = 0) -> Status:
    """Return what is said about a change of accuracy.

    Args:
        cell: What was measured; clean accuracy may rise.
        points: The change in percentage points.
        is_significant: Whether chance is ruled out.
        rules: What counts as a change.
        flips: Answers that changed.
    """
    matters = is_significant and abs(points) >= rules.min_drop
    if matters and points < 0:
        return Status.REGRESSION
    if matters and cell.perturbation is not None and not rules.allows_rise:
        return Status.SUSPICIOUS
    if rules.max_flips is not None and flips > rules.max_flips:
        return Status.CHANGED
    if matters:
        return Status.IMPROVED
    if is_significant:
        return Status.NEGLIGIBLE
    return Status.NOISE if flips or points else Status.UNCHANGED
