"""Checks that compare attacks with each other, example by example."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise

from reports.cell import Cell, Setting
from reports.records import Record
from reports.series import rank
from reports.statistics import upper_tail
from reports.verdict.evidence import GRADIENT_FREE, NOISE, Evidence, is_aimed, threat_of, title
from reports.verdict.finding import ALPHA, MARGIN, Finding, judged, not_run
from reports.verdict.paired import Paired
from reports.worst_case import survivors


def single_step(evidence: Evidence) -> Finding:
    """One step of the full length must not beat many: the loss would not be climbed but jumped over."""
    single = [record for record in evidence.informed if _setting(record, "steps") == 1]
    return _beaten(evidence, single, "no single-step attack")


def steps(evidence: Evidence) -> Finding:
    """Twice the steps must not find much more."""
    pairs = _neighbours(evidence, "steps", {"steps", "step_size"})
    return _more_helps(evidence, [(a, b) for a, b in pairs if _setting(a, "steps") != 1])


def restarts(evidence: Evidence) -> Finding:
    """More random starts must not find much more."""
    return _more_helps(evidence, _neighbours(evidence, "restarts", {"restarts"}))


def epsilon(evidence: Evidence) -> Finding:
    """A larger ball holds the smaller one, so less must stand in it."""
    ladders: dict[frozenset[tuple[str, Setting]], list[Record]] = {}
    for record in evidence.climbs:
        ladders.setdefault(_settings_but(record, {"epsilon", "step_size"}), []).append(record)
    longest = max(ladders.values(), key=lambda ladder: len(ladder), default=[])
    # Of several at one epsilon, as from other seeds, the largest counts.
    ladder = sorted({_epsilon(record): record for record in sorted(longest, key=rank)}.values(), key=_epsilon)
    if len(ladder) < 2:
        return not_run("one epsilon only")
    tests = [(b, _paired(evidence, b, a)) for a, b in pairwise(ladder)]
    rising = [record for record, test in tests if test.p_value * len(tests) <= ALPHA]
    falls = ", ".join(
        f"{100 * record.correct / record.n:.1f} % at {threat_of(record.cell).epsilon:.3g}"
        for record in ladder
    )
    return judged(bool(rising), falls, rising)


def chance(evidence: Evidence) -> Finding:
    """From epsilon 0.5 on nothing can be robust: all images can be made the same grey one.

    The most that can then be right is the share of the most common label.
    """
    unbounded = [r for r in evidence.climbs if threat_of(r.cell).norm == "linf" and _epsilon(r) >= 0.5]
    if not unbounded:
        return not_run("no attack with epsilon of at least 0.5")
    numbers, is_failure = [], False
    for record in sorted(unbounded, key=_epsilon):
        labels = evidence.column(record, "label")
        common = Counter(labels).most_common(1)[0][1] if labels is not None else record.n
        p_value = upper_tail(record.correct, record.n, common / record.n) * len(unbounded)
        is_failure |= p_value <= ALPHA
        numbers.append(
            f"{record.correct} of {record.n} stand at {_epsilon(record):.3g}, chance allows {common}"
        )
    return judged(is_failure, "; ".join(numbers), evidence.informed)


def other_targets(evidence: Evidence) -> Finding:
    """An attacker who ignores the feedback, or differentiates another readout, must not do better."""
    others = [r for r in evidence.others if not _is_free(r) and not r.cell.is_transfer]
    return _beaten(evidence, others, "no gradient attack on another target")


def noise(evidence: Evidence) -> Finding:
    """Random noise of the same size must not do better."""
    return _beaten(evidence, _drawn(evidence), "no random noise")


def gradient_free(evidence: Evidence) -> Finding:
    """An attack that only asks for answers must not do better."""
    names = GRADIENT_FREE
    free = [r for r in evidence.others if r.cell.perturbation and r.cell.perturbation.name in names]
    return _beaten(evidence, [r for r in free if not r.cell.is_transfer], "no gradient-free attack")


def transfer(evidence: Evidence) -> Finding:
    """Images made against another model must not do better; they say something only if they do harm."""
    carried = [record for record in evidence.others if record.cell.is_transfer]
    found = _beaten(evidence, carried, "no transfer attack")
    for drawn in _drawn(evidence) if found.status == "pass" else ():
        pairs = [_paired(evidence, record, drawn) for record in carried]
        if all(pair.only_second > pair.only_first for pair in pairs):
            return not_run("random noise does more harm than the images made against other models")
    return found


def _drawn(evidence: Evidence) -> list[Record]:
    return [r for r in evidence.others if r.cell.perturbation and r.cell.perturbation.name in NOISE]


def per_example(evidence: Evidence) -> Finding:
    """What stands against every informed attack must hardly ever fall to one that knows less."""
    if not evidence.informed or not evidence.others:
        return not_run("needs informed attacks and others")
    informed = survivors(map(evidence.standing, evidence.informed))
    everything = survivors(map(evidence.standing, [*evidence.informed, *evidence.others]))
    gained = sum(stands and not everything[example] for example, stands in informed.items())
    numbers = f"{gained} of {len(informed)} stand against every informed attack and fall to another"
    is_failure = upper_tail(gained, len(informed), MARGIN) <= ALPHA
    return judged(is_failure, numbers, evidence.informed)


def objective(evidence: Evidence) -> Finding:
    """At least one gradient attack must climb exactly what is scored."""
    own = [r for r in evidence.attacks if not _is_free(r) and not r.cell.is_transfer]
    if not own:
        return not_run("no gradient attack")
    aimed = [record for record in own if is_aimed(record.cell)]
    numbers = f"{len(aimed)} of {len(own)} gradient attacks aim at what is scored"
    return judged(not aimed, numbers, own)


def ball(evidence: Evidence) -> Finding:
    """Every perturbation must be inside its ball and every pixel in [0, 1], measured in float64."""
    outside, excess, count, unknown = [], 0.0, 0, 0
    for record in evidence.attacks:
        threat = threat_of(record.cell)
        change = evidence.column(record, threat.norm)
        lowest, highest = evidence.column(record, "lowest"), evidence.column(record, "highest")
        if change is None or lowest is None or highest is None:
            return not_run("records of a version that kept no pixel range")
        # Not "above", so that NaN is outside.
        is_inside = (change <= threat.epsilon * (1 + 1e-5) + 1e-6) & (lowest >= 0) & (highest <= 1)
        count += len(change)
        unknown += int(change.isna().sum())
        excess = max(excess, float((change - threat.epsilon).max()))
        if not is_inside.all():
            outside.append(record)
    if not count:
        return not_run("no attack")
    numbers = f"{count} images, largest excess over epsilon {excess:.1g}"
    return judged(bool(outside), numbers + (f", {unknown} are NaN" if unknown else ""), outside)


def _beaten(evidence: Evidence, weaker: Sequence[Record], missing: str) -> Finding:
    """Judge whether an attack that ought to be weaker is stronger than the strongest informed one."""
    if not weaker or not evidence.informed:
        return not_run(missing if not weaker else "no informed attack")
    strongest = evidence.informed[-1]
    tests = [(record, _paired(evidence, strongest, record)) for record in weaker if record != strongest]
    tests = [(record, test) for record, test in tests if 0.5**test.n * len(weaker) <= ALPHA]
    if not tests:
        return not_run("too few examples")
    record, worst = min(tests, key=lambda pair: pair[1].p_value)
    p_value = min(1.0, worst.p_value * len(tests))
    numbers = (
        f"of {worst.n}, {worst.only_second} fall only to {title(record.cell)} and {worst.only_first} only to "
        f"{title(strongest.cell)}; p = {p_value:.2g}"
    )
    return judged(p_value <= ALPHA, numbers, evidence.informed)


def _more_helps(evidence: Evidence, pairs: Sequence[tuple[Record, Record]]) -> Finding:
    """Judge whether the attack with more work gains more than it may."""
    if not pairs:
        return not_run("no two attacks that differ in this alone")
    numbers, doubted = [], []
    for less, more in pairs:
        test = _paired(evidence, less, more)
        is_gain = upper_tail(test.only_second, test.n, MARGIN) * len(pairs) <= ALPHA
        if is_gain and test.p_value * len(pairs) <= ALPHA:
            doubted.append(less)
        numbers.append(
            f"of {test.n}, {test.only_second} fall only to {title(more.cell)} and {test.only_first} only to "
            f"{title(less.cell)}"
        )
    return judged(bool(doubted), "; ".join(numbers), doubted)


def _neighbours(evidence: Evidence, name: str, free: set[str]) -> list[tuple[Record, Record]]:
    """Return pairs of informed attacks that differ in one setting alone, at least by a factor of two.

    Of several with one setting, as from other seeds, the largest counts.
    """
    groups: dict[frozenset[tuple[str, Setting]], list[Record]] = {}
    for record in evidence.informed:
        if name in _settings(record.cell):
            groups.setdefault(_settings_but(record, free), []).append(record)
    pairs = []
    for group in groups.values():
        ladder = sorted({_setting(r, name): r for r in sorted(group, key=rank)}.items())
        pairs += [(a, b) for (less, a), (more, b) in pairwise(ladder) if more >= 2 * less]
    return pairs


def _paired(evidence: Evidence, first: Record, second: Record) -> Paired:
    return Paired.of(evidence.standing(first), evidence.standing(second))


def _settings(cell: Cell) -> dict[str, Setting]:
    return dict(cell.perturbation.settings) if cell.perturbation else {}


def _settings_but(record: Record, free: Iterable[str]) -> frozenset[tuple[str, Setting]]:
    done = record.cell.perturbation
    kept = {name: value for name, value in _settings(record.cell).items() if name not in set(free)}
    made_by = {"name": done.name, "backend": done.backend} if done else {}
    return frozenset({**kept, **made_by}.items())


def _setting(record: Record, name: str) -> float:
    return float(_settings(record.cell).get(name, 0))


def _epsilon(record: Record) -> float:
    return threat_of(record.cell).epsilon


def _is_free(record: Record) -> bool:
    done = record.cell.perturbation
    return done is not None and done.name in GRADIENT_FREE | NOISE
