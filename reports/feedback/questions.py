"""What two answers to the same images were both asked, in like form."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

from reports.archive import Outcomes
from reports.attacks_run import attack_name, attacked, untouched
from reports.cell import canonical
from reports.corruption_table import hits_by_kind, shares_over
from reports.feedback.comparison import Shares
from reports.metrics import ALEXNET_ERRORS
from reports.records import Record
from reports.series import largest, one_of_each
from reports.verdict.evidence import Threat, is_aimed, threat_of, work
from reports.worst_case import hits as hits_of
from reports.worst_case import met_all, survivors


class Asked(NamedTuple):
    """What is right without feedback, and with it."""

    without: Shares
    feedback: Shares
    choices: int = 1
    """Like questions of which this one was chosen for its answers."""


Matched = tuple[Record, Record]
"""Records of the same done to the images: without feedback, and with it."""


def questions(without: Sequence[Record], feedback: Sequence[Record], archive: Outcomes) -> dict[str, Asked]:
    """Return question -> what is right.

    Args:
        without: Finished records of an answer without feedback.
        feedback: Those of the answer with feedback.
        archive: Where their outcomes lie.
    """
    clean = largest(untouched(without)), largest(untouched(feedback))
    found: dict[str, Asked] = {}
    if clean[0] and clean[1]:
        found["clean"] = Asked(_shares(clean[0], archive), _shares(clean[1], archive))
    found |= _under_attack(without, feedback, archive)
    return found | _corrupted(without, feedback, archive)


def attacks_met(records: Iterable[Record]) -> int:
    """Return how many attacks an answer met, each member of a cascade counted."""
    done = [record.cell.perturbation for record in one_of_each(attacked(records))]
    return sum(len(attack.members) or 1 for attack in done if attack is not None)


def _under_attack(
    without: Sequence[Record], feedback: Sequence[Record], archive: Outcomes
) -> dict[str, Asked]:
    """Return each attack on the model itself, the shortest first, then the worst case.

    At several epsilons it is instead the mean over them of what stands.
    """
    pairs = _matched(without, feedback)
    clean = untouched(without), untouched(feedback)
    through: dict[str, dict[Threat, list[Matched]]] = {}
    for pair in pairs:
        at = through.setdefault(_target(pair[1]), {})
        at.setdefault(threat_of(pair[1].cell), []).append(pair)
    if len({threat for at in through.values() for threat in at}) > 1:
        return _strongest([_over_epsilons(target, at, clean, archive) for target, at in through.items()])
    found = {
        _question(ours): Asked(_shares(theirs, archive), _shares(ours, archive)) for theirs, ours in pairs
    }
    stood = [
        _Stood(met, f"worst of {met}", target, asked)
        for target, at in through.items()
        for met, asked in (_standing(own, clean, archive) for own in at.values())
        if met > 1
    ]
    return found | _strongest(stood)


@dataclass(frozen=True)
class _Stood:
    """What stands under several attacks through one target."""

    met: int
    """Attacks or epsilons that count."""
    name: str
    target: str
    asked: Asked


def _strongest(stood: Sequence[_Stood]) -> dict[str, Asked]:
    """Return the target through which least stands with feedback, of those with most attacks.

    Not what stands under all targets: an answer without feedback has one, so it would meet fewer attacks.
    Nor each target: the gradient through the iterations may be masked, and then its attacks say little.
    """
    if not stood:
        return {}

    def size(found: _Stood) -> tuple[int, int]:
        return found.met, len(found.asked.feedback)

    largest = max(map(size, stood))
    choices = [found for found in stood if size(found) == largest]
    best = min(choices, key=lambda found: sum(found.asked.feedback.values()))
    return {_aimed(best.name, best.target): best.asked._replace(choices=len(choices))}


def _over_epsilons(
    target: str,
    at: Mapping[Threat, Sequence[Matched]],
    clean: tuple[Sequence[Record], Sequence[Record]],
    archive: Outcomes,
) -> _Stood:
    radii = [f"{threat.epsilon:.3g}" for threat in sorted(at)]
    stands = [_standing(own, clean, archive)[1] for own in at.values()]
    asked = Asked(_mean([asked.without for asked in stands]), _mean([asked.feedback for asked in stands]))
    name = f"mean of {len(radii)} epsilons, {radii[0]} to {radii[-1]}"
    return _Stood(len(radii), name, target, asked)


def _matched(without: Sequence[Record], feedback: Sequence[Record]) -> list[Matched]:
    """Return the attacks in like form that both met, the shortest first.

    An answer without feedback has only a first pass: every target is the same attack on it. An attack from
    another network is left out, for it is no attack on both.
    """
    bare = [r for r in attacked(without) if not r.cell.is_transfer and is_aimed(r.cell)]
    own = sorted((r for r in attacked(feedback) if not r.cell.is_transfer), key=_effort)
    found = []
    for (form, _), records in groupby(own, key=lambda r: (_form(r), _target(r))):
        theirs, ours = largest(r for r in bare if _form(r) == form), largest(records)
        if theirs and ours:
            found.append((theirs, ours))
    return found


def _standing(
    pairs: Sequence[Matched], clean: tuple[Sequence[Record], Sequence[Record]], archive: Outcomes
) -> tuple[int, Asked]:
    """Return how many attacks count, and what stands under all of them, of the images that met them all.

    Those run on fewer images than others do not count: they say little about the rest.
    """
    hits = [(hits_of(archive.read_outcomes(one)), hits_of(archive.read_outcomes(two))) for one, two in pairs]
    sizes = [len(one.keys() & two.keys()) for one, two in hits]
    counted = [both for both, size in zip(hits, sizes, strict=True) if size == max(sizes)]
    examples = met_all([answers for both in counted for answers in both])
    stands = [
        survivors([both[side] for both in counted], [hits_of(archive.read_outcomes(r)) for r in clean[side]])
        for side in (0, 1)
    ]
    one, two = ({example: float(found[example]) for example in examples} for found in stands)
    return len(counted), Asked(one, two)


def _corrupted(without: Sequence[Record], feedback: Sequence[Record], archive: Outcomes) -> dict[str, Asked]:
    """Return the mean over the kinds and severities of corruption that both met."""
    both = [[r for r in own if _is_corrupted(r)] for own in (without, feedback)]
    forms = set.intersection(*({_form(record) for record in own} for own in both))
    kinds = [hits_by_kind([r for r in own if _form(r) in forms], archive) for own in both]
    shown = [kind for kind in ALEXNET_ERRORS if all(kind in own for own in kinds)]
    if not shown:
        return {}
    return {
        f"mean of {len(shown)} corruptions": Asked(shares_over(kinds[0], shown), shares_over(kinds[1], shown))
    }


def _mean(stands: Sequence[Shares]) -> Shares:
    """Return the share of threat models that an example stands under, of those that met them all."""
    return {example: sum(found[example] for found in stands) / len(stands) for example in met_all(stands)}


def _form(record: Record) -> str:
    """Return what is done to the images, whoever it is done to.

    The members of a cascade depend on the targets that there are: those are alike that end alike.
    """
    done = record.cell.perturbation
    assert done is not None
    settings = {name: value for name, value in done.settings.items() if "." not in name}
    last = {name: value for member in done.members[-1:] for name, value in member.items() if name != "target"}
    return canonical([done.kind, done.name, done.backend, settings, last])


def _target(record: Record) -> str:
    """Return what the attacker differentiates; "" of a cascade, whose members have several targets."""
    done = record.cell.perturbation
    return "" if done is None or done.members else str(record.cell.attack_target)


def _effort(record: Record) -> tuple[str, int, str, str]:
    assert record.cell.perturbation is not None
    return record.cell.perturbation.name, work(record.cell), _form(record), _target(record)


def _question(record: Record) -> str:
    assert record.cell.perturbation is not None
    return _aimed(attack_name(record.cell.perturbation), _target(record))


def _aimed(name: str, target: str) -> str:
    return f"{name} ({target})" if target else name


def _is_corrupted(record: Record) -> bool:
    return record.cell.perturbation is not None and record.cell.perturbation.kind == "corruption"


def _shares(record: Record, archive: Outcomes) -> Shares:
    return {example: float(stands) for example, stands in hits_of(archive.read_outcomes(record)).items()}
