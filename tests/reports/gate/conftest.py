"""Runs made by hand: what was answered to every example, without a model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pandas as pd
import pytest

from reports.records import Record, Store


def predictions(n: int, wrong: Sequence[int] = ()) -> list[int]:
    """Return n answers, right (class 0) but for those in `wrong`."""
    return [1 if example in wrong else 0 for example in range(n)]


@pytest.fixture
def answered(record: Callable[..., Record], tmp_path: Path) -> Callable[..., Store]:
    """Return a function that makes a run from attack -> predictions; every label is 0 unless given."""

    def made(
        folder: str,
        cells: Mapping[str | None, Sequence[int]],
        labels: Sequence[int] | None = None,
        **changes: object,
    ) -> Store:
        store = Store(tmp_path / folder)
        for attack, answers in cells.items():
            truth = labels or [0] * len(answers)
            hits = [answer == label for answer, label in zip(answers, truth, strict=True)]
            outcomes = pd.DataFrame(
                {
                    "example": range(len(answers)),
                    "label": truth,
                    "prediction": answers,
                    "is_correct": hits,
                }
            )
            store.append(record(attack, sum(hits), len(answers), **changes), outcomes)
        return store

    return made
