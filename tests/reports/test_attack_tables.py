from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from reports.attack_tables import member_names
from reports.catalogue import tables_of
from reports.cell import Perturbation
from reports.records import Record, Store
from reports.values import Doubted

from .conftest import attack_on, made_cell, outcomes

CASCADE = Perturbation(
    kind="attack",
    name="strongest",
    backend="native",
    settings={
        "norm": "linf",
        "epsilon": 0.03,
        "1.attack": "apgd",
        "1.target": "e2e",
        "1.loss": "dlr_targeted",
        "1.steps": 10,
        "2.attack": "apgd",
        "2.target": "first",
        "2.loss": "ce",
        "2.steps": 20,
        "10.attack": "square",
        "10.target": "e2e",
        "10.queries": 300,
    },
)


@pytest.fixture
def cascade(record) -> Record:
    """Return the record of a cascade of three members on five examples."""
    found = record("pgd-7 e2e", 2, 5, suite="strongest")
    cell = found.cell.model_copy(update={"perturbation": CASCADE})
    return found.model_copy(update={"cell": cell, "key": cell.key})


def fooled_by(*numbers: int) -> pd.DataFrame:
    """Return outcomes of a cascade of three."""
    return outcomes([number == 4 for number in numbers]).assign(fooled_by=numbers)


def test_members_are_read_in_their_order() -> None:
    """Ten comes after two; settings without a number belong to all."""
    assert [member["attack"] for member in CASCADE.members] == ["apgd", "apgd", "square"]
    assert CASCADE.members[2] == {"attack": "square", "target": "e2e", "queries": 300}


def test_members_are_named_by_what_they_aim_at() -> None:
    """The answer that is scored is called so whichever it is."""
    cell = made_cell("pgd-7 e2e").model_copy(update={"perturbation": CASCADE})

    assert member_names(cell) == ["apgd-dlr-t-10 (answer)", "apgd-ce-20 (first)", "square-300 (answer)"]
    assert member_names(cell.model_copy(update={"attack_target": "e2e_avg"}))[0] == "apgd-dlr-t-10 (e2e)"
    assert member_names(made_cell()) == []


def test_rows_count_what_stands_after_each_member(cascade, tmp_path: Path) -> None:
    """One example is wrong from the start, one falls to the first member, one to the last."""
    store = Store(tmp_path)
    stored = store.append(cascade, fooled_by(0, 1, 3, 4, 4))
    (table,) = tables_of([stored], store)

    *rows, verdict = table.rows
    assert (verdict.label, verdict.values[0].text) == ("verdict", "0 of 1 fail")
    assert {row.label: row.values[0].correct for row in rows} == {
        "clean": 4,
        "apgd-dlr-t-10 (answer)": 3,
        "apgd-ce-20 (first)": 3,
        "square-300 (answer)": 2,
        "worst case": 2,
    }
    assert any("1 of 5 examples fell to attacks that go around the gradient" in note for note in table.notes)


def test_what_a_cascade_in_doubt_leaves_is_marked(cascade, tmp_path: Path) -> None:
    """Its images leave the ball: nothing after clean and before the worst case can be believed."""
    store = Store(tmp_path)
    outside = fooled_by(0, 1, 3, 4, 4).assign(linf=0.04, lowest=0.0, highest=1.0)
    (table,) = tables_of([store.append(cascade, outside)], store)

    assert [isinstance(row.values[0], Doubted) for row in table.rows[:-1]] == [False, True, True, True, False]
    assert any(note.startswith("† CNN-F (last), ball: 5 images") for note in table.notes)


def test_a_search_from_what_the_gradient_found_goes_not_around_it(cascade, tmp_path: Path) -> None:
    """It goes on where the climbs ended: what it breaks is told by itself."""
    settings = CASCADE.settings | {"10.start": "strongest"}
    done = CASCADE.model_copy(update={"settings": settings})
    cell = cascade.cell.model_copy(update={"perturbation": done})
    store = Store(tmp_path)
    refined = cascade.model_copy(update={"cell": cell, "key": cell.key})
    stored = store.append(refined, fooled_by(0, 1, 3, 4, 4))
    (table,) = tables_of([stored], store)

    assert "square-300 (answer, refining)" in {row.label for row in table.rows}
    assert not any("go around the gradient" in note for note in table.notes)
    told = "1 of 5 examples fell to a search without gradients from where these had led"
    assert any(told in note for note in table.notes)


def test_the_cascade_shown_is_the_one_last_defined(cascade, tmp_path: Path) -> None:
    """An older cascade of other members has more examples and does not count."""
    store = Store(tmp_path)
    settings = {key: value for key, value in CASCADE.settings.items() if not key.startswith("10.")}
    done = CASCADE.model_copy(update={"settings": settings})
    old = cascade.cell.model_copy(update={"perturbation": done, "examples": 6})
    made = cascade.provenance.model_copy(update={"finished_at": "2020-01-01T00:00:00+00:00"})
    older = cascade.model_copy(update={"cell": old, "key": old.key, "n": 6, "provenance": made})
    records = [store.append(older, fooled_by(0, 1, 3, 3, 3, 3))]
    records.append(store.append(cascade, fooled_by(0, 1, 3, 4, 4)))
    (table,) = tables_of(records, store)

    assert {value.n for row in table.rows[:-1] for value in row.values} == {5}


def test_the_worst_case_takes_all_suites_of_the_folder(cascade, record, tmp_path: Path) -> None:
    """Other attacks on the same answer count for the same examples; nothing else does.

    Not those on other answers, not corruptions, and not attacks that were allowed more.
    """
    store = Store(tmp_path)
    stored = store.append(cascade, fooled_by(0, 1, 3, 4, 4))
    stronger = record(None, 0, 5, **attack_on("pgd", "e2e", 0.5, 2))
    store.append(stronger, outcomes([False] * 5))
    store.append(record("spsa-7 first", 5, 6), outcomes([True, True, True, False, True, False]))
    store.append(record("pgd-7 e2e", 0, 5, readout="avg"), outcomes([False] * 5))
    corrupted = record("pgd-7 e2e", 0, 5)
    damage = Perturbation(kind="corruption", name="fog", backend="native", settings={"severity": 1})
    cell = corrupted.cell.model_copy(update={"perturbation": damage})
    store.append(corrupted.model_copy(update={"cell": cell, "key": cell.key}), outcomes([False] * 5))
    (table,) = tables_of([stored], store)

    worst = table.rows[-2].values[0]
    assert (worst.correct, worst.n) == (1, 5)


def test_transfer_has_a_column_for_each_source(record, tmp_path: Path) -> None:
    """The white-box attack stands beside those from elsewhere; the lowest of a row is the weakest.

    They stand in one order, whatever the order of the records.
    """
    records = [
        record(None, 90, suite="transfer"),
        record("transfer", 70, suite="transfer"),
        record("pgd-7 e2e", 40, suite="transfer"),
    ]
    (table,) = tables_of(records, Store(tmp_path))

    assert [column.heading for column in table.columns] == ["clean", "from cnn_cifar", "from cnnf_cifar"]
    (row,) = table.rows
    assert [value.correct for value in row.values] == [90, 70, 40]
    assert table.weakest(row).correct == 40
    assert tables_of(records[::-1], Store(tmp_path)) == [table]
