"""Runs that are killed in the middle of a group of cells."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from bench import provenance, unfinished
from bench.models import Candidate
from bench.runner import Runner
from bench.suites import Scored
from reports.cell import Cell
from reports.records import Record


class Patient:
    """Answers by the brightness of images until it has seen enough of them."""

    def __init__(self) -> None:
        self.seen: list[int] = []
        self.endures = 1000
        self.end: BaseException = KeyboardInterrupt()

    def unroll(self, images: torch.Tensor, iterations: int) -> torch.Tensor:
        if sum(self.seen) + len(images) > self.endures:
            raise self.end
        self.seen.append(len(images))
        answer = (images.mean((1, 2, 3)) * 100).long() % 10
        return torch.nn.functional.one_hot(answer, 10).float().expand(iterations + 1, -1, -1)


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Patient:
    """A model, where what is unfinished is kept after every batch, by code without local changes."""
    monkeypatch.setattr(unfinished, "EVERY", 0.0)
    monkeypatch.setattr(provenance, "marks", lambda made_with: {"is_dirty": False, "device": "cpu"})
    return Patient()


@pytest.fixture
def made(runner: Callable[..., Runner], model: Patient) -> Callable[..., Runner]:
    """Return a function that makes a runner which shows the model five images at once."""

    def with_model(folder: str = "results") -> Runner:
        known = Candidate(Scored("m", "m", 2), "m", "fashion_mnist", "made", lambda: model)
        return runner(folder, batch_size=5, m=known)

    return with_model


@pytest.fixture
def cells(plan: Callable[..., list[Cell]]) -> list[Cell]:
    """Two answers to the same 23 images."""
    return [c.model_copy(update={"model": "m", "weights": "m"}) for c in plan("clean", examples=23)]


def facts(runner: Runner, records: list[Record]) -> list[object]:
    """What two runs must agree on."""
    return [
        (record.key, record.n, record.correct, record.passes, runner.store.read_outcomes(record).to_dict())
        for record in records
    ]


def test_a_killed_run_goes_on_where_it_was(made, model: Patient, cells, tmp_path: Path) -> None:
    """Kept batches are not shown again; records, passes and picture are those of a run in one piece."""
    whole = made("whole")
    expected = facts(whole, whole.run(cells))
    picture = whole.store.read_example(whole.store.read()[0])
    model.seen, model.endures = [], 14
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            made().run(cells)
    assert model.seen == [5, 5]
    assert made().store.read() == []

    model.seen, model.endures = [], 1000
    runner = made()
    records = runner.run(cells)
    assert model.seen == [5, 5, 3]
    assert facts(runner, records) == expected
    assert runner.store.read_example(records[0]) == picture
    assert not (tmp_path / "results/unfinished").exists()


def test_some_cells_of_a_group_go_on(made, model: Patient, cells) -> None:
    """A run for one of the answers uses what was kept for both."""
    model.endures = 14
    with pytest.raises(KeyboardInterrupt):
        made().run(cells)
    model.seen, model.endures = [], 1000
    (record,) = made().run(cells[1:])

    assert model.seen == [5, 5, 3]
    assert record.n == 23


def test_a_group_that_fails_begins_anew_when_it_is_mended(
    made, model: Patient, cells, tmp_path: Path
) -> None:
    """Its first examples would be from before the mending."""
    model.endures, model.end = 14, ValueError("mend me")
    assert {record.error for record in made().run(cells)} == {"ValueError: mend me"}
    assert not (tmp_path / "results/unfinished").exists()
    model.seen, model.endures = [], 1000
    records = made().run(cells)

    assert model.seen == [5, 5, 5, 5, 3]
    assert {record.status for record in records} == {"ok"}


@pytest.mark.parametrize("end", [OSError("no space left"), RuntimeError("CUDA out of memory")])
def test_what_the_machine_does_costs_nothing_that_is_kept(
    end: Exception, made, model: Patient, cells
) -> None:
    """A disk that was full for a moment, or a neighbour who took the memory, is nobody's code to mend."""
    model.endures, model.end = 14, end
    assert {record.status for record in made().run(cells)} == {"error"}
    model.seen, model.endures = [], 1000
    records = made().run(cells)

    assert sum(model.seen) <= 23 - 10
    assert {(record.status, record.n) for record in records} == {("ok", 23)}


