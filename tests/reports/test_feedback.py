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
    """Of 40 images 12 are lost under PGD end to end and none is gained: p is 2 / 2**12, the least of four."""
    (table,) = feedback_tables(archive.records, archive)
    row = {row.label: row.values for row in table.rows}["CNN-F (last): PGD-7 (e2e)"]
    without, feedback, change, lost, gained, p, adjusted = row

    assert (without, feedback) == (Accuracy(30, 40), Accuracy(18, 40))
    assert change.points == pytest.approx(-30)
    assert change.is_clear
    assert change.interval.high < 0
    assert (lost, gained) == (Remark("12"), Remark("0"))
    assert p == PValue(2 / 2**12)
    assert adjusted == PValue(4 * 2 / 2**12)


def test_the_worst_case_is_over_as_many_attacks_on_either_side(stored) -> None:
    """Through one target, the one that leaves least: the CNN's two attacks are never held against four.

    Only five stand under the transfer attack, which has no like on the CNN. End to end 20 stand under both
    attacks, through the first pass 25.
    """
    fed = {("pgd", "first"): 25, ("square", "first"): 30, ("pgd", "e2e"): 28, ("square", "e2e"): 20}
    own = [(hits(right), attack_on(name, target, 0.03, 2, 7)) for (name, target), right in fed.items()]
    bare = [(hits(30), on_cnn("pgd")), (hits(27), on_cnn("square"))]
    others = [(hits(36), CNN), (hits(36), {}), (hits(5), {"attack": "transfer"})]
    archive = stored(*own, *bare, *others, partners=PARTNERS)
    (table,) = feedback_tables(archive.records, archive)
    without, feedback, *_ = {row.label: row.values for row in table.rows}["CNN-F (last): worst of 2 (e2e)"]

    assert [row.label for row in table.rows if "worst" in row.label] == ["CNN-F (last): worst of 2 (e2e)"]
    assert (without, feedback) == (Accuracy(27, 40), Accuracy(20, 40))
    assert any(note.endswith("without feedback 2, with feedback 5") for note in table.notes)


def test_an_attack_on_a_few_is_not_in_the_worst_case(archive) -> None:
    """SPSA ran on eight images of forty, so PGD is alone and is its own worst case."""
    (table,) = feedback_tables(archive.records, archive)

    assert not [row.label for row in table.rows if "worst" in row.label]


def test_only_attacks_with_equal_settings_are_compared(stored) -> None:
    """A PGD of 40 steps is not held against one of 7, nor one of another length of step."""
    archive = stored(
        (hits(36), CNN),
        (hits(30), on_cnn("pgd", steps=40)),
        (hits(36), {}),
        (hits(20), attack_on("pgd", "first", 0.03, 2, 7)),
        partners=PARTNERS,
    )
    (table,) = feedback_tables(archive.records, archive)

    assert [row.label for row in table.rows] == ["CNN-F (last): clean"]


def test_the_members_of_a_cascade_are_counted(stored) -> None:
    """A cascade has more members for a network with feedback; it is compared, and their numbers are told."""

    def cascade(members: int) -> Perturbation:
        settings = {"norm": "linf", "epsilon": 0.03}
        settings |= {f"{k}.attack": "apgd" for k in range(1, members + 1)}
        return Perturbation(kind="attack", name="strongest", backend="native", settings=settings)

    archive = stored(
        (hits(30), on_cnn("strongest") | {"perturbation": cascade(4)}),
        (hits(20), attack_on("strongest", "e2e", 0.03, 2) | {"perturbation": cascade(7)}),
        partners=PARTNERS,
    )
    (table,) = feedback_tables(archive.records, archive)

    assert [row.label for row in table.rows] == ["CNN-F (last): STRONGEST"]
    assert any(note.endswith("without feedback 4, with feedback 7") for note in table.notes)


def test_a_run_on_a_few_images_first_is_no_attack_more(stored) -> None:
    """Both have met PGD, one of them twice: there is no difference to be told."""
    attack = {"attack": "pgd-40 first"}
    archive = stored(
        (hits(3, 4), on_cnn("pgd", steps=40)), (hits(1, 2), attack), (hits(1, 4), attack), partners=PARTNERS
    )
    (table,) = feedback_tables(archive.records, archive)

    assert [row.label for row in table.rows] == ["CNN-F (last): PGD-40 (first)"]
    assert not any("attacks met" in note for note in table.notes)


