"""Who a number is about, and what must be said beside it: shared by all tables."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from reports.cell import Identity
from reports.records import Provenance, Record


@dataclass(frozen=True)
class Subject:
    """A scored answer: one row of a table."""

    label: str
    model: str
    weights: str
    settings: str
    """Canonical JSON of the model's settings."""
    iterations: int
    readout: str

    @property
    def identity(self) -> Identity:
        """The model that answers."""
        return Identity(self.model, self.weights, self.settings)


def subject(record: Record) -> Subject:
    """Return the scored answer that a record is about."""
    cell = record.cell
    return Subject(record.label, *cell.identity, cell.iterations, cell.readout)


def subjects(records: Iterable[Record]) -> list[Subject]:
    """Return all scored answers, networks without feedback first."""

    def order(row: Subject) -> tuple[bool, Identity, int, bool]:
        return (row.iterations > 0, row.identity, row.iterations, row.readout == "avg")

    return sorted({subject(record) for record in records}, key=order)


def labels_of(rows: Sequence[Subject]) -> dict[Subject, str]:
    """Name rows as the paper does, adding just what tells two of them apart."""
    labels = {}
    for row in rows:
        label = row.label
        if len({other.model for other in rows if other.label == row.label}) > 1:
            label += f" {row.model}"
        same_model = [other for other in rows if other.model == row.model]
        label += _difference(row.identity, {other.identity for other in same_model})
        counts = {other.iterations for other in same_model}
        # The first pass alone says so; with feedback there may be just one count to tell.
        if len(counts) > 1 and (row.iterations == 0 or len(counts - {0}) > 1):
            label += f", {row.iterations} iteration{'s' if row.iterations != 1 else ''}"
        labels[row] = f"{label} ({row.readout})" if row.iterations else label
    return labels


def final(rows: Iterable[Subject]) -> list[Subject]:
    """Return the answers after the most iterations of each model."""
    rows = list(rows)
    most: dict[Identity, int] = {}
    for row in rows:
        most[row.identity] = max(row.iterations, most.get(row.identity, 0))
    return [row for row in rows if row.iterations == most[row.identity]]


def names_of(models: Iterable[Identity]) -> dict[Identity, str]:
    """Name models, in their order, adding just what tells two of one name apart."""
    known = dict.fromkeys(sorted(models))
    return {model: model.model + _difference(model, known) for model in known}


def _difference(model: Identity, others: Collection[Identity]) -> str:
    """Return the hashes that tell a model from others of its name, each after a space."""
    namesakes = [other for other in others if other.model == model.model]
    twins = [other for other in namesakes if other.weights == model.weights]
    told = f" {model.weights[:8]}" if len({other.weights for other in namesakes}) > 1 else ""
    return told + (f" settings {model.settings_hash[:8]}" if len({*twins, model}) > 1 else "")


def settings_of(model: Identity) -> str:
    """Return a model's settings in words, without those that are None; "" if it has none."""
    settings: dict[str, object] = json.loads(model.settings)
    return ", ".join(
        f"{name.rstrip('_')} {_words(value)}" for name, value in settings.items() if value is not None
    )


def _words(value: object) -> str:
    return f"({', '.join(map(str, value))})" if isinstance(value, list) else str(value)


def failures(records: Iterable[Record]) -> list[str]:
    """Return notes on cells that failed and answers that were no numbers."""
    records = list(records)
    failed = [record for record in records if record.status == "error"]
    nonfinite = sum(record.nonfinite for record in records)
    notes = []
    if failed:
        notes.append(
            f"cells that failed and have no number here: {len(failed)}; the first: {failed[0].error}"
        )
    if nonfinite:
        notes.append(f"answers with NaN or infinite logits, which count as wrong: {nonfinite}")
    return notes


def provenance(records: Sequence[Record]) -> list[str]:
    """Return what was run, on how many examples, with which weights, settings, software and machines.

    Of no record there is nothing to say.
    """
    if not records:
        return []
    runs = sorted({(r.cell.suite, r.cell.suite_version, r.cell.seed) for r in records})
    sizes = sorted({r.n for r in records if r.status == "ok"})
    weights = sorted(
        {f"{r.cell.model} ({r.provenance.checkpoint}, sha256 {r.cell.weights[:12]})" for r in records}
    )
    made = sorted({software(r.provenance) for r in records})
    return [
        *(f"suite {suite}, version {version}, seed {seed}" for suite, version, seed in runs),
        *([f"n = {', '.join(map(str, sizes))}"] if sizes else []),
        f"weights: {'; '.join(weights)}",
        *_latest(records),
        *_settings(records),
        f"made with {'; '.join(made)}",
    ]


def _latest(records: Sequence[Record]) -> list[str]:
    """Return one line with the models that ran last of several of their name; none if all names differ."""
    finished: dict[Identity, str] = {}
    for record in records:
        model = record.cell.identity
        finished[model] = max(record.provenance.finished_at, finished.get(model, ""))
    newest: dict[str, Identity] = {}
    for model in sorted(finished, key=lambda model: (finished[model], model)):
        newest[model.model] = model
    names = names_of(finished)
    told = sorted(names[model] for model in newest.values() if names[model] != model.model)
    return [f"ran last of its name: {', '.join(told)}"] if told else []


def _settings(records: Sequence[Record]) -> list[str]:
    """Return one line with the settings of the models and of their attackers; none if nobody has any."""
    cells = [record.cell for record in records]
    models = {model for cell in cells for model in (cell.identity, cell.source_identity) if model}
    alike: dict[str, list[str]] = {}
    for model, name in names_of(models).items():
        alike.setdefault(settings_of(model), []).append(name)
    told = [f"{', '.join(names)}: {words}" for words, names in alike.items() if words]
    return [f"settings: {'; '.join(told)}"] if told else []


def software(made: Provenance) -> str:
    """Return the versions and the machine that a record was made with, in words."""
    names = [name for name in ("feedback-bench", "torch") if name in made.versions]
    versions = ", ".join(f"{name} {made.versions[name]}" for name in names)
    return f"{versions} on {made.device}"
