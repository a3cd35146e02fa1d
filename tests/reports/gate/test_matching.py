from __future__ import annotations

import pytest

from reports.gate.baseline import make
from reports.gate.naming import differences, names_of
from reports.gate.paired import compare
from reports.gate.result import CheckResult, Rules, Status
from reports.records import Store

from ..conftest import made_cell
from .conftest import predictions

PGD = "pgd-7 first"
NAME = "cnnf_cifar (last): pgd-7 first"


def check(before: Store, now: Store, **rules: object) -> CheckResult:
    return compare(make(before.read(), before), now.read(), now, Rules(**rules))


@pytest.fixture
def before(answered) -> Store:
    return answered("before", {PGD: predictions(50)})


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (
            {"weights": "b" * 64},
            "weights of cnnf_cifar aaaaaaaaaaaa, now bbbbbbbbbbbb (--compare-weights compares them)",
        ),
        ({"data": "e" * 64}, "other images or labels: data dddddddddddd, now eeeeeeeeeeee"),
        ({"seed": 3}, "missing from the results; the nearest cell differs in seed 0, now 3"),
        (
            {"suite_version": 2, "readout": "avg"},
            "missing from the results; the nearest cell differs in suite_version 1, now 2; "
            "readout last, now avg",
        ),
        ({"model": "other"}, "missing from the results"),
    ],
)
def test_another_question_or_another_answerer_is_incomparable(before, answered, changes, reason) -> None:
    """Never a pass: exit code 3, and what is different."""
    result = check(before, answered("now", {PGD: predictions(50)}, **changes))
    (finding,) = result.findings

    assert result.exit_code == 3
    assert finding.line == f"incomparable: {NAME}: {reason}"


def test_fewer_examples_are_incomparable(before, answered) -> None:
    """The first 40 of 50 are another cell."""
    result = check(before, answered("now", {PGD: predictions(40)}))

    assert result.findings[0].reason.endswith("the nearest cell differs in examples 50, now 40")


def test_a_changed_setting_of_the_attack_is_named(before, answered) -> None:
    """Forty steps where there were seven."""
    result = check(before, answered("now", {"pgd-40 first": predictions(50)}))

    assert result.findings[0].reason.endswith("the nearest cell differs in pgd steps 7, now 40")
    assert result.exit_code == 3


def test_other_weights_are_compared_when_asked(before, answered) -> None:
    """For CI of who changes the model; the result says that it was done."""
    result = check(
        before, answered("now", {PGD: predictions(50, range(20))}, weights="b" * 64), compares_weights=True
    )

    assert result.findings[0].status is Status.REGRESSION
    assert result.notes == (
        "compared although weights of cnnf_cifar changed: aaaaaaaaaaaa, now bbbbbbbbbbbb",
    )


def test_other_settings_are_incomparable(answered) -> None:
    """Also where weights are the same; one sentence names what differs, once for model and attacker."""
    before = answered("before", {PGD: predictions(50)}, settings={"beta": [0.8, 0.7], "alpha": 0.01})
    now = answered("now", {PGD: predictions(50)}, settings={"beta": [0.8, 0.6], "alpha": 0.01})
    result = check(before, now)
    asked = check(before, now, compares_weights=True)

    assert result.exit_code == 3
    assert result.findings[0].reason == (
        "settings of cnnf_cifar beta [0.8, 0.7], now [0.8, 0.6] (--compare-weights compares them)"
    )
    assert asked.findings[0].status is Status.UNCHANGED
    assert asked.notes[0] == (
        "compared although settings of cnnf_cifar changed: beta [0.8, 0.7], now [0.8, 0.6]"
    )


def test_another_source_of_a_transfer_attack_is_incomparable(answered) -> None:
    """Images made on another network are other images."""
    before = answered("before", {"transfer": predictions(50)})
    store = answered("made", {"transfer": predictions(50)})
    (record,) = store.read()
    cell = record.cell.model_copy(update={"source_weights": "c" * 64})
    now = Store(store.folder.parent / "now")
    now.append(
        record.model_copy(update={"cell": cell, "key": cell.key}), store.read_outcomes(store.read()[0])
    )

    reason = check(before, now).findings[0].reason
    assert reason.startswith("weights of cnn_cifar bbbbbbbbbbbb, now cccccccccccc (")
    assert check(before, now, compares_weights=True).exit_code == 0


