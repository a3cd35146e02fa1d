from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.gate.baseline import make
from reports.gate.matching import MatchedCell
from reports.gate.paired import CellChange, compare, weigh
from reports.gate.result import CheckResult, Rules, Status, status_of_change
from reports.metrics import Accuracy
from reports.records import Store

from ..conftest import made_cell
from .conftest import predictions

PGD = "pgd-7 first"


def check(before: Store, now: Store, **rules: object) -> CheckResult:
    return compare(make(before.read(), before), now.read(), now, Rules(**rules))


def statuses(result: CheckResult) -> list[str]:
    return [str(finding.status) for finding in result.findings]


@pytest.fixture
def changed(answered):
    """Return a function: wrong examples before and now, of n, under an attack, to the result."""

    def made(before, now, n=1000, attack: str | None = PGD, **rules: object) -> CheckResult:
        old = answered("before", {attack: predictions(n, before)})
        return check(old, answered("now", {attack: predictions(n, now)}), **rules)

    return made


@pytest.mark.parametrize(
    ("before", "now", "attack", "status", "exit_code"),
    [
        ([], [], PGD, "unchanged", 0),
        (range(5), range(5), PGD, "unchanged", 0),
        # Six of six: 1/64 is above 0.01; seven: 1/128 is not.
        ([], range(6), PGD, "within noise", 0),
        ([], range(7), PGD, "regression", 1),
        ([], range(7), None, "regression", 1),
        (range(7), [], PGD, "suspicious", 1),
        (range(7), [], None, "improved", 0),
        # As many both ways is no change of accuracy.
        (range(50), range(50, 100), PGD, "within noise", 0),
    ],
)
def test_statuses_of_one_cell(changed, before, now, attack, status, exit_code) -> None:
    """A drop fails, a rise under attack is suspected, a rise on clean images is welcome."""
    result = changed(before, now, attack=attack)

    assert (statuses(result), result.exit_code) == ([status], exit_code)


@pytest.mark.parametrize(("n", "status"), [(1400, "regression"), (1401, "negligible")])
def test_a_drop_below_the_smallest_that_matters_passes(changed, n, status) -> None:
    """Seven of 1,400 are exactly 0.5 points; of 1,401 they are less, however significant."""
    assert statuses(changed([], range(7), n)) == [status]


@pytest.mark.parametrize(
    ("n", "lost", "min_drop"), [(n, lost, lost * 100 / n) for n in (600, 1000, 7000) for lost in (7, 9, 70)]
)
def test_a_drop_of_exactly_the_limit_matters(n, lost, min_drop) -> None:
    """No rounding: 0.7 points of 1,000 are seven examples."""
    found = CellChange(Accuracy(n, n), Accuracy(n - lost, n), lost, 0, lost, 0.001, 0.001)

    rules = Rules(min_drop=min_drop)
    assert status_of_change(made_cell(PGD), found.points, True, rules) is Status.REGRESSION


def test_numbers_by_hand(answered) -> None:
    """15 lost, 2 gained and one wrong answer that became another wrong one, of 100."""
    answers = predictions(100, [2, *range(10, 25)])
    answers[2] = 5
    before = answered("before", {PGD: predictions(100, [0, 1, 2])})
    found = check(before, answered("now", {PGD: answers})).findings[0].evidence

    assert isinstance(found, CellChange)
    assert (found.before.correct, found.now.correct, found.before.n) == (97, 84, 100)
    assert (found.lost, found.gained, found.flips, found.points) == (15, 2, 18, -13)
    # (C(17,15) + C(17,16) + 1) / 2**17 = (136 + 17 + 1) / 131072
    assert found.p == found.adjusted == 154 / 131072


def test_another_wrong_answer_is_a_flip_and_no_loss(answered) -> None:
    """Accuracy does not see it; exactness does."""
    before, now = answered("before", {PGD: [0, 1, 1, 0]}), answered("now", {PGD: [0, 2, 1, 0]})

    assert statuses(check(before, now)) == ["within noise"]
    assert statuses(check(before, now, max_flips=1)) == ["within noise"]
    exact = check(before, now, max_flips=0)
    assert (statuses(exact), exact.exit_code) == (["changed"], 1)


def test_answers_that_are_no_numbers_are_one_answer(answered) -> None:
    """NaN before and now is no flip; NaN instead of a class is."""
    before, now = answered("before", {PGD: [-1, -1, 0]}), answered("now", {PGD: [-1, 1, -1]})
    found = check(before, now).findings[0].evidence

    assert isinstance(found, CellChange)
    assert (found.lost, found.gained, found.flips) == (1, 0, 2)


