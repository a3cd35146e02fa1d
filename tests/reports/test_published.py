from __future__ import annotations

import pytest

from reports.archive import Archive, Claims
from reports.metrics import Accuracy
from reports.published import beside_published
from reports.tables import render
from reports.values import Claim, Points

from .conftest import PROVENANCE

CLAIMS = Claims("Authors, Paper, 2020", {"last": {"clean": 80.0, "pgd_first": 50.0, "spsa_first": 60.0}})


@pytest.fixture
def table(record):
    """Return a function from counts to the table of a model beside what is claimed of it."""

    def made(*cells: tuple[str | None, int, int], iterations: int = 2):
        records = [record(attack, correct, n, iterations=iterations) for attack, correct, n in cells]
        (found,) = beside_published(records, Archive(tuple(records), published={"cnnf_cifar": CLAIMS}))
        return found

    return made


def test_measured_published_and_difference(table, golden) -> None:
    """Three rows; what either side lacks is a dash, and so is the difference."""
    found = table((None, 795, 1000), ("pgd-7 first", 300, 1000), ("pgd-7 e2e", 280, 1000))

    golden("published.md", render([found], "markdown"))


def test_a_mark_needs_both_intervals(table) -> None:
    """60.5 of 1000 against 50 of 10,000 is clear; 6 of 10 against it is not, however far."""
    clear = table((None, 8, 10), ("pgd-7 first", 605, 1000)).rows[2].values
    unclear = table((None, 8, 10), ("pgd-7 first", 6, 10)).rows[2].values

    assert clear[1] == Points(pytest.approx(10.5), is_clear=True)
    assert unclear[1] == Points(pytest.approx(10.0), is_clear=False)


def test_without_feedback_all_targets_are_one(table) -> None:
    """The authors print the first-pass number in both columns."""
    claimed = table((None, 8, 10), ("pgd-7 first", 5, 10), iterations=0).rows[1].values

    assert claimed[1:5] == (Claim(50.0, 10_000),) * 2 + (Claim(60.0, 640),) * 2
    assert claimed[-1] == Claim(50.0, 10_000)


def test_claims_about_feedback_say_nothing_of_the_first_pass_alone(record) -> None:
    """Who publishes the mean over iterations too means an answer after them."""
    claims = Claims("Authors", {"last": {"clean": 80.0}, "avg": {"clean": 81.0}})
    records = tuple(record("pgd-7 first", 5, 10, iterations=iterations) for iterations in (0, 2))
    (found,) = beside_published(records, Archive(records, published={"cnnf_cifar": claims}))

    assert [row.label for row in found.rows] == [
        "CNN-F (last)",
        "CNN-F (last): published",
        "CNN-F (last): difference",
    ]


def test_backends_are_never_mixed(record) -> None:
    """A later attack of another backend is a table of its own, with the same clean images."""
    late = PROVENANCE.model_copy(update={"finished_at": "2027-01-01T00:00:00+00:00"})
    records = (
        record(None, 8, 10),
        record("pgd-7 first", 5, 10),
        record("pgd-7 first", 2, 10, backend="advertorch", provenance=late),
    )
    own, other = beside_published(records, Archive(records, published={"cnnf_cifar": CLAIMS}))

    assert [table.rows[0].values[:2] for table in (own, other)] == [
        (Accuracy(8, 10), Accuracy(5, 10)),
        (Accuracy(8, 10), Accuracy(2, 10)),
    ]
    assert own.title == "adversarial on cifar10, beside the published numbers"
    assert other.title == "adversarial on cifar10, attacks by advertorch, beside the published numbers"


def test_models_without_claims_have_no_table(record) -> None:
    """An empty comparison is none."""
    records = (record(None, 8, 10), record("pgd-7 first", 5, 10))

    assert beside_published(records, Archive(records)) == []