def test_other_data_are_never_compared(before, answered) -> None:
    """Pairs of different images are no pairs."""
    now = answered("now", {PGD: predictions(50)}, data="e" * 64)

    assert check(before, now, compares_weights=True).exit_code == 3


def test_another_seed_is_compared_when_asked(before, answered) -> None:
    """The same attack with other random starts."""
    now = answered("now", {PGD: predictions(50, [3])}, seed=7)

    assert check(before, now, takes_any_seed=True).findings[0].status is Status.NOISE


@pytest.mark.parametrize(
    ("changes", "rules"),
    [
        ({"weights": "b" * 64}, {}),
        ({"settings": {"beta": 0.7}}, {}),
        ({"data": "e" * 64}, {}),
        ({"seed": 1}, {"takes_any_seed": True}),
    ],
)
def test_two_answers_to_one_question_are_incomparable(before, answered, changes, rules) -> None:
    """A folder that also holds the old run must not pass in place of the new one."""
    answered("now", {PGD: predictions(50)})
    now = answered("now", {PGD: predictions(50, range(40))}, **changes)
    result = check(before, now, **rules)

    assert result.exit_code == 3
    assert "the results hold 2 versions of it" in result.findings[0].reason


def test_a_failed_cell_is_incomparable(before, record, tmp_path) -> None:
    """With the error of the run."""
    now = Store(tmp_path / "now")
    now.append(record(PGD, 0, 50, status="error", error="RuntimeError: no memory"))
    result = check(before, now)

    assert result.findings[0].reason == "failed: RuntimeError: no memory"
    assert result.exit_code == 3


def test_damaged_outcomes_are_incomparable(before, answered) -> None:
    """The other cells are still checked."""
    now = answered("now", {PGD: predictions(50)})
    next((now.folder / "outcomes").iterdir()).write_bytes(b"PAR1")
    result = check(before, now)

    assert "is damaged: its hash is not the one in records.jsonl" in result.findings[0].reason
    assert result.exit_code == 3


def test_labels_that_moved_are_incomparable(before, answered) -> None:
    """Two labels swapped behind the hash that was planned for."""
    labels = [0] * 50
    labels[3], labels[4] = 1, 2
    result = check(before, answered("now", {PGD: predictions(50)}, labels=labels))

    assert result.findings[0].reason == "2 labels differ, though the hash of the data is the same"
    assert result.exit_code == 3


def test_other_versions_are_told(before, answered, record) -> None:
    """A flip after an upgrade has an explanation."""
    now = answered("now", {PGD: predictions(50)})
    (found,) = now.read()
    versions = {"torch": "2.15.0", "numpy": "2.4.6"}
    newer = found.model_copy(
        update={"provenance": found.provenance.model_copy(update={"versions": versions})}
    )
    now.append(newer, now.read_outcomes(found))
    result = check(before, now)

    assert result.exit_code == 0
    assert result.notes == (
        "made otherwise than the baseline: torch 2.6.0, now 2.15.0; numpy none, now 2.4.6",
    )


def test_names_are_short_and_tell_cells_apart() -> None:
    """Only what differs is added to names that would be the same."""
    plain = {"model": "cnn", "iterations": 0}
    cells = [
        made_cell(None, **plain),
        made_cell("pgd-7 e2e"),
        made_cell("transfer", readout="avg"),
        made_cell("spsa-7 first", seed=1),
        made_cell("spsa-7 first", seed=2),
    ]

    assert names_of(cells) == [
        "cnn: clean",
        "cnnf_cifar (last): pgd-7 e2e",
        "cnnf_cifar (avg): pgd-7 first from cnn_cifar",
        "cnnf_cifar (last): spsa-7 first, seed 1",
        "cnnf_cifar (last): spsa-7 first, seed 2",
    ]


def test_differences_leave_out_hashes() -> None:
    """Weights and data are no part of the question."""
    first = made_cell(PGD)
    second = made_cell("pgd-40 first", weights="c" * 64, data="f" * 64, seed=2)

    assert differences(first, first) == []
    assert differences(first, second) == ["seed 0, now 2", "pgd steps 7, now 40"]
