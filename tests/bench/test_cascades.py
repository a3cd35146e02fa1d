from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from bench.runner import Runner
from bench.suites.cascades import _members
from reports.attack_tables import member_names
from reports.catalogue import tables_of
from reports.cell import Cell

SHORT = {"steps": 3, "queries": 5, "epsilon": 0.001}


@pytest.fixture
def knowing(runner, candidates) -> Callable[..., Runner]:
    """Return a function that makes a runner whose labels are what the feedback network answers."""

    def made(folder: str = "results", batch_size: int = 64) -> Runner:
        found = runner(folder, batch_size=batch_size, dtype=torch.float64)
        random = found.images

        def labelled(cell: Cell) -> tuple[np.ndarray, np.ndarray]:
            pixels, _ = random(cell)
            images = torch.from_numpy(pixels).permute(0, 3, 1, 2).double() / 255
            with torch.no_grad():
                logits = candidates["feedback"].load().double().unroll(images, 2)
            return pixels, logits[-1].argmax(1).numpy()

        found.images = labelled
        return found

    return made


def shortened(cells: list[Cell]) -> list[Cell]:
    """Return cells whose cascades make only a few steps a member, in a ball that some examples survive."""
    made = []
    for cell in cells:
        done = cell.perturbation
        if done is not None:
            settings = {k: SHORT.get(k.rpartition(".")[2], value) for k, value in done.settings.items()}
            cell = cell.model_copy(update={"perturbation": done.model_copy(update={"settings": settings})})
        made.append(cell)
    return made


@pytest.mark.parametrize("suite", ["strongest", "autoattack"])
def test_a_cascade_does_not_depend_on_batches(knowing, plan, suite) -> None:
    """In any batch an example falls to the same member, or to none; nothing is outside the ball."""
    cells = [cell for cell in shortened(plan(suite, examples=10)) if cell.perturbation]

    def fooled_by(batch_size: int) -> list[list[int]]:
        made = knowing(f"{suite} {batch_size}", batch_size)
        records = made.run(cells)
        assert [record.error for record in records] == [None, None]
        assert all(record.largest_linf <= 0.001 + 1e-6 for record in records)
        return [made.store.read_outcomes(record)["fooled_by"].tolist() for record in records]

    together = fooled_by(10)
    assert fooled_by(3) == together
    assert len(set(together[0])) > 1


def test_what_stands_is_correct_under_the_scored_answer(knowing, plan) -> None:
    """The judge is the readout of the cell: nobody fooled is right, nobody standing is wrong."""
    cells = shortened(plan("strongest", examples=8))
    made = knowing()
    for record in made.run(cells):
        if record.cell.perturbation:
            outcomes = made.store.read_outcomes(record)
            stands = outcomes["fooled_by"] == len(record.cell.perturbation.members) + 1
            assert (outcomes["is_correct"] == stands).all()
            assert record.passes.backward > 0


def test_the_table_counts_what_each_member_leaves(knowing, plan) -> None:
    """Rows fall from clean accuracy to the worst case; a column is a scored answer."""
    made = knowing()
    cells = shortened(plan("strongest", examples=8)) + shortened(plan("strongest", examples=8, model="plain"))
    records = made.run(cells)
    (table,) = tables_of(records, made.store)
    rows = {row.label: row.values for row in table.rows}
    assert all(verdict.text.endswith(" fail") for verdict in rows.pop("verdict"))

    names = [name for record in records for name in member_names(record.cell)]
    assert set(rows) == {"clean", "worst case", *names}
    assert next(iter(rows)) == "clean"
    assert list(rows)[-1] == "worst case"
    for column, _ in enumerate(table.columns):
        shares = [values[column].share for values in rows.values() if values[column] is not None]
        assert shares == sorted(shares, reverse=True)
    clean = {r.cell.readout: r.correct for r in records if not r.cell.perturbation and r.cell.iterations}
    assert [value.correct for value in rows["clean"][1:]] == [clean["last"], clean["avg"]]


def test_transfer_crosses_sources_and_answers(runner, plan) -> None:
    """Images made on each network are shown to each, itself included."""
    made = runner()
    cells = plan("transfer", examples=4) + plan("transfer", examples=4, model="plain")
    (table,) = tables_of(made.run(cells), made.store)
    shown = [[value is not None for value in row.values] for row in table.rows]

    assert [column.heading for column in table.columns] == ["clean", "from feedback", "from plain"]
    # The plan of the plain network knows no source but itself.
    assert shown == [[True, False, True], [True, True, True], [True, True, True]]


def test_members_of_the_averaged_answer_aim_at_the_average() -> None:
    """No member differentiates the last logits where the mean is scored."""
    targets = {member["target"] for member in _members("e2e_avg")}

    assert targets == {"first", "e2e_avg", "e2e_sum", "e2e_avg_bpda"}


def test_an_unknown_start_is_an_error(knowing, plan) -> None:
    """A misspelt word is no other attack."""
    (cell, *_) = [cell for cell in shortened(plan("strongest", examples=4)) if cell.perturbation]
    done = cell.perturbation
    settings = {k: "strngest" if k.endswith(".start") else v for k, v in done.settings.items()}
    cell = cell.model_copy(update={"perturbation": done.model_copy(update={"settings": settings})})
    (record,) = knowing().run([cell])

    assert "from the strongest image, not from 'strngest'" in record.error