def test_cascades_that_end_otherwise_are_not_compared(stored) -> None:
    """One of an older version on one network says nothing beside a newer one on the other."""

    def cascade(queries: int) -> Perturbation:
        settings = {"norm": "linf", "epsilon": 0.03, "1.attack": "square", "1.queries": queries}
        return Perturbation(kind="attack", name="strongest", backend="native", settings=settings)

    archive = stored(
        (hits(30), on_cnn("strongest") | {"perturbation": cascade(300)}),
        (hits(20), attack_on("strongest", "e2e", 0.03, 2) | {"perturbation": cascade(1500)}),
        partners=PARTNERS,
    )
    assert feedback_tables(archive.records, archive) == []


def test_the_figure_leaves_out_what_ran_on_a_few(archive) -> None:
    """An interval over eight images would hide those over forty; a note says so."""
    (figure,) = feedback_figures(archive.records, archive)

    assert figure.places == ("clean", "PGD-7 (e2e)", "PGD-7 (first)")
    assert "only in the table: SPSA-7 (first) (n = 8)" in figure.notes
    assert [point.value for point in figure.panels[0].series[0].points] == pytest.approx([0, -30, -20])


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
    assert curve.label == "CNN-F (last): mean of 2 epsilons, 0.1 to 0.2 (e2e)"
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


def test_of_several_targets_the_strongest_counts_against_epsilon(stored) -> None:
    """Masked gradients leave 30 standing end to end, where an attack on the first pass leaves 10."""
    cells = [(hits(40), CNN | {"suite": "epsilons"}), (hits(40), {"suite": "epsilons"})]
    for epsilon in (0.1, 0.2):
        cells.append((hits(12), on_cnn("pgd", epsilon, suite="epsilons")))
        for target, right in (("first", 10), ("e2e", 30)):
            cells.append((hits(right), attack_on("pgd", target, epsilon, 2, 7, suite="epsilons")))
    archive = stored(*cells, partners=PARTNERS)
    (table,) = feedback_tables(archive.records, archive)

    assert [row.label for row in table.rows[1:]] == ["CNN-F (last): mean of 2 epsilons, 0.1 to 0.2 (first)"]
    assert table.rows[1].values[2].points == pytest.approx(-5)
    # Two images fewer under either epsilon, and two targets to choose from: twice 2 / 2**2.
    assert table.rows[1].values[5] == PValue(1.0)


def test_the_choice_of_a_target_costs_what_as_many_tests_would() -> None:
    """By hand: 2 / 2**6 for six images lost, three times that where the worst of three was taken."""
    shares = [dict.fromkeys(range(20), right) for right in (1.0, 1.0)]
    shares[1] |= dict.fromkeys(range(6), 0.0)
    one, three = (Comparison.of("a", "q", *shares, choices) for choices in (1, 3))

    assert one is not None
    assert three is not None
    assert (one.p_value, three.p_value) == (pytest.approx(2 / 64), pytest.approx(6 / 64))
    narrow, wide = (found.points(is_clear=False).interval for found in (one, three))
    assert wide.low < narrow.low < narrow.high < wide.high


def test_severities_that_only_one_has_met_do_not_count(stored) -> None:
    """A mean over weak corruptions is no match for one over weak and strong ones."""
    cells = []
    for severity, right in ((1, 30), (5, 10)):
        settings = {"severity": severity, "family": "cifar"}
        done = Perturbation(kind="corruption", name="fog", backend="native", settings=settings)
        own = {"suite": "corruptions", "perturbation": done}
        cells += [(hits(right), own), *([(hits(right), CNN | own)] if severity == 1 else [])]
    archive = stored(*cells, partners=PARTNERS)
    (table,) = feedback_tables(archive.records, archive)

    assert table.rows[0].values[:2] == (Accuracy(30, 40), Accuracy(30, 40))


@pytest.fixture
def switched(stored):
    """Return CNN, CNN-F and the weights of CNN-F after 0 iterations, clean and under PGD on two targets."""
    off = {"iterations": 0}
    return stored(
        (hits(36), CNN),
        (hits(20), on_cnn("pgd")),
        (hits(36), off),
        (hits(30), attack_on("pgd", "first", 0.03, 0, 7)),
        # An attack through iterations that the answer does not have is none on it.
        (hits(1), attack_on("pgd", "e2e", 0.03, 2, 7) | off),
        (hits(36), {}),
        (hits(32), attack_on("pgd", "first", 0.03, 2, 7)),
        (hits(31), attack_on("pgd", "e2e", 0.03, 2, 7)),
        partners=PARTNERS,
    )


