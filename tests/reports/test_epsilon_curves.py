from __future__ import annotations

import pytest

from reports.epsilon_curves import epsilon_figures, epsilon_table, iteration_figures, target_figures
from reports.metrics import Accuracy
from reports.tables import render

from .conftest import attack_on

SUITE = {"suite": "epsilons"}
PLAIN = {"model": "cnn_cifar", "weights": "b" * 64, "label": "CNN", "iterations": 0}


@pytest.fixture
def archive(stored):
    """Return a CNN-F at two epsilons after 0, 1 and 2 iterations, and a CNN."""
    cells = []
    for k in (0, 1, 2):
        cells.append(([True] * 4, {**SUITE, "iterations": k}))
        for epsilon, broken in ((0.1, 1), (0.2, 2)):
            hits = [False] * broken + [True] * (4 - broken)
            cells.append((hits, {**attack_on("pgd", "first", epsilon, k), **SUITE}))
            if k:
                cells.append((hits[::-1], {**attack_on("pgd", "e2e", epsilon, k), **SUITE}))
                cells.append((hits, {**attack_on("pgd", "e2e_avg", epsilon, k), **SUITE}))
    own = {"source": "cnn_cifar", "source_weights": "b" * 64}
    cells.append(([True] * 4, {**SUITE, **PLAIN}))
    cells.append(([False] * 4, {**attack_on("pgd", "first", 0.1, 0, **own), **SUITE, **PLAIN}))
    return stored(*cells)


def test_the_stronger_attack_counts_per_example(archive) -> None:
    """The first pass loses one image and end to end another: two of four are left, not three."""
    (table,) = epsilon_table(archive.records, archive)
    rows = {row.label: row.values for row in table.rows}

    assert rows["CNN-F, 2 iterations (last)"] == (Accuracy(4, 4), Accuracy(2, 4), Accuracy(0, 4))
    assert rows["CNN-F, 0 iterations"] == (Accuracy(4, 4), Accuracy(3, 4), Accuracy(2, 4))
    assert rows["CNN"] == (Accuracy(4, 4), Accuracy(0, 4), None)


def test_the_table(archive, golden) -> None:
    """As read by a person."""
    golden("epsilons.md", render(epsilon_table(archive.records, archive), "markdown"))


def test_a_line_is_a_model_with_its_own_iterations(archive) -> None:
    """Fewer iterations than the model has are for the other figure."""
    (figure,) = epsilon_figures(archive.records, archive)
    (panel,) = figure.panels

    assert {series.label for series in panel.series} == {"CNN", "CNN-F"}
    (line,) = (series for series in panel.series if series.label == "CNN-F")
    assert [(point.x, point.value) for point in line.points] == [(0.0, 100.0), (0.1, 50.0), (0.2, 0.0)]
    assert line.points[1].low < 50 < line.points[1].high


def test_a_panel_is_what_the_attacker_differentiates(archive) -> None:
    """Each attack alone leaves three and two of four; the CNN, with one target, stands in all panels."""
    (figure,) = target_figures(archive.records, archive)

    assert [panel.title for panel in figure.panels] == [
        "first pass",
        "all iterations, last logits",
        "all iterations, mean logits",
    ]
    for panel in figure.panels:
        lines = {series.label: [point.value for point in series.points] for series in panel.series}
        assert lines == {"CNN": [100, 0], "CNN-F": [100, 75, 50]}


def test_a_target_that_was_not_run_has_no_panel(archive) -> None:
    """Of one target alone there is nothing to compare."""
    some = [r for r in archive.records if r.cell.attack_target != "e2e_avg"]
    (figure,) = target_figures(some, archive)

    assert [panel.title for panel in figure.panels] == ["first pass", "all iterations, last logits"]
    assert target_figures([r for r in some if r.cell.attack_target != "e2e"], archive) == []


def test_a_line_is_an_epsilon_over_iterations(archive) -> None:
    """From the first pass on; a network without feedback has no such figure."""
    (figure,) = iteration_figures(archive.records, archive)
    lines = {series.label: series for series in figure.panels[0].series}

    assert list(lines) == ["0", "0.1", "0.2"]
    assert [(point.x, point.value) for point in lines["0.2"].points] == [(0, 50.0), (1, 0.0), (2, 0.0)]
    assert "cnnf_cifar" in figure.title