def test_an_allowed_rise_is_an_improvement(changed) -> None:
    """For who trains for robustness."""
    result = changed(range(50), [], allows_rise=True)

    assert (statuses(result), result.exit_code) == (["improved"], 0)


def test_a_wider_alpha_sees_more(changed) -> None:
    """1/64 is above 0.01 and below 0.05."""
    assert statuses(changed([], range(6), alpha=0.05)) == ["regression"]


def test_many_cells_need_stronger_evidence(answered) -> None:
    """Seven lost in one of four cells: 4/128 is above 0.01; ten are not, 4/1024."""
    attacks = ["pgd-7 first", "pgd-7 e2e", "pgd-40 first", "pgd-40 e2e"]
    before = answered("before", dict.fromkeys(attacks, predictions(100)))
    for lost, status in ((7, "within noise"), (10, "regression")):
        same = dict.fromkeys(attacks[1:], predictions(100))
        now = answered(f"now{lost}", {attacks[0]: predictions(100, range(lost)), **same})
        result = check(before, now)
        assert sorted(statuses(result)) == sorted([status, *["unchanged"] * 3])
        found = result.changed[0].evidence

        assert isinstance(found, CellChange)
        assert (found.p, found.adjusted) == (2**-lost, 4 * 2**-lost)


def test_the_worst_comes_first(answered) -> None:
    """In the list of what changed, and in the answer."""
    before = answered("before", {None: predictions(100, range(9)), PGD: predictions(100)})
    now = answered("now", {None: predictions(100, range(8)), PGD: predictions(100, range(50))})
    result = check(before, now)

    assert [finding.status for finding in result.changed] == [Status.REGRESSION, Status.NOISE]
    assert result.headline == "failed (1 regression, 1 within noise)"


def test_a_regression_beside_something_incomparable_fails(answered) -> None:
    """Exit code 1 says more than 3."""
    before = answered("before", {None: predictions(50), PGD: predictions(50)})
    result = check(before, answered("now", {PGD: predictions(50, range(20))}))

    assert statuses(result) == ["incomparable", "regression"]
    assert result.exit_code == 1


def test_cells_are_in_the_order_of_their_fields(answered) -> None:
    """Seven steps before forty, first before last, however a run has finished them."""
    attacks = ["pgd-40 first", "spsa-7 e2e", None, "pgd-7 first", "pgd-7 e2e"]
    store = answered("run", dict.fromkeys(attacks, predictions(5)))

    assert [finding.name.split(": ")[1] for finding in check(store, store).findings] == [
        "clean",
        "pgd-7 e2e",
        "pgd-7 first",
        "pgd-40 first",
        "spsa-7 e2e",
    ]


def test_cells_that_no_drop_could_fail_are_told(answered) -> None:
    """Two examples prove nothing; whoever reads `passed` must know. Exactness has no blind spot."""
    spsa = "spsa-7 first"
    before = answered("before", {PGD: predictions(50)})
    answered("before", {spsa: predictions(2)}, data="e" * 64)
    now = answered("now", {PGD: predictions(50)})
    answered("now", {spsa: predictions(2, [0, 1])}, data="e" * 64)

    result = check(before, now)
    assert result.exit_code == 0
    assert result.notes == (
        "1 cells have too few right answers for any drop to be significant: cnnf_cifar (last): spsa-7 first",
    )
    exact = check(before, now, max_flips=1)
    assert (exact.exit_code, exact.notes) == (1, ())


def test_surplus_cells_are_told(answered) -> None:
    """A new attack is not checked until the baseline has it."""
    now = answered("now", {PGD: predictions(50), "pgd-40 first": predictions(50, range(40))})
    result = check(answered("before", {PGD: predictions(50)}), now)

    assert result.exit_code == 0
    assert result.notes == ("1 cells of the results are not in the baseline and were not checked",)


@given(
    st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60),
    st.floats(0.001, 0.5),
    st.floats(0, 5),
)
def test_no_change_of_order_or_direction_matters(pairs, alpha, min_drop) -> None:
    """A regression one way is a suspicion the other way, and the order of examples changes nothing."""

    def told(examples):
        before, now = (np.array(side) for side in zip(*examples, strict=True))
        (found,) = weigh([MatchedCell(made_cell(PGD), before, now, before != now)])
        rules = Rules(alpha, min_drop)
        return status_of_change(made_cell(PGD), found.points, found.adjusted <= alpha, rules, found.flips)

    mirror = {Status.REGRESSION: Status.SUSPICIOUS, Status.SUSPICIOUS: Status.REGRESSION}
    status = told(pairs)
    assert told(pairs[::-1]) is status
    assert told([(now, before) for before, now in pairs]) is mirror.get(status, status)
