"""Our models in RobustBench's columns (Croce et al., NeurIPS 2021 Datasets and Benchmarks)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from reports.archive import Archive
from reports.attacks_run import is_attacked
from reports.metrics import Accuracy
from reports.records import Record
from reports.series import largest
from reports.subjects import Subject, labels_of, provenance, subject, subjects
from reports.tables import Column, Row, Table
from reports.values import Doubted, Remark
from reports.verdict import RULES, verdict_of
from reports.verdict.evidence import Evidence, Threat, threat_of

SUITES = ("adversarial", "autoattack", "cnnf-paper", "pgd", "smoke", "strongest", "verdict")
"""Whose answers and threat models are entered: suites of untargeted attacks on models as they are used."""
AUTOATTACK = "autoattack"
"""Name of the attack that is AutoAttack's standard version."""
FOLDERS = {"linf": "Linf", "l2": "L2"}
"""Norm -> RobustBench's name of the threat model."""


@dataclass(frozen=True)
class Standing:
    """One scored answer on a leaderboard.

    Attributes:
        best_known: Examples that survive every attack that was run on them, within the threat model, of those
            that met the strongest one (`_scored`).
        is_cascaded: Whether these met a cascade of attacks.
        failed: Checks of the verdict that it failed.
        checked: How many checks could be made.
        citation: Empty where the model is nobody's publication.
    """

    answer: Subject
    label: str
    dataset: str
    threat: Threat
    clean: Accuracy | None
    autoattack: Accuracy | None
    best_known: Accuracy
    is_cascaded: bool
    failed: tuple[str, ...]
    checked: int
    citation: str


def standings(archive: Archive) -> list[Standing]:
    """Return every scored answer that was attacked, on each dataset the most robust first.

    The first pass alone of a network that stands there with feedback is a control and no entry. Those that
    met no cascade stand after those that did: less is known of them. Records of all suites and seeds count:
    an attack that has succeeded has succeeded.

    Raises:
        RecordError: If outcomes are missing or damaged.
    """
    ok = [record for record in archive.records if record.status == "ok"]
    rows = subjects(ok)
    labels = labels_of(rows)
    found = []
    for row in rows:
        for dataset in sorted({record.cell.dataset for record in ok if subject(record) == row}):
            own = [r for r in ok if subject(r) == row and r.cell.dataset == dataset]
            standing = _standing(row, labels[row], own, archive)
            found += [standing] if standing else []
    fed = {(own.answer.identity, own.dataset) for own in found if own.answer.iterations}
    found = [own for own in found if own.answer.iterations or (own.answer.identity, own.dataset) not in fed]
    return sorted(found, key=lambda own: (own.dataset, not own.is_cascaded, -own.best_known.share))


def leaderboard(records: Sequence[Record], archive: Archive) -> list[Table]:
    """Return the leaderboard of the dataset that records are of.

    It is shown once, with the first suite of `SUITES`, version and seed. Its answers and threat models are
    those of these suites; what stands is counted over all records.
    """
    dataset = records[0].cell.dataset
    on_dataset = [r for r in archive.records if r.cell.dataset == dataset and r.status == "ok"]
    entered = [r for r in on_dataset if r.cell.suite in SUITES and is_attacked(r.cell)]
    if not entered or _run(records[0]) != min(map(_run, entered)):
        return []
    answers, threats = set(subjects(entered)), {threat_of(record.cell) for record in entered}
    shown = [
        standing
        for standing in standings(archive)
        if standing.dataset == dataset and standing.answer in answers and standing.threat in threats
    ]
    if not shown:
        return []
    columns = (
        Column("clean", is_attack=False),
        Column("AutoAttack"),
        Column("best known"),
        Column("unreliable", is_attack=False),
        Column("threat model", is_attack=False),
        Column("paper", is_attack=False),
    )
    notes = (
        "AutoAttack: its standard version; "
        "best known: examples that are right and survive every attack run on them, of those that met a "
        "cascade (strongest, AutoAttack), else the attack along the gradient of the answer with most steps; "
        "answers without a cascade stand last",
        f"unreliable: checks of the verdict that failed, and how many of {len(RULES)} could be made",
        *_other_images(shown),
    )
    rows = tuple(Row(standing.label, _values(standing)) for standing in shown)
    return [Table(f"Leaderboard, {dataset}", columns, rows, notes, tuple(provenance(on_dataset)))]


def _other_images(shown: Sequence[Standing]) -> list[str]:
    """Return a note on whose ranks rest on how many images; none if all rest on as many."""
    by_size: dict[int, list[str]] = {}
    for standing in shown:
        by_size.setdefault(standing.best_known.n, []).append(standing.label)
    if len(by_size) == 1:
        return []
    told = "; ".join(f"{n} of {', '.join(labels)}" for n, labels in sorted(by_size.items()))
    return [f"ranks compare different images, which may be easier or harder: best known is on {told}"]


