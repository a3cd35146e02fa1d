"""The experiments of Choksi et al. (NeurIPS 2021): every number after each iteration, beside the first pass.

Their figures are curves over timesteps; a row here is one curve. Where feedback does not help, the last
column of the noise table and the ratios above 1 of the others say so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from reports.archive import Outcomes
from reports.metrics import Accuracy
from reports.records import Record
from reports.resampling import difference, ratio
from reports.subjects import failures, provenance
from reports.tables import Column, Row, Table
from reports.values import Mean, Value

Curve = Mapping[int, pd.DataFrame]
"""Iteration -> outcomes by example."""


@dataclass(frozen=True)
class _Model:
    """One network and what was measured of it."""

    label: str
    records: tuple[Record, ...]
    store: Outcomes

    def curve(self, query: Callable[[Record], bool]) -> Curve:
        """Return the outcomes that a query finds, by iteration, over the examples that all of them have."""
        found = {r.cell.iterations: r for r in sorted(self.records, key=lambda r: r.n) if query(r)}
        tables = {k: self.store.read_outcomes(found[k]).set_index("example") for k in sorted(found)}
        if not tables:
            return {}
        common = sorted(set.intersection(*(set(table.index) for table in tables.values())))
        return {k: table.loc[common] for k, table in tables.items()}


def predify_tables(records: Sequence[Record], store: Outcomes) -> list[Table]:
    """Return the tables whose records there are, from records of one suite, dataset and seed."""
    ok = [record for record in records if record.status == "ok"]
    models = _models(ok, store)
    cell = records[0].cell
    made_with = tuple(provenance(ok))
    where = f"{cell.suite} on {cell.dataset}"
    made = (_noise(models), _corruptions(models), _attacks(models), _projections(models))
    tables = []
    for title, columns, rows, notes in made:
        if rows:
            every = (*notes, *failures(records))
            tables.append(Table(f"{where}: {title}", _columns(columns), tuple(rows), every, made_with))
    return tables


Draft = tuple[str, list[str], list[Row], list[str]]
"""Title, headings, rows and notes."""


def _noise(models: Sequence[_Model]) -> Draft:
    rows, last = [], _last(models)
    for model in models:
        shown = {"clean": model.curve(_is_clean)}
        for sigma in _settings(model.records, "noise", "sigma"):
            shown[_noise_name(model, sigma)] = model.curve(_with(sigma, "noise", "sigma", probe=None))
        for name, curve in shown.items():
            if not curve or len(shown) == 1:
                continue
            values: list[Value | None] = [_accuracy(curve.get(k)) for k in range(last + 1)]
            change = difference(_hits(curve[max(curve)]), _hits(curve[0]), unit=0.01)
            rows.append(Row(f"{model.label}, {name}", (*values, change)))
    notes = [
        "accuracy after each iteration; change: last iteration less first pass, in points, its interval by "
        "the bootstrap over examples",
        _verdict([row.values[-1] for row in rows]),
    ]
    return "accuracy under Gaussian noise", [*_iterations(last), "change"], rows, notes


def _corruptions(models: Sequence[_Model]) -> Draft:
    rows, last = [], _last(models)
    for model in models:
        kinds = sorted({str(_name(r)) for r in model.records if _kind(r) == "corruption"})
        errors = {kind: _errors(model, kind) for kind in kinds}
        if not kinds:
            continue
        means = {
            k: pd.concat([found[k] for found in errors.values()], axis=1).dropna().mean(axis=1)
            for k in sorted(set.intersection(*(set(found) for found in errors.values())))
        }
        rows.append(Row(f"{model.label}, mean of {len(kinds)}", _relative(means, last)))
        rows += [Row(f"{model.label}, {kind}", _relative(found, last)) for kind, found in errors.items()]
    notes = [
        "error, the mean over severities, after each iteration over that of the first pass: below 1 the "
        "feedback helps; intervals by the bootstrap over examples; a dash where the first pass errs never",
    ]
    return "corruption error relative to the first pass", _iterations(last), rows, notes


def _attacks(models: Sequence[_Model]) -> Draft:
    rows = []
    attacked = sorted({r.cell.iterations for m in models for r in m.records if _name(r) == "targeted_bim"})
    for model in models:
        clean = model.curve(_is_clean)
        for epsilon in _settings(model.records, "attack", "epsilon"):
            curve = model.curve(_with(epsilon, "attack", "epsilon", probe=None))
            if not curve or not clean:
                continue
            shift, classes = _target(model.records)
            stands = np.logical_and.reduce([table["is_correct"] for table in clean.values()])
            right = next(iter(clean.values())).index[stands]
            values = [_successes(curve.get(k), right, shift, classes) for k in attacked]
            rows.append(Row(f"{model.label}, epsilon {epsilon:.4g}", tuple(values)))
    notes = [
        "share of images taken for the target class, of those that are right after every iteration while "
        "clean; the attacker differentiates the network of that many iterations end to end",
    ]
    return "success of the targeted BIM", [f"{k} iterations" for k in attacked], rows, notes


def _projections(models: Sequence[_Model]) -> Draft:
    rows, last = [], _last(models)
    for model in models:
        for sigma in _settings(model.records, "noise", "sigma"):
            curve = model.curve(_with(sigma, "noise", "sigma", probe="projection"))
            if not curve:
                continue
            for column in [name for name in curve[0].columns if name.startswith("distance_")]:
                distances = {k: table[column] for k, table in curve.items()}
                label = f"{model.label}, {_noise_name(model, sigma)}, encoder {column.rpartition('_')[2]}"
                rows.append(Row(label, _relative(distances, last)))
    notes = [
        "1 - correlation between the representations of noisy and clean images after each iteration, the "
        "mean over images, over that of the first pass: below 1 the noisy ones move towards the clean ones; "
        "intervals by the bootstrap over images",
    ]
    return "correlation distance relative to the first pass", _iterations(last), rows, notes


def _models(records: Iterable[Record], store: Outcomes) -> list[_Model]:
    found: dict[tuple[str, str], list[Record]] = {}
    for record in records:
        found.setdefault((record.cell.model, record.cell.weights), []).append(record)
    names = [own[0].label for own in found.values()]
    models = []
    for (name, _), own in found.items():
        label = own[0].label
        models.append(_Model(label if names.count(label) == 1 else f"{label} {name}", tuple(own), store))
    return models


def _is_clean(record: Record) -> bool:
    return record.cell.perturbation is None and record.cell.probe is None


def _with(value: float, kind: str, setting: str, probe: str | None) -> Callable[[Record], bool]:
    def matches(record: Record) -> bool:
        done = record.cell.perturbation
        if done is None or done.kind != kind or record.cell.probe != probe:
            return False
        return done.settings.get(setting) == value

    return matches


def _settings(records: Iterable[Record], kind: str, setting: str) -> list[float]:
    done = [r.cell.perturbation for r in records if r.cell.perturbation and _kind(r) == kind]
    return sorted({float(p.settings[setting]) for p in done})


def _kind(record: Record) -> str | None:
    return record.cell.perturbation.kind if record.cell.perturbation else None


def _name(record: Record) -> str | None:
    return record.cell.perturbation.name if record.cell.perturbation else None


def _noise_name(model: _Model, sigma: float) -> str:
    done = next(r.cell.perturbation for r in model.records if _with(sigma, "noise", "sigma", r.cell.probe)(r))
    assert done is not None
    return f"sigma {sigma / float(done.settings['deviation']):.3g} deviations"


def _target(records: Iterable[Record]) -> tuple[int, int]:
    done = next(p for r in records if (p := r.cell.perturbation) and p.name == "targeted_bim")
    return int(done.settings["target_shift"]), int(done.settings["classes"])


def _errors(model: _Model, kind: str) -> dict[int, pd.Series]:
    """Return the error of each example, its mean over severities, by iteration."""
    found: dict[int, list[pd.Series]] = {}
    for record in model.records:
        if _name(record) == kind:
            outcomes = model.store.read_outcomes(record).set_index("example")
            found.setdefault(record.cell.iterations, []).append(1.0 - outcomes["is_correct"])
    return {k: pd.concat(errors, axis=1).dropna().mean(axis=1) for k, errors in sorted(found.items())}


def _relative(curve: Mapping[int, pd.Series], last: int) -> tuple[Mean | None, ...]:
    """Return each iteration's mean over that of the first pass."""
    first = curve[0]
    return tuple(
        ratio(curve[k].loc[first.index].to_numpy(), first.to_numpy()) if k in curve else None
        for k in range(last + 1)
    )


