"""Accuracy under common corruptions, by kind, iteration and readout (Hendrycks & Dietterich, ICLR 2019)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set

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
from reports.series import largest, rank
from reports.subjects import failures, labels_of, provenance, subject, subjects
from reports.tables import Column, Row, Table
from reports.worst_case import hits

Shown = tuple[int, str]
"""Severity of a corruption, and whose code made the images."""
SEVERITIES = {1, 2, 3, 4, 5}
MADE_HERE = "of images made here, AlexNet's of published ones: not comparable with published numbers"

Hits = Mapping[str, Mapping[Shown, Mapping[int, bool]]]
"""Kind -> how it was shown -> example -> whether it was right."""


def corruption_tables(records: Sequence[Record], store: Outcomes) -> list[Table]:
    """Return one table, a row per kind and a column per scored answer, from records of one suite and dataset.

    A value is the mean over severities; its interval is over examples, which meet every severity. The values
    of a row are of the same images at the same severities.
    """
    ok = [record for record in records if record.status == "ok"]
    columns = subjects(ok)
    labels = labels_of(columns)
    records_of = {column: [record for record in ok if subject(record) == column] for column in columns}
    found = [hits_by_kind(records_of[column], store) for column in columns]
    outcomes = dict(zip(columns, alike(found), strict=True))
    rows = [Row("clean", tuple(clean_accuracy(records_of[column]) for column in columns))]
    for label, kinds in _row_kinds({kind for own in found for kind in own}).items():
        rows.append(Row(label, tuple(mean_over(outcomes[column], kinds) for column in columns)))

    cell = records[0].cell
    notes = [*_origin(ok), *omissions([labels[column] for column in columns], found), *failures(records)]
    for column in columns:
        notes += _errors(labels[column], outcomes[column], clean_accuracy(records_of[column]), cell.dataset)
    title = f"{cell.suite} on {cell.dataset}: accuracy"
    headings = tuple(Column(labels[column], is_attack=False) for column in columns)
    return [Table(title, headings, tuple(rows), tuple(notes), tuple(provenance(ok)))]


def _row_kinds(shown: Set[str]) -> dict[str, list[str]]:
    """Return the label of each row of corruptions and the kinds that it is a mean over."""
    benchmark = [kind for kind in ALEXNET_ERRORS if kind in shown]
    mean = {"mean of the 15": benchmark} if len(benchmark) == len(ALEXNET_ERRORS) else {}
    extra = {f"{kind} (extra)": [kind] for kind in sorted(shown - ALEXNET_ERRORS.keys())}
    return mean | {kind: [kind] for kind in benchmark} | extra


def hits_by_kind(records: Sequence[Record], store: Outcomes) -> Hits:
    """Return the hits on corrupted images in records of one answer.

    Of several records of one severity the largest counts.
    """
    best: dict[str, dict[Shown, Record]] = {}
    for record in sorted(records, key=rank):
        if (done := record.cell.perturbation) is not None and done.kind == "corruption":
            best.setdefault(done.name, {})[int(done.settings["severity"]), done.backend] = record
    return {
        kind: {shown: hits(store.read_outcomes(record)) for shown, record in sorted(own.items())}
        for kind, own in best.items()
    }


def alike(found: Sequence[Hits]) -> list[Hits]:
    """Return, of each of several answers, what can be compared: the same images at the same severities.

    An answer that has not met a kind at every severity that another has loses the kind, and so does every
    answer where no image is common to all; `omissions` says what is left out.
    """
    kept: list[dict[str, dict[Shown, dict[int, bool]]]] = [{} for _ in found]
    for kind in dict.fromkeys(kind for own in found for kind in own):
        whole = _whole(found, kind)
        common = _common([found[place] for place in whole], [kind])
        for place in whole if common else []:
            kept[place][kind] = {
                shown: {example: right[example] for example in common}
                for shown, right in found[place][kind].items()
            }
    return list(kept)


def omissions(labels: Sequence[str], found: Sequence[Hits]) -> list[str]:
    """Return notes on the answers and images that `alike` leaves out.

    Args:
        labels: A name for each answer.
        found: Their hits.
    """
    counts: dict[tuple[int, int], list[str]] = {}
    incomplete: dict[str, list[str]] = {}
    for kind in dict.fromkeys(kind for own in found for kind in own):
        whole = _whole(found, kind)
        met = {example for own in found for right in own.get(kind, {}).values() for example in right}
        common = _common([found[place] for place in whole], [kind])
        if len(common) < len(met):
            counts.setdefault((len(common), len(met)), []).append(kind)
        for place, label in enumerate(labels):
            if kind in found[place] and place not in whole:
                incomplete.setdefault(label, []).append(kind)
    return [
        *(
            f"{', '.join(kinds)}: {common} of {met} images count, those that every answer has met at every "
            "severity"
            for (common, met), kinds in counts.items()
        ),
        *(
            f"{label}: no number for {', '.join(kinds)}, which others have met at more severities"
            for label, kinds in incomplete.items()
        ),
    ]


def clean_accuracy(records: Sequence[Record]) -> Accuracy | None:
    """Return the accuracy on clean images, that of the largest record."""
    found = largest(record for record in records if record.cell.perturbation is None)
    return Accuracy(found.correct, found.n) if found else None


def mean_over(outcomes: Hits, kinds: Sequence[str]) -> MeanAccuracy | None:
    """Return the mean over kinds and severities, of the examples that have met them all; None without any."""
    if any(kind not in outcomes for kind in kinds):
        return None
    shares = shares_over(outcomes, kinds)
    return MeanAccuracy(tuple(shares.values())) if shares else None


def shares_over(outcomes: Hits, kinds: Sequence[str]) -> dict[int, float]:
    """Return the share of hits of each example that has met these kinds at every severity, in [0, 1]."""
    every = [right for kind in kinds for right in outcomes[kind].values()]
    return {
        example: sum(right[example] for right in every) / len(every) for example in _common([outcomes], kinds)
    }


def _whole(found: Sequence[Hits], kind: str) -> list[int]:
    """Return the places of the answers that have met a kind in every way in which any has."""
    ways = [own.get(kind, {}).keys() for own in found]
    every = set[Shown]().union(*ways)
    return [place for place, way in enumerate(ways) if way == every]


def _common(found: Sequence[Hits], kinds: Sequence[str]) -> list[int]:
    """Return the examples that all of these answers have met in every way that they have met these kinds."""
    met = [set(right) for own in found for kind in kinds for right in own[kind].values()]
    return sorted(set.intersection(*met)) if met else []


def _errors(label: str, outcomes: Hits, clean: Accuracy | None, dataset: str) -> list[str]:
    """Return the mean error and what of it is due to the corruptions, where all 15 kinds were shown.

    On ImageNet also the mean corruption error, which is relative to AlexNet's errors. Those are means over
    all severities of the published images, so that errors at some severities cannot be held against them, and
    errors on images made here only with a word on it.
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
    if dataset != "imagenet":
        return notes
    shown = [outcomes[kind].keys() for kind in ALEXNET_ERRORS]
    backends = {backend for ways in shown for _, backend in ways}
    if any({severity for severity, _ in ways} != SEVERITIES for ways in shown):
        return [*notes, f"{label}: no mean corruption error, which is over severities 1 to 5 of every kind"]
    if len(backends) > 1:
        return [
            *notes,
            f"{label}: no mean corruption error of published images and images made here together",
        ]
    mce = mean_corruption_error(errors)
    relative_mce = relative_mean_corruption_error(errors, 1 - clean.share)
    note = (
        f"{label}: mean corruption error {100 * mce:.1f} %, relative {100 * relative_mce:.1f} %, "
        "both normalised by AlexNet's errors"
    )
    return [*notes, note if backends == {"official"} else f"{note}; {MADE_HERE}"]


def _origin(records: Sequence[Record]) -> list[str]:
    shown = [record.cell.perturbation for record in records if record.cell.perturbation]
    if not shown:
        return []
    origins = {"official": "published images", "native": "images made here"}
    made = " and ".join(sorted({origins[done.backend] for done in shown}))
    severities: dict[str, set[int]] = {}
    for done in shown:
        severities.setdefault(done.name, set()).add(int(done.settings["severity"]))
    alike: dict[str, list[str]] = {}
    for kind, found in severities.items():
        alike.setdefault(", ".join(map(str, sorted(found))), []).append(kind)
    told = [
        f"mean over severities {found}" + (f" ({', '.join(kinds)})" if len(alike) > 1 else "")
        for found, kinds in alike.items()
    ]
    return [f"{made}; {'; '.join(told)}"]