def model_info(standing: Standing) -> dict[str, str | int | bool | None]:
    """Return an entry of RobustBench, DATASET/THREAT/NAME.json in its model_info; accuracies in percent."""
    failed = ", ".join(standing.failed)
    return {
        "link": None,
        "name": standing.citation or None,
        "authors": None,
        "additional_data": None,
        "number_forward_passes": standing.answer.iterations + 1,
        "dataset": standing.dataset,
        "venue": None,
        "architecture": standing.label,
        "eps": _radius(standing.threat.epsilon),
        "clean_acc": _percent(standing.clean),
        "reported": None,
        "autoattack_acc": _percent(standing.autoattack),
        "external": _percent(standing.best_known),
        "unreliable": bool(failed) if standing.checked else None,
        "footnote": f"{f'failed checks: {failed}; ' if failed else ''}{_made(standing)} checks made; "
        f"{_counts(standing)}",
    }


def _run(record: Record) -> tuple[str, int, int]:
    return record.cell.suite, record.cell.suite_version, record.cell.seed


def _standing(row: Subject, label: str, records: Sequence[Record], archive: Archive) -> Standing | None:
    evidence = Evidence.of(records, archive)
    if evidence.threat is None:
        return None
    within = [record for record in evidence.attacks if threat_of(record.cell) == evidence.threat]
    stands, scored = evidence.survivors(within), _scored(evidence, within)
    if not scored:
        return None
    automatic = [r for r in within if r.cell.perturbation and r.cell.perturbation.name == AUTOATTACK]
    findings = {check.name: check.finding.status for check in verdict_of(records, archive)}
    claims = archive.published.get(row.model)
    return Standing(
        answer=row,
        label=label,
        dataset=records[0].cell.dataset,
        threat=evidence.threat,
        clean=_accuracy(r for r in records if r.cell.perturbation is None and r.cell.probe is None),
        autoattack=_accuracy(automatic),
        best_known=Accuracy(sum(stands[example] for example in scored), len(scored)),
        is_cascaded=any(map(_is_cascade, within)),
        failed=tuple(name for name, status in findings.items() if status == "FAIL"),
        checked=sum(status != "not run" for status in findings.values()),
        citation=claims.citation if claims else "",
    )


def _scored(evidence: Evidence, within: Sequence[Record]) -> list[int]:
    """Return the examples whose survival is counted: those that met the strongest attack.

    An attack on a few images says little about the others, so those that never met it are not counted with
    those that did. These are the images of a cascade; without one those of the informed attack with most
    steps, and without that those of the attack with most images.
    """
    cascades = [evidence.standing(record) for record in within if _is_cascade(record)]
    if cascades:
        return sorted(set[int]().union(*cascades))
    if evidence.informed:
        return sorted(evidence.standing(evidence.informed[-1]))
    return sorted(max(map(evidence.standing, within), key=len, default=()))


def _is_cascade(record: Record) -> bool:
    done = record.cell.perturbation
    return done is not None and (bool(done.members) or done.name == AUTOATTACK)


def _made(standing: Standing) -> str:
    return f"{standing.checked} of {len(RULES)}"


def _counts(standing: Standing) -> str:
    """Return on how many images each accuracy was measured, which need not be the same ones."""
    found = {
        "clean_acc": standing.clean,
        "autoattack_acc": standing.autoattack,
        "external": standing.best_known,
    }
    counts = {name: accuracy.n for name, accuracy in found.items() if accuracy}
    return "images: " + ", ".join(f"{name} {count}" for name, count in counts.items())


def _unreliable(standing: Standing) -> str:
    if standing.checked == 0:
        return "not checked"
    return f"{', '.join(standing.failed) or 'no'} ({_made(standing)} run)"


def _values(standing: Standing) -> tuple[Accuracy | Remark | None, ...]:
    best = standing.best_known
    norm, epsilon = standing.threat
    return (
        standing.clean,
        standing.autoattack,
        Doubted(best.correct, best.n) if standing.failed else best,
        Remark(_unreliable(standing)),
        Remark(f"{norm} {_radius(epsilon)}"),
        Remark(standing.citation) if standing.citation else None,
    )


def _accuracy(records: Iterable[Record]) -> Accuracy | None:
    found = largest(records)
    return Accuracy(found.correct, found.n) if found else None


def _percent(accuracy: Accuracy | None) -> str | None:
    return f"{100 * accuracy.share:.2f}" if accuracy else None


def _radius(epsilon: float) -> str:
    """Return a radius as RobustBench writes it: in 255ths where it is a whole number of them."""
    levels = 255 * epsilon
    return f"{round(levels)}/255" if abs(levels - round(levels)) < 1e-6 else f"{epsilon:g}"
