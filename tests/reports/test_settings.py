"""Two settings of one model, on the same weights, are two models in everything that is shown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from reports.archive import Archive
from reports.catalogue import FIGURES, TABLES, made
from reports.cell import Identity, Perturbation
from reports.records import Store
from reports.subjects import labels_of, names_of, provenance, settings_of, subjects

from .conftest import attack_on
from .test_predify_tables import bim, noise

OLD, NEW = {"beta": 0.8}, {"beta": 0.7}
ITERATIONS = (0, 1, 2)


def cells_of_other_suites() -> list[tuple[list[bool], dict[str, object]]]:
    """Return what the fixture `everything` lacks: predictive coding, restoration, cascades and transfer."""
    pgd = attack_on("pgd", "e2e", 0.03, 2)
    threat = {"norm": "linf", "epsilon": 0.03}
    member = {"1.attack": "apgd", "1.target": "e2e", "1.loss": "ce", "1.steps": 10}
    cascade = Perturbation(kind="attack", name="strongest", backend="native", settings=threat | member)
    own = {"label": "own"}
    found: list[tuple[list[bool], dict[str, object]]] = [
        ([True, True], {**own, "suite": "strongest"}),
        (
            [True, False],
            {**pgd, **own, "suite": "strongest", "perturbation": cascade, "measures": {"fooled_by": [2, 1]}},
        ),
        ([True, True], {**own, "suite": "transfer"}),
        ([False, True], {**pgd, **own, "suite": "transfer"}),
        ([True, True], {**own, "suite": "verdict"}),
        ([False, True], {**pgd, **own, "suite": "verdict"}),
    ]
    for iterations in ITERATIONS:
        predify = {**own, "suite": "predify-paper", "iterations": iterations}
        found.append(([True] * 4, predify))
        found.append(([True, False] * 2, {**predify, "perturbation": noise(0.25)}))
        distances = {"measures": {"distance_1": [0.5, 0.6]}, "probe": "projection"}
        found.append(([True] * 2, {**predify, **distances, "perturbation": noise(0.25)}))
        aim = attack_on("targeted_bim", "e2e", 0.1, iterations, perturbation=bim(1))
        found.append(([True, False] * 2, {**predify, **aim}))
        restored = {"measures": {"distance": [0.1, 0.2]}, "probe": "restoration", "suite": "restoration"}
        found.append(([True] * 2, {**predify, **restored}))
    return found


@pytest.fixture
def every_suite(everything: Archive, stored: Callable[..., Archive]) -> list[Archive]:
    """Return records of every suite that a table shows."""
    return [everything, stored(*cells_of_other_suites())]


def with_settings(archives: Iterable[Archive], settings: dict[str, float], folder: Path) -> Path:
    """Write the records of archives as those of models with these settings, and return the folder.

    Models with the new settings are always right.
    """
    for archive in archives:
        for record in archive.records:
            attacker = {"source_settings": settings} if record.cell.source else {}
            cell = record.cell.model_copy(update={"settings": settings, **attacker})
            changed, outcomes = {"cell": cell, "key": cell.key}, archive.read_outcomes(record)
            if settings == NEW:
                changed["correct"] = record.n
                outcomes["is_correct"] = True
                measures = outcomes.columns.intersection(["distance", "distance_1", "mismatch"])
                outcomes[measures] = outcomes[measures] / 2
            Store(folder).append(record.model_copy(update=changed), outcomes)
    return folder


def shown(archive: Archive) -> Counter[str]:
    """Return the values of all tables and the series of all figures, without the names of the models.

    What feedback buys is left out: its p-values are adjusted for the number of all rows.
    """
    tables = [
        table
        for name in TABLES.keys() - {"feedback"}
        for _, found in made(TABLES, name, archive)
        for table in found
    ]
    figures = [
        figure
        for name in FIGURES.keys() - {"feedback"}
        for _, found in made(FIGURES, name, archive)
        for figure in found
    ]
    values = [
        repr(value) for table in tables for row in table.rows for value in row.values if value is not None
    ]
    curves = [repr(s.points) for figure in figures for panel in figure.panels for s in panel.series]
    return Counter(values + curves)


def test_no_table_or_figure_mixes_settings(every_suite: list[Archive], tmp_path: Path) -> None:
    """What two folders show together is what each shows alone: no number joins records of both."""
    old, new = (with_settings(every_suite, own, tmp_path / str(own["beta"])) for own in (OLD, NEW))
    alone = shown(Archive.of([old])) + shown(Archive.of([new]))
    together = shown(Archive.of([old, new]))

    assert alone.total() > 100
    assert together == alone


def test_names_tell_twins_apart(record) -> None:
    """By the beginnings of a hash, and only where there are two."""
    old, new, other = (
        record(None, 9, settings=OLD),
        record(None, 9, settings=NEW),
        record(None, 9, model="m"),
    )
    one, two = (Identity.of("cnnf_cifar", "a" * 64, own) for own in (OLD, NEW))

    assert set(labels_of(subjects([old, new])).values()) == {
        f"CNN-F settings {model.settings_hash[:8]} (last)" for model in (one, two)
    }
    assert set(names_of([one, two, other.cell.identity]).values()) == {
        "m",
        *(f"cnnf_cifar settings {model.settings_hash[:8]}" for model in (one, two)),
    }
    assert names_of([one]) == {one: "cnnf_cifar"}


def test_provenance_tells_settings_in_words(record) -> None:
    """Those of scored models and attackers, models that share them together, without what is None."""
    shared = {"lambda_": [0.1, 0.2], "compat": None, "scaling": "plain"}
    attacked = record("transfer", 5, settings=shared, source_settings=shared)

    assert "settings: cnn_cifar, cnnf_cifar: lambda (0.1, 0.2), scaling plain" in provenance([attacked])
    assert not [line for line in provenance([record(None, 5)]) if line.startswith("settings")]


def test_settings_in_words() -> None:
    """Sorted by name; a model without any has no words."""
    assert settings_of(Identity.of("m", "w", {"b": 2, "a": "x"})) == "a x, b 2"
    assert settings_of(Identity.of("m", "w", {})) == ""