def test_the_same_weights_after_0_iterations_are_a_second_comparator(switched) -> None:
    """Of twelve images gained over the CNN ten are right with the feedback switched off: it brings two."""
    (table,) = feedback_tables(switched.records, switched)
    row = {row.label: row.values for row in table.rows}["CNN-F (last): PGD-7 (first)"]
    found = dict(zip([column.heading for column in table.columns], row, strict=True))

    assert [found[name].correct for name in ("without feedback", "0 iterations", "with feedback")] == [
        20,
        30,
        32,
    ]
    assert found["gained"] == Remark("12")
    assert found["gained (0 iterations)"] == Remark("2")
    assert found["difference"].is_clear
    assert not found["difference (0 iterations)"].is_clear
    assert found["p (0 iterations)"] == PValue(0.5)


def test_attacks_through_iterations_meet_their_like_at_0_iterations(switched) -> None:
    """Each is attacked through all that it has: with feedback end to end, without through the first pass."""
    (table,) = feedback_tables(switched.records, switched)
    row = {row.label: row.values for row in table.rows}["CNN-F (last): PGD-7 (e2e)"]

    assert row[:3] == (Accuracy(20, 40), Accuracy(30, 40), Accuracy(31, 40))


def test_holm_counts_both_comparators(switched) -> None:
    """Three questions to two comparators are six tests: the smallest p is taken six times."""
    (table,) = feedback_tables(switched.records, switched)
    found = [value.p for row in table.rows for value in (row.values[6], row.values[11])]
    adjusted = [value.p for row in table.rows for value in (row.values[7], row.values[12])]

    assert min(adjusted) == pytest.approx(6 * min(found))


def test_two_comparators_are_two_panels(switched) -> None:
    """Of the same places and answers, one above the other."""
    (figure,) = feedback_figures(switched.records, switched)
    points = [panel.series[0].points for panel in figure.panels]

    assert [panel.title for panel in figure.panels] == [
        "accuracy with feedback less accuracy without",
        "accuracy with feedback less that of the same weights after 0 iterations",
    ]
    assert [point.value for point in points[0]] == pytest.approx([0, 27.5, 30])
    assert [point.value for point in points[1]] == pytest.approx([0, 2.5, 5])


def test_the_table_of_two_comparators_as_a_person_reads_it(switched, golden) -> None:
    """Training and feedback together, then the feedback alone."""
    golden("feedback_0_iterations.md", render(feedback_tables(switched.records, switched), "markdown"))


def test_a_network_without_a_partner_is_compared_with_itself(stored) -> None:
    """What the feedback does is seen without any other network; that there is none is said."""
    archive = stored((hits(20), {"iterations": 0}), (hits(24), {}))
    (table,) = feedback_tables(archive.records, archive)

    assert [column.heading for column in table.columns[:2]] == ["0 iterations", "with feedback"]
    assert table.rows[0].values[:2] == (Accuracy(20, 40), Accuracy(24, 40))
    assert "cnnf_cifar is not compared with a network without feedback: there is none" in table.notes


def test_intervals_are_said_to_be_pointwise(archive) -> None:
    """Some leave out 0 though the adjusted p is large, in the table and in the figure."""
    (table,), (figure,) = (
        feedback_tables(archive.records, archive),
        feedback_figures(archive.records, archive),
    )

    for notes in (table.notes, figure.notes):
        assert any("95 % intervals of one difference each, not adjusted" in note for note in notes)


def test_two_settings_of_a_partner_are_two_rows(stored) -> None:
    """None of them is skipped; of those that share the settings of the answer only that one counts."""
    plain = [(hits(right), CNN | {"settings": {"beta": beta}}) for beta, right in ((0.1, 20), (0.2, 22))]
    unlike = stored(*plain, (hits(24), {"settings": {"beta": 0.3}}), partners=PARTNERS)
    alike = stored(*plain, (hits(24), {"settings": {"beta": 0.2}}), partners=PARTNERS)
    (two,), (one,) = (feedback_tables(archive.records, archive) for archive in (unlike, alike))

    assert sorted(row.values[0].correct for row in two.rows) == [20, 22]
    assert all(row.label.startswith("CNN-F (last), to CNN settings ") for row in two.rows)
    assert [row.values[0].correct for row in one.rows] == [22]
    assert one.rows[0].label == "CNN-F (last): clean"


@pytest.mark.parametrize(
    ("partners", "others", "why"),
    [
        ({"cnnf_cifar": "cnn_cifar"}, ("x",), "there is no record of cnn_cifar"),
        ({}, ("x", "y"), "there are several"),
    ],
)
def test_a_model_that_is_left_out_is_named(stored, partners, others, why) -> None:
    """Beside those that are compared, here with their own 0 iterations."""
    plain = [(hits(20), CNN | {"model": name}) for name in others]
    archive = stored(*plain, (hits(20), {"iterations": 0}), (hits(24), {}), partners=partners)
    (table,) = feedback_tables(archive.records, archive)

    assert f"cnnf_cifar is not compared with a network without feedback: {why}" in table.notes


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
