from __future__ import annotations

import math

import pytest

from reports.consistency import consistency_figures, consistency_tables
from reports.tables import render
from reports.values import Mean, Share

from .conftest import attack_on
from .test_corruption_table import corrupted

PROBE = {"suite": "consistency", "probe": "consistency"}


def seen(iterations: int, mismatch: list[float], predictions: list[int], **fields: object):
    """Return a cell that measured these mismatches and gave these labels."""
    measured = {"measures": {"mismatch": mismatch}, "predictions": predictions, "iterations": iterations}
    return [True] * len(predictions), {**fields, **PROBE, **measured}


@pytest.fixture
def archive(stored):
    """Return two iterations on clean images, and one on corrupted and on attacked ones."""
    attack = {key: value for key, value in attack_on("pgd", "e2e", 0.1, 1).items() if key != "iterations"}
    return stored(
        seen(0, [math.nan, math.nan], [3, 4]),
        seen(1, [0.5, 0.7], [3, 5]),
        seen(2, [0.2, 0.4], [1, 2]),
        seen(0, [math.nan], [0], **corrupted("fog", 3)),
        seen(1, [0.9], [0], **corrupted("fog", 3)),
        seen(0, [math.nan], [0], **attack),
        seen(1, [1.5], [1], **attack),
    )


def test_by_hand(archive) -> None:
    """Means over images; a label that differs from that one iteration before has changed."""
    (table,) = consistency_tables(archive.records, archive)
    rows = {row.label: row.values for row in table.rows}
    first, second, moved, moved_again = rows["clean"]

    assert list(rows) == ["clean", "fog 3", "PGD-40 (e2e)"]
    assert isinstance(first, Mean)
    assert first.mean == pytest.approx(0.6)
    assert first.interval == pytest.approx((0.6 - 1.959964 * 0.1, 0.6 + 1.959964 * 0.1))
    assert second.mean == pytest.approx(0.3)
    assert (moved, moved_again) == (Share(1, 2), Share(2, 2))
    assert rows["fog 3"][0] == Mean(0.9, 1, None)
    assert rows["fog 3"][1] is None


def test_the_table(archive, golden) -> None:
    """As read by a person."""
    golden("consistency.md", render(consistency_tables(archive.records, archive), "markdown"))


def test_the_figures_hold_the_same_numbers(archive) -> None:
    """One of mismatches and one of changing labels, a line per kind of images."""
    mismatch, changes = consistency_figures(archive.records, archive)

    assert mismatch.labels == changes.labels == ["clean", "fog 3", "PGD-40 (e2e)"]
    assert [point.value for point in mismatch.panels[0].series[0].points] == pytest.approx([0.6, 0.3])
    assert [point.value for point in changes.panels[0].series[0].points] == [50.0, 100.0]