def test_one_model_that_fails_spoils_nothing_of_another(
    runner, model: Patient, cells, tmp_path: Path
) -> None:
    """Alone again, the good one begins anew: its work and time are its own."""
    bad = Patient()
    bad.endures, bad.end = 14, ValueError("mend me")
    known = {
        name: Candidate(Scored(name, name, 2), name, "fashion_mnist", "made", lambda made=made: made)
        for name, made in (("m", model), ("bad", bad))
    }
    others = [cell.model_copy(update={"model": "bad", "weights": "bad"}) for cell in cells]
    found = runner(batch_size=5, **known).run([*cells, *others])

    assert [record.status for record in found] == ["ok", "ok", "error", "error"]
    assert found[0].passes.forward == 3 * 23
    assert not (tmp_path / "results/unfinished").exists()


@pytest.mark.parametrize(
    ("marks", "told"),
    [
        ({"is_dirty": False, "device": "an abacus"}, r"device \(cpu, now an abacus\)"),
        ({"is_dirty": True, "device": "cpu"}, "code, which has changes that are not committed"),
    ],
)
def test_what_others_made_is_not_gone_on_with(
    made, model: Patient, cells, monkeypatch: pytest.MonkeyPatch, marks: dict[str, object], told: str
) -> None:
    """A record has one provenance, and the line says what differs."""
    model.endures = 14
    with pytest.raises(KeyboardInterrupt):
        made().run(cells)
    model.seen, model.endures = [], 1000
    monkeypatch.setattr(provenance, "marks", lambda made_with: marks)
    with pytest.warns(UserWarning, match=f"made with other {told}: begun anew"):
        made().run(cells)

    assert model.seen == [5, 5, 5, 5, 3]


def test_what_killed_runs_left_of_finished_groups_is_removed(made, model, cells, tmp_path: Path) -> None:
    """A kill between the last record and the removal leaves a file, one while it is written half a file."""
    model.endures = 14
    with pytest.raises(KeyboardInterrupt):
        made().run(cells)
    (left,) = (tmp_path / "results/unfinished").iterdir()
    content = left.read_bytes()
    model.endures = 1000
    made().run(cells)
    left.parent.mkdir()
    left.write_bytes(content)
    (left.parent / f".{left.name}.77.tmp").write_bytes(b"half")
    made().run([])

    assert not left.parent.exists()


def test_a_folder_that_cannot_be_written_costs_a_warning(made, model, cells, tmp_path: Path) -> None:
    """The run itself goes on."""
    (tmp_path / "results").mkdir()
    (tmp_path / "results/unfinished").write_text("in the way")
    with pytest.warns(UserWarning, match="cannot be written"):
        records = made().run(cells)

    assert {record.status for record in records} == {"ok"}


def test_all_pictures_are_drawn_before_anything_is_kept(made, model: Patient, cells) -> None:
    """A part without some of its first images would never show them."""
    model.endures = 7
    with pytest.raises(KeyboardInterrupt):
        made().run(cells)
    model.seen, model.endures = [], 1000
    made().run(cells)

    assert model.seen == [5, 5, 5, 5, 3]


@pytest.mark.parametrize("damage", [b"", b"not a zip", None])
def test_damaged_parts_begin_anew(made, model: Patient, cells, tmp_path: Path, damage: bytes | None) -> None:
    """One line says so, and no number is lost."""
    model.endures = 14
    with pytest.raises(KeyboardInterrupt):
        made().run(cells)
    (path,) = (tmp_path / "results/unfinished").iterdir()
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2] if damage is None else damage)
    model.seen, model.endures = [], 1000
    with pytest.warns(UserWarning, match=r"unfinished.*zip is damaged, its cells begin anew"):
        records = made().run(cells)

    assert model.seen == [5, 5, 5, 5, 3]
    assert {record.n for record in records} == {23}


def test_short_groups_leave_nothing(runner, plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes less than a minute is never kept."""
    written: list[object] = []
    monkeypatch.setattr(unfinished.Unfinished, "write", lambda *arguments: written.append(arguments))
    runner(batch_size=2).run(plan("clean"))

    assert written == []
