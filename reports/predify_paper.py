"""The experiments of Choksi et al. (NeurIPS 2021): every number after each iteration, beside the first pass.

Their figures are curves over timesteps. Where feedback does not help, the changes and ratios say so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from reports.archive import Outcomes
from reports.cell import Identity
from reports.changes import RULE, Pair, balance, changes
from reports.corruption_table import Hits, alike, hits_by_kind, omissions, shares_over
from reports.metrics import Accuracy
from reports.records import Record
from reports.resampling import ratio
from reports.series import rank
from reports.subjects import names_of
from reports.values import Mean, Points, Share

Tables = Mapping[int, pd.DataFrame]
"""Iteration -> outcomes by example."""


@dataclass(frozen=True)
class Curve:
    """One quantity of one model after each iteration; iterations that were not measured are left out."""

    model: str
    shown: str
    """What was done to the images."""
    values: Mapping[int, Accuracy | Share | Mean]
    part: str = ""
    """Which part of the model it is about."""
    change: Points | None = None
    """Last iteration less first pass; None where one of them was not measured."""

    @property
    def label(self) -> str:
        """All that tells it from other curves."""
        return ", ".join(filter(None, (self.model, self.shown, self.part)))


@dataclass(frozen=True)
class Experiment:
    """The curves of one of the paper's figures."""

    title: str
    unit: str
    curves: tuple[Curve, ...]
    notes: tuple[str, ...]
    panel: Callable[[Curve], str]
    """Which curves share a pair of axes."""
    line: Callable[[Curve], str]
    """What tells the curves of a panel apart."""
    line_label: str = ""
    """What that is, where it is a quantity; "" for models."""


def experiments(records: Sequence[Record], archive: Outcomes) -> list[Experiment]:
    """Return the experiments that records of one suite, dataset and seed belong to."""
    models = _models([record for record in records if record.status == "ok"], archive)
    found = (_noise(models), _corruptions(models), _attacks(models), _projections(models))
    return [experiment for experiment in found if experiment.curves]


@dataclass(frozen=True)
class _Model:
    """One network and what was measured of it."""

    label: str
    records: tuple[Record, ...]
    archive: Outcomes

    def tables(self, query: Callable[[Record], bool]) -> Tables:
        """Return the outcomes that a query finds, by iteration, over the examples that all of them have."""
        found = {r.cell.iterations: r for r in sorted(self.records, key=rank) if query(r)}
        tables = {k: self.archive.read_outcomes(found[k]).set_index("example") for k in sorted(found)}
        if not tables:
            return {}
        common = sorted(set.intersection(*(set(table.index) for table in tables.values())))
        return {k: table.loc[common] for k, table in tables.items()} if common else {}


def _noise(models: Sequence[_Model]) -> Experiment:
    curves: list[Curve] = []
    pairs: dict[int, Pair] = {}
    for model in models:
        noisy = {
            _noise_name(model, sigma): model.tables(_with(sigma, "noise", "sigma", probe=None))
            for sigma in _settings(model.records, "noise", "sigma")
        }
        shown = {"clean": model.tables(_is_clean)} | noisy if any(noisy.values()) else {}
        for name, tables in shown.items():
            if not tables:
                continue
            if 0 in tables and max(tables) > 0:
                pairs[len(curves)] = _hits(tables[0]), _hits(tables[max(tables)])
            curves.append(Curve(model.label, name, {k: _accuracy(table) for k, table in tables.items()}))
    found = changes(list(pairs.values()))
    for place, change in zip(pairs, found, strict=True):
        curves[place] = replace(curves[place], change=change)
    notes = (
        f"accuracy after each iteration; change: last iteration less first pass, {RULE}",
        *([balance(found)] if found else []),
    )
    title = "accuracy under Gaussian noise"
    return Experiment(
        title, "accuracy (%)", tuple(curves), notes, lambda c: c.model, lambda c: c.shown, "noise"
    )


def _corruptions(models: Sequence[_Model]) -> Experiment:
    curves, missing, left_out = [], [], []
    for model in models:
        found = _hits_by_iteration(model)
        left_out += omissions([f"{model.label}, iteration {k}" for k in found], list(found.values()))
        hits = dict(zip(found, alike(list(found.values())), strict=True))
        kinds = sorted({kind for own in found.values() for kind in own})
        errors = {kind: {k: _errors(own, kind) for k, own in hits.items() if kind in own} for kind in kinds}
        means = {
            k: pd.concat([errors[kind][k] for kind in kinds], axis=1).dropna().mean(axis=1)
            for k, own in hits.items()
            if kinds and own.keys() >= set(kinds)
        }
        for shown, measured in ({f"mean of {len(kinds)}": means} | errors if kinds else {}).items():
            if 0 in measured:
                curves.append(Curve(model.label, shown, _relative(measured)))
            else:
                missing.append(f"{model.label}, {shown}")
    notes = (
        "error, the mean over severities, after each iteration over that of the first pass: below 1 the "
        "feedback helps; intervals by the bootstrap over examples, each by itself; nothing where the first "
        "pass errs never",
        *_without_first(missing),
        *left_out,
    )
    title = "corruption error relative to the first pass"
    return Experiment(title, "relative error", tuple(curves), notes, lambda c: c.shown, lambda c: c.model)


