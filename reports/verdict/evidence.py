"""What the records say about one scored answer, sorted by what each attacker knew."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from reports.archive import Outcomes
from reports.attacks_run import attacked, untouched
from reports.cell import Cell
from reports.records import Record
from reports.series import one_of_each, rank
from reports.subjects import Subject, subject
from reports.worst_case import Hits, hits, survivors

if TYPE_CHECKING:
    import pandas as pd

GRADIENT_FREE = {"spsa", "square"}
"""Attacks that ask the model for answers only."""
NOISE = {"noise"}
"""Attacks that do not ask the model at all."""
TARGETED = {"targeted_bim"}
"""Attacks that aim at one wrong class: harder than any, so that they say little of how strong others are."""


class Threat(NamedTuple):
    """What an attack was allowed; lengths in [0, 1] pixel units."""

    norm: str
    epsilon: float


@dataclass(frozen=True)
class Evidence:
    """Finished records of one scored answer: one model, iteration count and readout.

    Records without outcomes are left out: nothing can be compared per example.

    Attributes:
        threat: The threat model of the numbers in question; None without an attack.
    """

    records: tuple[Record, ...]
    store: Outcomes
    threat: Threat | None
    _frames: dict[str, pd.DataFrame] = field(default_factory=dict, compare=False)

    @classmethod
    def of(cls, records: Iterable[Record], store: Outcomes, threat: Threat | None = None) -> Evidence:
        """Return the evidence that these records give, of each series the largest alone.

        A smaller one says the same of fewer images, which are too few to be compared with the others.

        Args:
            records: Records of one scored answer.
            store: Where their outcomes lie.
            threat: The threat model in question; None for the one that most attacks share.
        """
        usable = (r for r in records if r.status == "ok" and r.outcomes is not None)
        kept = one_of_each(usable)
        return cls(tuple(kept), store, threat or usual_threat(kept))

    @property
    def attacks(self) -> list[Record]:
        """All attacks, at any epsilon."""
        return attacked(self.records)

    @property
    def informed(self) -> list[Record]:
        """Attacks along the gradient of exactly what is scored, the least work first."""
        return [r for r in self.climbs if threat_of(r.cell) == self.threat]

    @property
    def climbs(self) -> list[Record]:
        """The same at every epsilon, of those with as much work the largest last."""
        return sorted((r for r in self.attacks if is_informed(r.cell)), key=lambda r: (work(r.cell), rank(r)))

    @property
    def others(self) -> list[Record]:
        """All attacks of the same threat model that know less, or something else.

        No mixed cascade, and none that wants one wrong class: these know as much, and take no side.
        """
        mine = [r for r in self.attacks if threat_of(r.cell) == self.threat and not is_informed(r.cell)]
        done = [(r, r.cell.perturbation) for r in mine]
        return [r for r, attack in done if attack and not attack.members and attack.name not in TARGETED]

    def survivors(self, attacks: Iterable[Record]) -> Hits:
        """Return which examples stand against these attacks and are right as they are."""
        return survivors(map(self.standing, attacks), map(self.standing, untouched(self.records)))

    def column(self, record: Record, name: str) -> pd.Series | None:
        """Return a column of the outcomes; None if the record was written without it."""
        frame = self._frame(record)
        return frame.get(name)

    def standing(self, record: Record) -> Hits:
        """Return which examples withstood."""
        return hits(self._frame(record))

    def _frame(self, record: Record) -> pd.DataFrame:
        if record.key not in self._frames:
            self._frames[record.key] = self.store.read_outcomes(record)
        return self._frames[record.key]


def is_informed(cell: Cell) -> bool:
    """Whether the attacker climbs the gradient of what is scored: these weights, iterations and readout.

    A cascade with members that climb another gradient, or none, is neither informed nor ignorant: which of
    them breaks an image first says nothing of the others.
    """
    done = cell.perturbation
    if done is None or cell.is_transfer or done.name in GRADIENT_FREE | NOISE | TARGETED:
        return False
    return is_aimed(cell) and all(
        member["target"] == cell.attack_target and member["attack"] not in GRADIENT_FREE
        for member in done.members
    )


def is_aimed(cell: Cell) -> bool:
    """Whether what is attacked is what is scored."""
    wanted = "first" if cell.iterations == 0 else {"last": "e2e", "avg": "e2e_avg"}[cell.readout]
    return cell.attack_target == wanted and cell.attack_iterations == cell.iterations


def threat_of(cell: Cell) -> Threat:
    """Return the threat model of an attack."""
    settings = cell.perturbation.settings if cell.perturbation else {}
    return Threat(str(settings["norm"]), float(settings["epsilon"]))


def usual_threat(records: Iterable[Record]) -> Threat | None:
    """Return the threat model that most attacks share; None without an attack."""
    counts = Counter(threat_of(record.cell) for record in attacked(records))
    return max(counts, key=lambda threat: (counts[threat], -threat.epsilon), default=None)


def about(answer: Subject, cell: Cell, records: Iterable[Record]) -> list[Record]:
    """Return those of some records that are on a scored answer, with the dataset and the seed of a cell."""
    return [
        record
        for record in records
        if (record.cell.dataset, record.cell.seed) == (cell.dataset, cell.seed) and subject(record) == answer
    ]


def work(cell: Cell) -> int:
    """Return the gradient steps that an attack spends on an example."""
    settings = cell.perturbation.settings if cell.perturbation else {}
    return int(settings.get("steps", 1)) * int(settings.get("restarts", 1))


def title(cell: Cell, threat: Threat | None = None) -> str:
    """Return a short name of an attack: "PGD-10x3", "SPSA-7 (first)", "PGD-10 at 0.5".

    Args:
        cell: A cell with an attack.
        threat: The threat model that need not be named.
    """
    if cell.perturbation is None:
        return "clean"
    settings, name = cell.perturbation.settings, cell.perturbation.name
    if name in NOISE:
        return "noise"
    steps = f"-{settings['steps']}" if "steps" in settings else ""
    restarts = f"x{settings['restarts']}" if settings.get("restarts", 1) != 1 else ""
    aim = f" from {cell.source}" if cell.is_transfer else "" if is_aimed(cell) else f" ({cell.attack_target})"
    radius = "" if threat in (None, threat_of(cell)) else f" at {threat_of(cell).epsilon:.3g}"
    return f"{name.upper()}{steps}{restarts}{aim}{radius}"
