from __future__ import annotations

import numpy as np
import pytest

from reports.cell import Perturbation
from reports.feedback import Comparison, feedback_figures, feedback_tables
from reports.metrics import Accuracy, MeanAccuracy
from reports.tables import render
from reports.values import PValue, Remark

from .conftest import attack_on

CNN = {"model": "cnn_cifar", "weights": "b" * 64, "label": "CNN", "iterations": 0}
PARTNERS = {"cnnf_cifar": "cnn_cifar"}


def on_cnn(name: str, epsilon: float = 0.03, steps: int = 7, **changes: object) -> dict[str, object]:
    """Return the fields of a cell of the CNN attacked through itself."""
    own = {"source": "cnn_cifar", "source_weights": "b" * 64}
    return attack_on(name, "first", epsilon, 0, steps) | CNN | own | changes


def hits(right: int, n: int = 40, start: int = 0) -> list[bool]:
    """Return n answers of which those from `start` are right."""
    return [start <= k < start + right for k in range(n)]


@pytest.fixture
def archive(stored):
    """Return CNN and CNN-F, clean and under two attacks; SPSA ran on eight images."""
    return stored(
        (hits(36), CNN),
        (hits(30), on_cnn("pgd")),
        (hits(8, 8), on_cnn("spsa")),
        (hits(36, start=1), {}),
        (hits(22), attack_on("pgd", "first", 0.03, 2, 7)),
        (hits(18), attack_on("pgd", "e2e", 0.03, 2, 7)),
        (hits(6, 8), attack_on("spsa", "first", 0.03, 2, 7)),
        (hits(10), {"attack": "transfer"}),
        partners=PARTNERS,
    )


def test_the_table_as_a_person_reads_it(archive, golden) -> None:
    """Each attack beside that on the network without feedback, and the worst case over all of them."""
    golden("feedback.md", render(feedback_tables(archive.records, archive), "markdown"))


def test_numbers_of_a_row_by_hand(archive) -> None:
    """Of 40 images 12 are lost under PGD end to end and none is gained: p is 2 / 2**12, times 4."""
    (table,) = feedback_tables(archive.records, archive)
    row = {row.label: row.values for row in table.rows}["CNN-F (last): PGD-7 (e2e)"]
    without, feedback, change, lost, gained, p, adjusted = row

    assert (without, feedback) == (Accuracy(30, 40), Accuracy(18, 40))
    assert change.points == pytest.approx(-30)
    assert change.is_clear
    assert change.interval.high < 0
    assert (lost, gained) == (Remark("12"), Remark("0"))
    assert p == PValue(2 / 2**12)
    # The worst case, with 20 lost, has the smaller p: this one is the second of five.
    assert adjusted == PValue(4 * 2 / 2**12)


def test_the_worst_case_counts_attacks_from_other_networks(archive) -> None:
    """Ten stand against the transfer attack; two of them fall to SPSA, and one is wrong as it is."""
    (table,) = feedback_tables(archive.records, archive)

    assert table.rows[-1].label == "CNN-F (last): worst case"
    assert table.rows[-1].values[1] == Accuracy(7, 40)


def test_the_figure_leaves_out_what_ran_on_a_few(archive) -> None:
    """An interval over eight images would hide those over forty; a note says so."""
    (figure,) = feedback_figures(archive.records, archive)

    assert figure.places == ("clean", "PGD-7 (e2e)", "PGD-7 (first)", "worst case")
    assert "only in the table: SPSA-7 (first) (n = 8)" in figure.notes
    assert [point.value for point in figure.panels[0].series[0].points] == pytest.approx([0, -30, -20, -57.5])


def test_several_epsilons_are_one_question(stored) -> None:
    """The mean over epsilons of what stands: a row for a curve, not ten."""
    cells = [(hits(40), CNN | {"suite": "epsilons"}), (hits(40), {"suite": "epsilons"})]
    for epsilon, plain, fed in ((0.1, 30, 20), (0.2, 10, 10)):
        cells.append((hits(plain), on_cnn("pgd", epsilon, suite="epsilons")))
        cells.append((hits(fed), attack_on("pgd", "e2e", epsilon, 2, 7, suite="epsilons")))
    archive = stored(*cells, partners=PARTNERS)
    (table,) = feedback_tables(archive.records, archive)
    clean, curve = table.rows

    assert clean.label == "CNN-F (last): clean"
    assert curve.label == "CNN-F (last): mean of 2 epsilons, 0.1 to 0.2"
    assert isinstance(curve.values[0], MeanAccuracy)
    assert curve.values[2].points == pytest.approx(-12.5)
    assert curve.values[3:5] == (Remark("10"), Remark("0"))


def test_corruptions_are_a_mean_over_kinds(stored) -> None:
    """One question, of the kinds that both have met."""
    settings = {"severity": 3, "family": "cifar"}
    cells = []
    for name, plain, fed in (("fog", 20, 30), ("snow", 10, 10)):
        done = Perturbation(kind="corruption", name=name, backend="native", settings=settings)
        own = {"suite": "corruptions", "perturbation": done}
        cells += [(hits(plain), CNN | own), (hits(fed), own)]
    archive = stored(*cells, partners=PARTNERS)
    (table,) = feedback_tables(archive.records, archive)

    assert [row.label for row in table.rows] == ["CNN-F (last): mean of 2 corruptions"]
    assert table.rows[0].values[2].points == pytest.approx(12.5)


def test_only_the_most_iterations_are_compared(stored) -> None:
    """A network asked after each iteration is compared once, as it is used."""
    cells = [(hits(20), {"iterations": k, "suite": "clean"}) for k in (0, 1, 2)]
    archive = stored((hits(20), CNN | {"suite": "clean"}), *cells, partners=PARTNERS)
    (table,) = feedback_tables(archive.records, archive)

    assert [row.label for row in table.rows] == ["CNN-F (last): clean"]


@pytest.mark.parametrize("others", [(), ("one",), ("one", "two")])
def test_whom_a_network_without_a_partner_is_compared_with(stored, others) -> None:
    """With the only one there is; with several it is anyone's guess, and there is no table."""
    cells = [(hits(20), {}), (hits(10), attack_on("pgd", "first", 0.03, 2))]
    for name in others:
        plain = {"model": name, "source": name}
        cells += [(hits(20), CNN | {"model": name}), (hits(15), on_cnn("pgd", steps=40, **plain))]
    archive = stored(*cells)

    assert len(feedback_tables(archive.records, archive)) == (len(others) == 1)
    assert len(feedback_figures(archive.records, archive)) == (len(others) == 1)


def test_nothing_in_common_is_no_comparison() -> None:
    """Other images are another question."""
    assert Comparison.of("CNN-F", "clean", {1: 1.0}, {2: 1.0}) is None
    found = Comparison.of("CNN-F", "clean", {1: 1.0, 3: 0.0}, {2: 1.0, 3: 1.0})
    assert found is not None
    np.testing.assert_array_equal(found.without, [0.0])
