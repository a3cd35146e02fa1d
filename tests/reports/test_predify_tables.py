"""The tables of the Predify experiments, on outcomes made by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from reports.catalogue import FIGURES
from reports.cell import Perturbation
from reports.metrics import Accuracy
from reports.predify_views import predify_tables
from reports.records import Record, Store
from reports.values import Share

Made = Callable[..., Record]


@pytest.fixture
def add(tmp_path: Path, record: Made) -> Callable[..., Store]:
    """Return a function that stores a record of a predictive-coding network with given outcomes."""
    store = Store(tmp_path)

    def added(
        perturbation: Perturbation | None, iterations: int, hits: list[bool], **columns: list[float]
    ) -> Store:
        changes = {"suite": "predify-paper", "perturbation": perturbation, "iterations": iterations}
        probe = "projection" if "distance_1" in columns else None
        made = record(None, sum(hits), n=len(hits), label="PVGG", probe=probe, **changes)
        classes = [9, 0, 1, 2, *range(len(hits))][: len(hits)]
        table = {"example": range(len(hits)), "label": classes, "prediction": classes}
        store.append(made, pd.DataFrame(table | {"is_correct": hits} | columns))
        return store

    return added


def noise(sigma: float) -> Perturbation:
    return Perturbation(
        kind="noise", name="gaussian", backend="native", settings={"sigma": sigma, "deviation": 0.5}
    )


def fog(severity: int) -> Perturbation:
    settings = {"severity": severity, "family": "cifar"}
    return Perturbation(kind="corruption", name="fog", backend="native", settings=settings)


def snow(severity: int) -> Perturbation:
    return fog(severity).model_copy(update={"name": "snow"})


def bim(shift: int) -> Perturbation:
    settings = {"norm": "linf", "epsilon": 0.1, "steps": 20, "target_shift": shift, "classes": 10}
    return Perturbation(kind="attack", name="targeted_bim", backend="native", settings=settings)


def test_noise_after_each_iteration(add) -> None:
    """Accuracies, and the change of the last iteration against the first pass in points."""
    add(noise(0.25), 0, [True, False, False, False])
    store = add(noise(0.25), 1, [True, True, True, False])
    table = predify_tables(store.read(), store)[0]

    assert [column.heading for column in table.columns] == ["iteration 0", "iteration 1", "change"]
    assert table.rows[0].label == "PVGG, sigma 0.5 deviations"
    assert table.rows[0].values[:2] == (Accuracy(1, 4), Accuracy(3, 4))
    assert table.rows[0].values[2].points == pytest.approx(50)
    assert any("feedback helps in 0, hurts in 0, and 1 are not clear" in note for note in table.notes)


@pytest.mark.parametrize(("n", "told"), [(6, "hurts in 1, and 0"), (5, "hurts in 0, and 1")])
def test_where_feedback_hurts_the_table_says_so(add, n: int, told: str) -> None:
    """Losing six of six has a chance of 2 in 64 if nothing is behind it, losing five of five 2 in 32."""
    add(noise(0.25), 0, [True] * n)
    store = add(noise(0.25), 1, [False] * n)
    (table,) = predify_tables(store.read(), store)

    assert any(f"feedback helps in 0, {told} are not clear" in note for note in table.notes)
    assert table.rows[0].values[-1].is_clear == (n == 6)


def test_several_changes_are_judged_together(add) -> None:
    """What is clear alone is not among six rows of which one had to come first."""
    for sigma in range(1, 7):
        add(noise(sigma / 4), 0, [True] * 6)
        store = add(noise(sigma / 4), 1, [sigma > 1] * 6)
    (table,) = predify_tables(store.read(), store)

    assert not any(row.values[-1].is_clear for row in table.rows)
    assert any("of 6 rows feedback helps in 0, hurts in 0, and 6 are not clear" in n for n in table.notes)


def test_a_change_that_was_not_seen_is_not_excluded(add) -> None:
    """Of 32 images that no iteration answers otherwise, up to 10.7 points of the next ones may change."""
    add(noise(0.25), 0, [True] * 32)
    store = add(noise(0.25), 1, [True] * 32)
    (table,) = predify_tables(store.read(), store)
    low, high = table.rows[0].values[-1].interval

    assert (low, high) == pytest.approx((-10.72, 10.72), abs=0.01)


def test_without_the_first_pass_there_is_no_change(add) -> None:
    """Its cell failed: accuracies are shown, but nothing that is relative to it, and nothing breaks."""
    for iterations in (1, 2):
        add(noise(0.25), iterations, [True] * 4)
        add(noise(0.25), iterations, [True] * 4, distance_1=[0.1] * 4)
        add(noise(0.5), iterations, [True] * 4, distance_1=[0.1] * 4)
        add(fog(1), iterations, [True] * 4)
        store = add(snow(1), iterations, [False] * 4)
    add(noise(0.5), 0, [True] * 4, distance_1=[0.1] * 4)
    add(snow(1), 0, [False] * 4)
    noisy, corrupted, projected = predify_tables(store.read(), store)

    assert [column.heading for column in noisy.columns] == ["iteration 1", "iteration 2"]
    assert [row.label for row in corrupted.rows] == ["PVGG, snow"]
    assert "not shown, for the first pass was not measured: PVGG, mean of 2; PVGG, fog" in corrupted.notes
    assert [row.label for row in projected.rows] == ["PVGG, sigma 1 deviations, encoder 1"]
    assert "not shown, for the first pass was not measured: PVGG, sigma 0.5 deviations" in projected.notes


def test_iterations_are_compared_at_the_same_severities(add) -> None:
    """Where severity 5 failed after an iteration alone, the error of the rest would flatter it."""
    for iterations in (0, 1, 2):
        add(fog(1), iterations, [True, True, True, False])
    add(fog(5), 0, [False] * 4)
    store = add(fog(5), 2, [False, False, True, True])
    (table,) = predify_tables(store.read(), store)
    (_, row) = table.rows

    # Errors (1 + 4) / 8 at first and (1 + 2) / 8 after two iterations.
    assert [column.heading for column in table.columns] == ["iteration 0", "iteration 2"]
    assert [value.mean for value in row.values] == pytest.approx([1.0, 0.6])
    assert any("PVGG, iteration 1: no number for fog" in note for note in table.notes)


def test_iterations_are_compared_on_the_same_images(add) -> None:
    """The first pass met four images, the iteration two of them: the error of those two is halved."""
    add(fog(1), 0, [False, False, True, True])
    store = add(fog(1), 1, [True, False])
    (table,) = predify_tables(store.read(), store)

    assert [value.mean for value in table.rows[-1].values] == pytest.approx([1.0, 0.5])
    assert any("fog: 2 of 4 images count" in note for note in table.notes)


def test_corruption_errors_are_relative_to_the_first_pass(add) -> None:
    """Mean over severities first: errors (1 + 3) / 8 at first and (1 + 1) / 8 then make 0.5."""
    for severity, iterations, hits in (
        (1, 0, [False, True, True, True]),
        (5, 0, [False, False, False, True]),
        (1, 1, [False, True, True, True]),
        (5, 1, [False, True, True, True]),
    ):
        store = add(fog(severity), iterations, hits)
    table = predify_tables(store.read(), store)[0]

    assert [row.label for row in table.rows] == ["PVGG, mean of 1", "PVGG, fog"]
    for row in table.rows:
        assert [value.mean for value in row.values] == pytest.approx([1.0, 0.5])


def test_a_perfect_first_pass_has_no_ratio(add) -> None:
    """Nothing, not a division by zero."""
    add(fog(1), 0, [True] * 4)
    store = add(fog(1), 1, [True] * 4)

    assert all(row.values == () for row in predify_tables(store.read(), store)[0].rows)
    assert FIGURES["predify-corruptions"].of(store.read(), store) == []


def test_a_panel_without_a_ratio_is_left_out(add) -> None:
    """The first pass never errs under snow: fog is drawn, and the mean."""
    for iterations in (0, 1):
        add(fog(1), iterations, [True, False])
        store = add(snow(1), iterations, [True, True])
    (figure,) = FIGURES["predify-corruptions"].of(store.read(), store)

    assert [panel.title for panel in figure.panels] == ["mean of 2", "fog"]


def test_success_counts_images_that_are_right_while_clean(add) -> None:
    """Of the three right after every iteration, the one of class 9 becomes its target, class 0."""
    add(None, 0, [True, True, True, True])
    add(None, 1, [True, True, True, False])
    store = add(bim(1), 1, [False] * 4)
    record = store.read()[-1]
    outcomes = store.read_outcomes(record).assign(prediction=[0, 0, 1, 3])
    store.append(record.model_copy(update={"key": record.key}), outcomes)
    table = next(table for table in predify_tables(store.read(), store) if "BIM" in table.title)

    assert table.rows[0].label == "PVGG, epsilon 0.1"
    assert table.rows[0].values == (Share(1, 3),)


def test_figures_show_what_tables_hold(add) -> None:
    """A line per image set, a panel per encoder or a kind; every point is a value of the table."""
    hits = [True] * 4
    add(None, 0, hits)
    add(None, 1, hits)
    for iterations, distance in ((0, 0.4), (1, 0.1)):
        add(noise(0.5), iterations, hits, distance_1=[distance] * 4, distance_2=[0.2] * 4)
        add(noise(0.5), iterations, hits)
        add(fog(1), iterations, [False, True, True, True])
        store = add(bim(1), iterations, hits)
    records = store.read()
    figures = {
        name: figure
        for name in ("noise", "corruptions", "attacks", "projection")
        for figure in FIGURES[f"predify-{name}"].make(records, store)
    }

    assert [panel.title for panel in figures["noise"].panels] == ["PVGG"]
    assert {name: figure.series_label for name, figure in figures.items()} == {
        "noise": "noise",
        "corruptions": "",
        "attacks": "epsilon",
        "projection": "noise",
    }
    assert figures["noise"].labels == ["clean", "sigma 1 deviations"]
    assert [panel.title for panel in figures["corruptions"].panels] == ["mean of 1", "fog"]
    assert figures["corruptions"].labels == ["PVGG"]
    assert figures["attacks"].labels == ["epsilon 0.1"]
    assert [panel.title for panel in figures["projection"].panels] == ["PVGG, encoder 1", "PVGG, encoder 2"]
    points = figures["projection"].panels[0].series[0].points
    assert [(point.x, point.value) for point in points] == [(0, 1.0), (1, pytest.approx(0.25))]


def test_projection_is_relative_to_the_first_pass(add) -> None:
    """The mean distance over images, over that of the first pass, one row per encoder."""
    hits = [True] * 4
    add(noise(0.5), 0, hits, distance_1=[0.2, 0.4, 0.2, 0.4], distance_2=[0.1] * 4)
    store = add(noise(0.5), 1, hits, distance_1=[0.1, 0.2, 0.1, 0.2], distance_2=[0.2] * 4)
    table = predify_tables(store.read(), store)[-1]

    assert [row.label for row in table.rows] == [
        "PVGG, sigma 1 deviations, encoder 1",
        "PVGG, sigma 1 deviations, encoder 2",
    ]
    assert [[value.mean for value in row.values] for row in table.rows] == [
        pytest.approx([1.0, 0.5]),
        pytest.approx([1.0, 2.0]),
    ]
