from __future__ import annotations

import pytest

from reports.attack_matrix import attack_map, attack_matrix
from reports.catalogue import TABLES, made
from reports.metrics import Accuracy
from reports.tables import render
from reports.values import Doubted, Points

from .conftest import attack_on


def halves(stored):
    """Return the records of two attacks that each break another half of 40 images, and of one on four."""
    first, second = [True] * 20 + [False] * 20, [False] * 20 + [True] * 20
    return stored(
        ([True] * 40, {}),
        (first, attack_on("pgd", "first", 0.03, 2)),
        (second, attack_on("pgd", "e2e", 0.03, 2)),
        ([True] * 40, attack_on("pgd", "e2e", 0.03, 2, source="cnn_cifar", source_weights="b" * 64)),
        ([True] * 4, attack_on("spsa", "e2e_avg", 0.03, 2, steps=7)),
    )


def test_the_matrix(stored, golden) -> None:
    """Every attack and target, min and worst case beside each other, as read by a person."""
    archive = halves(stored)
    tables = [table for _, shown in made(TABLES, "matrix", archive) for table in shown]

    golden("attack_matrix.md", render(tables, "markdown"))
    golden("attack_matrix.tex", render(tables, "latex"))


def test_a_flattering_minimum_is_pointed_out(stored) -> None:
    """Half survive each attack and nobody both: 50 points, far outside the intervals."""
    archive = halves(stored)
    (table,) = attack_matrix(archive.records, archive)
    *_, minimum, worst, flattery, _ = table.rows[0].values

    assert (minimum, worst) == (Accuracy(20, 40), Accuracy(0, 40))
    assert flattery == Points(50.0)
    assert any("flatters it: 20 of 40 images survive that attack, 0 of 40 all" in n for n in table.notes)


def test_doubted_numbers_are_marked(stored) -> None:
    """The attack on what is scored leaves 20 that the first pass breaks: its number alone is no bound."""
    archive = halves(stored)
    (table,) = attack_matrix(archive.records, archive)
    shown = dict(zip((column.heading for column in table.columns), table.rows[0].values, strict=True))
    marked = [heading for heading, value in shown.items() if isinstance(value, Doubted)]

    assert marked == ["PGD-40 (e2e)"]
    assert any(note.startswith("† CNN-F (last), per example: 20 of 40 stand") for note in table.notes)


def test_a_flattery_of_one_image_is_pointed_out(stored) -> None:
    """Those that survive all are among those that survive the one: there is nothing to test."""
    archive = stored(
        ([True] * 20 + [False] * 20, attack_on("pgd", "first", 0.03, 2)),
        ([False] + [True] * 39, attack_on("pgd", "e2e", 0.03, 2)),
    )
    (table,) = attack_matrix(archive.records, archive)

    assert any("flatters it: 20 of 40 images survive that attack, 19 of 40 all" in n for n in table.notes)


def test_an_honest_minimum_is_left_alone(stored) -> None:
    """Where one attack breaks all that the others do, min and worst case agree and nothing is said."""
    archive = stored(
        ([True, False], attack_on("pgd", "first", 0.03, 2)), ([True, True], attack_on("pgd", "e2e", 0.03, 2))
    )
    (table,) = attack_matrix(archive.records, archive)

    assert table.rows[0].values[-2] == Points(0.0)
    assert not any("flatters" in note for note in table.notes)


def test_the_map_shows_what_the_table_says(stored) -> None:
    """A row per answer, a column per attack; what was not run has no point."""
    archive = halves(stored)
    (figure,) = attack_map(archive.records, archive)
    (row,) = figure.panels[0].series

    assert figure.places == (
        "PGD-40 (first)",
        "PGD-40 (e2e)",
        "PGD-40 (from cnn_cifar)",
        "SPSA-7 (e2e_avg)",
        "worst case",
    )
    assert [point.value for point in row.points] == [50.0, 50.0, 100.0, 100.0, 0.0]
    assert row.points[3].n == 4


def test_clean_images_alone_have_no_matrix(stored) -> None:
    """There is nothing to show."""
    archive = stored(([True], {}))

    assert attack_matrix(archive.records, archive) == []
    assert attack_map(archive.records, archive) == []


def test_an_attack_on_few_is_no_minimum(stored) -> None:
    """One image of one lost to a slow attack says nothing about the other 39; the worst case counts it."""
    archive = stored(
        ([True] * 30 + [False] * 10, attack_on("pgd", "first", 0.03, 2)),
        ([False], attack_on("spsa", "first", 0.03, 2, steps=7)),
    )
    (table,) = attack_matrix(archive.records, archive)

    *_, minimum, worst, flattery, _ = table.rows[0].values

    assert ((minimum.correct, minimum.n), worst) == ((30, 40), Accuracy(29, 40))
    assert flattery == Points(pytest.approx(2.5))