def _attacks(models: Sequence[_Model]) -> Experiment:
    curves = []
    for model in models:
        clean = model.tables(_is_clean)
        for epsilon in _settings(model.records, "attack", "epsilon"):
            tables = model.tables(_with(epsilon, "attack", "epsilon", probe=None))
            if not tables or not clean:
                continue
            shift, classes = _target(model.records)
            stands = np.logical_and.reduce([table["is_correct"] for table in clean.values()])
            right = next(iter(clean.values())).index[stands]
            found = {k: _successes(table, right, shift, classes) for k, table in tables.items()}
            values = {k: share for k, share in found.items() if share is not None}
            curves.append(Curve(model.label, f"epsilon {epsilon:.4g}", values))
    notes = (
        "share of images taken for the target class, of those that are right after every iteration while "
        "clean; the attacker differentiates the network of that many iterations end to end",
    )
    title = "success of the targeted BIM"
    return Experiment(
        title, "success (%)", tuple(curves), notes, lambda c: c.model, lambda c: c.shown, "epsilon"
    )


def _projections(models: Sequence[_Model]) -> Experiment:
    curves, missing = [], []
    for model in models:
        for sigma in _settings(model.records, "noise", "sigma"):
            tables = model.tables(_with(sigma, "noise", "sigma", probe="projection"))
            name = _noise_name(model, sigma)
            if tables and 0 not in tables:
                missing.append(f"{model.label}, {name}")
            for column in map(str, tables[0].columns if 0 in tables else ()):
                if not column.startswith("distance_"):
                    continue
                distances = {k: table[column] for k, table in tables.items()}
                encoder = f"encoder {column.removeprefix('distance_')}"
                curves.append(Curve(model.label, name, _relative(distances), part=encoder))
    notes = (
        "1 - correlation between the representations of noisy and clean images after each iteration, the "
        "mean over images, over that of the first pass: below 1 the noisy ones move towards the clean ones; "
        "intervals by the bootstrap over images, each by itself",
        *_without_first(missing),
    )

    def panel(curve: Curve) -> str:
        return f"{curve.model}, {curve.part}"

    title = "correlation distance relative to the first pass"
    return Experiment(title, "relative distance", tuple(curves), notes, panel, lambda c: c.shown, "noise")


def _models(records: Iterable[Record], archive: Outcomes) -> list[_Model]:
    found: dict[Identity, list[Record]] = {}
    for record in records:
        found.setdefault(record.cell.identity, []).append(record)
    names, labels = names_of(found), [own[0].label for own in found.values()]
    models = []
    for model, own in found.items():
        label = own[0].label
        name = label if labels.count(label) == 1 else f"{label} {names[model]}"
        models.append(_Model(name, tuple(own), archive))
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


def _noise_name(model: _Model, sigma: float) -> str:
    found = (r.cell.perturbation for r in model.records if _kind(r) == "noise")
    done = next(p for p in found if p and p.settings["sigma"] == sigma)
    return f"sigma {sigma / float(done.settings['deviation']):.3g} deviations"


def _target(records: Iterable[Record]) -> tuple[int, int]:
    done = next(p for r in records if (p := r.cell.perturbation) and p.name == "targeted_bim")
    return int(done.settings["target_shift"]), int(done.settings["classes"])


def _hits_by_iteration(model: _Model) -> dict[int, Hits]:
    """Return the hits on corrupted images, by iteration."""
    found: dict[int, list[Record]] = {}
    for record in model.records:
        if _kind(record) == "corruption":
            found.setdefault(record.cell.iterations, []).append(record)
    return {k: hits_by_kind(own, model.archive) for k, own in sorted(found.items())}


def _errors(hits: Hits, kind: str) -> pd.Series:
    """Return the error of each example, its mean over severities."""
    return 1.0 - pd.Series(shares_over(hits, [kind]))


def _without_first(names: Sequence[str]) -> list[str]:
    return [f"not shown, for the first pass was not measured: {'; '.join(names)}"] if names else []


def _relative(curve: Mapping[int, pd.Series]) -> dict[int, Mean]:
    """Return each iteration's mean over that of the first pass, where that is not 0."""
    first = curve[0]
    found = {k: ratio(values.loc[first.index].to_numpy(), first.to_numpy()) for k, values in curve.items()}
    return {k: value for k, value in found.items() if value is not None}


def _successes(table: pd.DataFrame, right: pd.Index, shift: int, classes: int) -> Share | None:
    shown = table.loc[table.index.intersection(right)]
    if shown.empty:
        return None
    return Share(int((shown["prediction"] == (shown["label"] + shift) % classes).sum()), len(shown))


def _accuracy(table: pd.DataFrame) -> Accuracy:
    return Accuracy(int(table["is_correct"].sum()), len(table))


def _hits(table: pd.DataFrame) -> np.ndarray:
    return table["is_correct"].to_numpy(dtype=bool)
