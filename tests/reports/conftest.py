"""Records made by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from reports.archive import Archive, Published
from reports.cell import Cell, Perturbation
from reports.records import Provenance, Record, Store

PROVENANCE = Provenance(
    revision=None,
    is_dirty=None,
    versions={"torch": "2.6.0"},
    device="cpu",
    dtype="float32",
    batch_size=8,
    checkpoint="shipped",
    finished_at="2026-01-02T03:04:05+00:00",
)


def made_cell(attack: str | None = None, **changes: object) -> Cell:
    """Return a cell of a CNN-F; `attack` is like "pgd-7 e2e", "spsa-7 first" or "transfer"."""
    fields: dict[str, object] = {
        "suite": "adversarial",
        "suite_version": 1,
        "model": "cnnf_cifar",
        "weights": "a" * 64,
        "dataset": "cifar10",
        "data": "d" * 64,
        "examples": 100,
        "perturbation": None,
        "source": None,
        "source_weights": None,
        "attack_target": None,
        "attack_iterations": 0,
        "iterations": 2,
        "readout": "last",
        "seed": 0,
    } | changes
    if attack == "transfer":
        fields |= {"source": "cnn_cifar", "source_weights": "b" * 64, "attack_target": "first"}
        attack = "pgd-7 first"
    elif attack:
        target = attack.split()[1]
        fields |= {
            "source": fields["model"],
            "source_weights": fields["weights"],
            "source_settings": fields.get("settings", {}),
            "attack_target": target,
            "attack_iterations": 0 if target == "first" else fields["iterations"],
        }
    if attack:
        name, steps = attack.split()[0].split("-")
        settings = {"norm": "linf", "epsilon": 0.03, "steps": int(steps)}
        done = Perturbation(
            kind="attack", name=name, backend=str(changes.get("backend", "native")), settings=settings
        )
        fields["perturbation"] = done
    fields.pop("backend", None)
    return Cell.model_validate(fields)


@pytest.fixture
def record() -> Callable[..., Record]:
    """Return a function from an attack, a count and changes to a record."""

    def made(attack: str | None, correct: int, n: int = 100, **changes: object) -> Record:
        own = {
            k: changes.pop(k)
            for k in ("status", "error", "nonfinite", "largest_linf", "label", "provenance")
            if k in changes
        }
        cell = made_cell(attack, examples=n, **changes)
        usual = {"label": "CNN-F", "status": "ok", "largest_linf": 0.03, "provenance": PROVENANCE}
        return Record(key=cell.key, cell=cell, n=n, correct=correct, seconds=1.0, **(usual | own))

    return made


def outcomes(is_correct: list[bool]) -> pd.DataFrame:
    """Return per-example outcomes with these hits and misses."""
    hits = pd.array(is_correct, dtype="bool")
    return pd.DataFrame({"example": range(len(is_correct)), "label": 0, "prediction": 0, "is_correct": hits})


def attack_on(
    name: str, target: str, epsilon: float, iterations: int, steps: int = 40, **changes: object
) -> dict[str, object]:
    """Return the fields of a cell attacked through the scored model itself."""
    settings = {"norm": "linf", "epsilon": epsilon, "steps": steps}
    return {
        "perturbation": Perturbation(kind="attack", name=name, backend="native", settings=settings),
        "source": "cnnf_cifar",
        "source_weights": "a" * 64,
        "attack_target": target,
        "attack_iterations": 0 if target == "first" else iterations,
        "iterations": iterations,
    } | changes


@pytest.fixture
def stored(record, tmp_path: Path) -> Callable[..., Archive]:
    """Return a function from hits per example and cell fields to an archive in a folder of its own."""
    folders = (tmp_path / f"results{k}" for k in range(100))

    def kept(
        *cells: tuple[list[bool], dict[str, object]],
        published: Published | None = None,
        partners: dict[str, str] | None = None,
    ) -> Archive:
        folder = next(folders)
        for hits, fields in cells:
            own = dict(fields)
            measures = own.pop("measures", {})
            predictions = own.pop("predictions", [0] * len(hits))
            made = record(own.pop("attack", None), sum(hits), len(hits), **own)
            table = outcomes(hits).assign(prediction=predictions, **measures)
            Store(folder).append(made, table)
        return Archive.of([folder], published, partners)

    return kept


@pytest.fixture
def everything(stored) -> Archive:
    """Return a little of every suite, of a model whose name is an attack on the page."""
    hostile = {"label": "</script><script>alert(1)</script>", "model": "evil", "weights": "e" * 64}
    plain = {"model": "cnn_cifar", "label": "CNN", "iterations": 0}
    settings = {"severity": 3, "family": "cifar"}
    cells: list[tuple[list[bool], dict[str, object]]] = [
        ([True, True, False, True], {}),
        ([True, False, False, True], attack_on("pgd", "first", 0.03, 2)),
        ([False, True, False, True], attack_on("pgd", "e2e", 0.03, 2)),
        ([True, True, False, False], hostile),
        ([True, False, False, True], plain),
        ([False, False, False, True], attack_on("pgd", "first", 0.03, 0) | plain | {"source": "cnn_cifar"}),
    ]
    cells.append(([True] * 4, plain | {"suite": "epsilons"}))
    attack = attack_on("pgd", "first", 0.1, 0) | plain | {"source": "cnn_cifar"}
    cells.append(([False] * 4, {**attack, "suite": "epsilons"}))
    for iterations in (0, 1, 2):
        own = {"iterations": iterations}
        cells.append(([True] * 4, {**own, "suite": "epsilons"}))
        for target in ("first", "e2e")[: iterations + 1]:
            attack = attack_on("pgd", target, 0.1, iterations)
            cells.append(([False, True] * 2, {**attack, "suite": "epsilons"}))
        cells.append(([True] * 4, {**own, "suite": "corruptions"}))
        for kind in ("fog", "gaussian_noise", "saturate"):
            done = Perturbation(kind="corruption", name=kind, backend="native", settings=settings)
            cells.append(([True, False] * 2, {**own, "suite": "corruptions", "perturbation": done}))
        probed = {"probe": "consistency", "suite": "consistency", "measures": {"mismatch": [0.5, 0.6]}}
        cells.append(([True, True], {**own, **probed, "predictions": [iterations, 0]}))
    return stored(*cells)


@pytest.fixture
def little(stored) -> Archive:
    """Return attacks and curves against epsilon, which give two figures."""
    cells: list[tuple[list[bool], dict[str, object]]] = [
        ([True, False, False, True], attack_on("pgd", "first", 0.03, 2)),
        ([False, True, False, True], attack_on("pgd", "e2e", 0.03, 2)),
        ([True] * 4, {"iterations": 1, "suite": "epsilons"}),
        ([False, True] * 2, {**attack_on("pgd", "first", 0.1, 1), "suite": "epsilons"}),
    ]
    return stored(*cells)
