"""Records made by hand."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import pytest

from reports.cell import Cell, Perturbation
from reports.records import Provenance, Record

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
            for k in ("status", "error", "nonfinite", "largest_linf", "label")
            if k in changes
        }
        cell = made_cell(attack, examples=n, **changes)
        fields = {"label": "CNN-F", "status": "ok", "largest_linf": 0.03} | own
        return Record(
            key=cell.key, cell=cell, n=n, correct=correct, seconds=1.0, provenance=PROVENANCE, **fields
        )

    return made


def outcomes(is_correct: list[bool]) -> pd.DataFrame:
    """Return per-example outcomes with these hits and misses."""
    hits = pd.array(is_correct, dtype="bool")
    return pd.DataFrame({"example": range(len(is_correct)), "label": 0, "prediction": 0, "is_correct": hits})