def _successes(table: pd.DataFrame | None, right: pd.Index, shift: int, classes: int) -> Accuracy | None:
    if table is None:
        return None
    shown = table.loc[table.index.intersection(right)]
    if shown.empty:
        return None
    return Accuracy(int((shown["prediction"] == (shown["label"] + shift) % classes).sum()), len(shown))


def _accuracy(table: pd.DataFrame | None) -> Accuracy | None:
    return None if table is None else Accuracy(int(table["is_correct"].sum()), len(table))


def _hits(table: pd.DataFrame) -> np.ndarray:
    return table["is_correct"].to_numpy(dtype=float)


def _verdict(changes: Sequence[Value | None]) -> str:
    known = [change.interval for change in changes if isinstance(change, Mean) and change.interval]
    helps = sum(interval.low > 0 for interval in known)
    hurts = sum(interval.high < 0 for interval in known)
    unclear = len(known) - helps - hurts
    return f"of {len(known)} rows feedback helps in {helps}, hurts in {hurts}, and {unclear} are not clear"


def _last(models: Sequence[_Model]) -> int:
    return max((record.cell.iterations for model in models for record in model.records), default=0)


def _iterations(last: int) -> list[str]:
    return [f"iteration {k}" for k in range(last + 1)]


def _columns(headings: Sequence[str]) -> tuple[Column, ...]:
    return tuple(Column(heading, is_attack=False) for heading in headings)
