"""Accuracy against epsilon and against test iterations under a long PGD (Huang et al. 2020, figure 4)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from reports.archive import Outcomes
from reports.attacks_run import attack_name, is_attacked
from reports.corruption_table import clean_accuracy
from reports.figures import Figure, Panel, Series, percent_at
from reports.metrics import Accuracy
from reports.records import Record
from reports.subjects import Subject, failures, final, labels_of, names_of, provenance, subject, subjects
from reports.tables import Column, Row, Table
from reports.worst_case import worst_case

Curve = dict[float, Accuracy]
"""Epsilon, in [0, 1] pixel units -> what survives all targets, example by example."""
STRONGEST = "the strongest of the attacks counts, example by example: "

TARGET_TITLES = {
    "first": "first pass",
    "e2e": "all iterations, last logits",
    "e2e_avg": "all iterations, mean logits",
}


def epsilon_table(records: Sequence[Record], archive: Outcomes) -> list[Table]:
    """Return a row per answer and a column per epsilon."""
    ok, curves = _curves(records, archive)
    if not curves:
        return []
    labels = labels_of(list(curves))
    epsilons = sorted({epsilon for curve in curves.values() for epsilon in curve})
    columns = tuple(Column(f"epsilon {epsilon:.3g}", is_attack=False) for epsilon in epsilons)
    rows = tuple(Row(labels[s], tuple(map(curve.get, epsilons))) for s, curve in curves.items())
    title = f"{_attack(ok)} on {ok[0].cell.dataset}: accuracy against epsilon"
    notes = (_strongest(ok), "linf, epsilon in [0, 1] pixel units", *failures(records))
    return [Table(title, columns, rows, notes, tuple(provenance(ok)))]


def epsilon_figures(records: Sequence[Record], archive: Outcomes) -> list[Figure]:
    """Return accuracy against epsilon, a line per model, each with the most iterations measured."""
    ok, curves = _curves(records, archive)
    if not curves:
        return []
    panels = [
        Panel("last answer" if readout == "last" else "mean of the answers", _by_model(curves, readout))
        for readout in sorted({row.readout for row in final(curves)}, reverse=True)
    ]
    return [_against_epsilon(f"{_attack(ok)} on {ok[0].cell.dataset}", panels, _strongest(ok), ok)]


def target_figures(records: Sequence[Record], archive: Outcomes) -> list[Figure]:
    """Return the same by what the attacker differentiates, a panel each, for the last answer.

    An attacker who differentiates the last logits should leave less of them standing than one who
    differentiates anything else; where the panels say otherwise, gradients are masked.
    """
    ok, _ = _curves(records, archive)
    panels = []
    for target, title in TARGET_TITLES.items():
        if not any(r.cell.attack_target == target and not _is_plain(r) for r in ok):
            continue
        # A network without feedback has only a first pass: it stands in all panels.
        aimed = [r for r in ok if not is_attacked(r.cell) or r.cell.attack_target == target or _is_plain(r)]
        _, curves = _curves(aimed, archive)
        panels.append(Panel(title, _by_model(curves, "last")))
    if len(panels) < 2 or not all(len(panel.series) > 1 for panel in panels):
        return []
    title = f"{_attack(ok)} on {ok[0].cell.dataset}, by what the attacker differentiates"
    return [_against_epsilon(title, panels, "last answer", ok)]


def iteration_figures(records: Sequence[Record], archive: Outcomes) -> list[Figure]:
    """Return accuracy against test iterations, a line per epsilon, a figure per model with two or more."""
    ok, curves = _curves(records, archive)
    figures = []
    for model, name in names_of(row.identity for row in curves if row.iterations > 1).items():
        own = {row: curve for row, curve in curves.items() if row.identity == model}
        about = [r for r in ok if r.cell.identity == model]
        panels = tuple(
            Panel("last answer" if readout == "last" else "mean of the answers", _by_epsilon(own, readout))
            for readout in ("last", "avg")
        )
        figures.append(
            Figure(
                title=f"{name} on {about[0].cell.dataset}, {_attack(ok)}",
                kind="curves",
                x_label="test iterations",
                y_label="accuracy (%)",
                panels=panels,
                series_label="epsilon",
                is_ordered=True,
                notes=(_strongest(about), "bars: 95 % intervals"),
                provenance=tuple(provenance(about)),
            )
        )
    return figures


def _against_epsilon(title: str, panels: Sequence[Panel], note: str, records: Sequence[Record]) -> Figure:
    return Figure(
        title=title,
        kind="curves",
        x_label="epsilon (linf, pixels in [0, 1])",
        y_label="accuracy (%)",
        panels=tuple(panels),
        notes=(note, "bars: 95 % intervals"),
        provenance=tuple(provenance(records)),
    )


def _by_model(curves: dict[Subject, Curve], readout: str) -> tuple[Series, ...]:
    """Return a line per model; a network without feedback has one answer, which belongs beside both."""
    shown = [row for row in final(curves) if row.readout == readout or row.iterations == 0]
    names = _names(shown)
    return tuple(
        Series(names[row], tuple(percent_at(epsilon, v) for epsilon, v in sorted(curves[row].items())))
        for row in shown
    )


def _is_plain(record: Record) -> bool:
    return record.cell.iterations == 0


def _curves(records: Sequence[Record], archive: Outcomes) -> tuple[list[Record], dict[Subject, Curve]]:
    """Return the records behind the curves, and a curve for every answer that was attacked."""
    ok = [r for r in records if r.status == "ok" and not r.cell.is_transfer]
    curves: dict[Subject, Curve] = {}
    for row in subjects(record for record in ok if is_attacked(record.cell)):
        own = [record for record in ok if subject(record) == row]
        by_epsilon: dict[float, list[Record]] = defaultdict(list)
        for record in own:
            done = record.cell.perturbation
            by_epsilon[float(done.settings["epsilon"]) if done else 0.0].append(record)
        clean = by_epsilon.pop(0.0, [])
        first = clean_accuracy(clean)
        curves[row] = {0.0: first} if first else {}
        for epsilon, found in sorted(by_epsilon.items()):
            if accuracy := worst_case([*clean, *found], archive):
                curves[row][epsilon] = accuracy
    return ok, curves


def _names(rows: Sequence[Subject]) -> dict[Subject, str]:
    """Return the names of answers of which each panel has one readout."""
    labels = labels_of(rows)
    return {row: label.removesuffix(f" ({row.readout})") for row, label in labels.items()}


def _by_epsilon(curves: dict[Subject, Curve], readout: str) -> tuple[Series, ...]:
    # Before the first iteration both readouts are the same answer.
    shown = sorted(
        (row for row in curves if row.readout == readout or row.iterations == 0),
        key=lambda row: row.iterations,
    )
    epsilons = sorted({epsilon for row in shown for epsilon in curves[row]})
    return tuple(
        Series(
            f"{epsilon:.3g}",
            tuple(
                percent_at(row.iterations, curves[row][epsilon]) for row in shown if epsilon in curves[row]
            ),
        )
        for epsilon in epsilons
    )


def _attack(records: Sequence[Record]) -> str:
    names = {attack_name(r.cell.perturbation) for r in records if r.cell.perturbation}
    return " and ".join(sorted(names))


def _strongest(records: Sequence[Record]) -> str:
    aimed = {record.cell.attack_target for record in records if is_attacked(record.cell)}
    return STRONGEST + "; ".join(title for target, title in TARGET_TITLES.items() if target in aimed)
