"""Accuracy under common corruptions, by kind, iteration and readout (Hendrycks & Dietterich, ICLR 2019)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from reports.archive import Outcomes
from reports.metrics import (
    ALEXNET_ERRORS,
    Accuracy,
    MeanAccuracy,
    mean_corruption_error,
    mean_error,
    relative_mean_corruption_error,
)
from reports.records import Record
from reports.subjects import failures, labels_of, provenance, subject, subjects
from reports.tables import Column, Row, Table

Hits = dict[str, dict[int, list[float]]]
"""Kind -> example -> whether it was right, at each severity."""


def corruption_tables(records: Sequence[Record], store: Outcomes) -> list[Table]:
    """Return one table, a row per kind and a column per scored answer, from records of one suite and dataset.

    A value is the mean over severities; its interval is over examples, which meet every severity.
    """
    ok = [record for record in records if record.status == "ok"]
    columns = subjects(ok)
    labels = labels_of(columns)
    own = {column: [record for record in ok if subject(record) == column] for column in columns}
    outcomes = {column: hits_by_kind(own[column], store) for column in columns}
    shown = {kind for found in outcomes.values() for kind in found}
    benchmark = [kind for kind in ALEXNET_ERRORS if kind in shown]
    extra = sorted(shown - ALEXNET_ERRORS.keys())

    rows = [Row("clean", tuple(clean_accuracy(own[column]) for column in columns))]
    if len(benchmark) == len(ALEXNET_ERRORS):
        rows.append(
            Row("mean of the 15", tuple(mean_over(outcomes[column], benchmark) for column in columns))
        )
    rows += [
        Row(kind, tuple(mean_over(outcomes[column], [kind]) for column in columns)) for kind in benchmark
    ]
    rows += [Row(f"{kind} (extra)", tuple(mean_over(outcomes[c], [kind]) for c in columns)) for kind in extra]

    cell = records[0].cell
    notes = [*_origin(ok), *failures(records)]
    for column in columns:
        notes += _errors(labels[column], outcomes[column], clean_accuracy(own[column]), cell.dataset)
    title = f"{cell.suite} on {cell.dataset}: accuracy"
    headings = tuple(Column(labels[column], is_attack=False) for column in columns)
    return [Table(title, headings, tuple(rows), tuple(notes), tuple(provenance(ok)))]


def hits_by_kind(records: Sequence[Record], store: Outcomes) -> Hits:
    """Return the hits on corrupted images in records of one answer."""
    found: Hits = defaultdict(lambda: defaultdict(list))
    for record in records:
        if record.cell.perturbation is not None:
            outcomes = store.read_outcomes(record)
            kind = found[record.cell.perturbation.name]
            for example, is_correct in zip(outcomes["example"], outcomes["is_correct"], strict=True):
                kind[int(example)].append(float(is_correct))
    return found


def clean_accuracy(records: Sequence[Record]) -> Accuracy | None:
    """Return the accuracy on clean images, of several records that with most."""
    clean = [record for record in records if record.cell.perturbation is None]
    best = max(clean, key=lambda record: record.n, default=None)
    return None if best is None else Accuracy(best.correct, best.n)


def mean_over(outcomes: Hits, kinds: Sequence[str]) -> MeanAccuracy | None:
    """Return the mean over kinds and severities, of the examples that have met them all."""
    if any(kind not in outcomes for kind in kinds):
        return None
    return MeanAccuracy(tuple(shares_over(outcomes, kinds).values()))


def shares_over(outcomes: Hits, kinds: Sequence[str]) -> dict[int, float]:
    """Return the share of hits of each example that has met all of these kinds, in [0, 1]."""
    examples = set.intersection(*(set(outcomes[kind]) for kind in kinds))
    shares = {}
    for example in sorted(examples):
        hits = [hit for kind in kinds for hit in outcomes[kind][example]]
        shares[example] = sum(hits) / len(hits)
    return shares


def _errors(label: str, outcomes: Hits, clean: Accuracy | None, dataset: str) -> list[str]:
    """Return the mean error and what of it is due to the corruptions, where all 15 kinds were shown.

    On ImageNet also the mean corruption error, which is relative to AlexNet.
    """
    means = {kind: mean_over(outcomes, [kind]) for kind in outcomes}
    errors = {kind: 1 - mean.share for kind, mean in means.items() if mean is not None}
    if clean is None or not ALEXNET_ERRORS.keys() <= errors.keys():
        return []
    plain = mean_error(errors)
    relative = plain - (1 - clean.share)
    notes = [
        f"{label}: mean error over the 15 kinds {100 * plain:.1f} %, relative mean error "
        f"(less the clean error) {100 * relative:.1f} points"
    ]
    if dataset == "imagenet":
        mce = mean_corruption_error(errors)
        relative_mce = relative_mean_corruption_error(errors, 1 - clean.share)
        notes.append(
            f"{label}: mean corruption error {100 * mce:.1f} %, relative {100 * relative_mce:.1f} %, "
            "both normalised by AlexNet's errors"
        )
    return notes


def _origin(records: Sequence[Record]) -> list[str]:
    shown = [record.cell.perturbation for record in records if record.cell.perturbation]
    severities = sorted({int(done.settings["severity"]) for done in shown})
    origins = {"official": "published images", "native": "images made here"}
    made = " and ".join(sorted({origins[done.backend] for done in shown}))
    return [f"{made}; mean over severities {', '.join(map(str, severities))}"] if shown else []
