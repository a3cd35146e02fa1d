"""Runs on more images than an earlier one in the same folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bench import provenance
from bench.data import LabelledImages
from bench.progress import Advance, SilentProgress
from bench.runner import Runner
from reports.cell import Cell
from reports.records import Record

from .conftest import images

Plan = Callable[..., list[Cell]]


class Told(SilentProgress):
    """Remembers of each group the numbers of examples as they came, known ones first."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []

    @contextmanager
    def group(self, name: str, examples: int) -> Iterator[Advance]:
        self.groups.append([])
        yield self.groups[-1].append


@pytest.fixture(autouse=True)
def _revision(monkeypatch: pytest.MonkeyPatch) -> None:
    """All is made by one code without local changes."""
    monkeypatch.setattr(provenance, "_revision", lambda: ("abc", False))


@pytest.fixture
def cells(plan: Plan) -> Plan:
    """Return a function that plans the strict suite, or another, on the first images with their true hash."""

    def planned(examples: int, suite: str = "adversarial") -> list[Cell]:
        made = plan(suite, examples=examples, spsa_examples=2)
        return [cell.model_copy(update={"data": LabelledImages(*images(cell)).sha256}) for cell in made]

    return planned


def facts(runner: Runner, records: list[Record]) -> list[Any]:
    """What two runs must agree on."""
    return [
        (record.key, record.n, record.correct, record.passes, runner.store.read_outcomes(record).to_dict())
        for record in records
    ]


def told(runner: Runner, cells: list[Cell]) -> list[list[int]]:
    """Run cells and return what the run told of its groups."""
    runner.progress = progress = Told()
    assert {record.status for record in runner.run(cells)} == {"ok"}
    return progress.groups


def test_a_run_on_more_images_goes_on_after_the_first(runner, cells: Plan) -> None:
    """Attacks, draws, passes and pictures are those of a run that had them all from the start."""
    whole, grown = runner("whole"), runner("grown", batch_size=5)
    expected = facts(whole, whole.run(cells(19)))
    for count in (8, 11):
        runner("grown").run(cells(count))
    records = grown.run([cell for cell in cells(19) if cell.examples == 19])
    few = [record for record in grown.store.read() if record.cell.examples == 2]

    assert [*facts(grown, records), *facts(grown, few)] == expected
    assert grown.store.read_example(records[0]) == whole.store.read_example(records[0])


def test_only_the_others_are_shown(runner, cells: Plan) -> None:
    """The most that is known is taken."""
    for count in (8, 11):
        runner().run(cells(count, "clean"))

    assert told(runner(batch_size=5), cells(19, "clean")) == [[11, 5, 3]]
    assert told(runner(batch_size=5), cells(9, "clean")) == [[8, 1]]


def test_too_few_to_make_a_picture_of_are_shown_again(runner, cells: Plan) -> None:
    """The picture has the first eight images."""
    runner("whole").run(cells(19, "clean"))
    runner().run(cells(7, "clean"))
    assert told(runner(), cells(19, "clean")) == [[0, 19]]

    pictures = [runner(folder).store for folder in ("whole", "results")]
    whole, grown = (store.read_example(store.read()[-1]) for store in pictures)
    assert whole == grown


def test_fewer_images_are_evaluated_by_themselves(runner, cells: Plan) -> None:
    """Nothing tells which part of the work was theirs."""
    runner().run(cells(19, "clean"))

    assert told(runner(), cells(8, "clean")) == [[0, 8]]


def test_other_images_are_not_those_of_the_record(runner, cells: Plan) -> None:
    """The first of them must be the very same."""
    first = [cell.model_copy(update={"data": "others"}) for cell in cells(8, "clean")]
    runner().run(first)

    assert told(runner(), cells(19, "clean")) == [[0, 19]]


@pytest.mark.parametrize(
    ("name", "value"),
    [("_device_name", "an abacus"), ("_revision", ("def", False)), ("_revision", ("abc", True))],
)
def test_what_others_made_is_made_again(
    runner, cells: Plan, monkeypatch: pytest.MonkeyPatch, name: str, value: object
) -> None:
    """A record has one provenance."""
    runner().run(cells(8, "clean"))
    monkeypatch.setattr(provenance, name, lambda *_: value)

    assert told(runner(), cells(19, "clean")) == [[0, 19]]


def test_a_group_of_which_not_all_is_known_begins_anew(runner, cells: Plan) -> None:
    """One model's outcomes cannot go on without the other's: they share the attack."""
    runner().run(cells(8, "clean")[:1])

    assert told(runner(), cells(19, "clean")) == [[0, 19]]


def test_cells_that_were_run_one_by_one_begin_anew(
    runner, cells: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The work of the group would be counted twice; that all took the same time tells nothing."""
    monkeypatch.setattr("bench.runner.time.perf_counter", lambda: 0.0)
    for cell in cells(8, "clean"):
        runner().run([cell])

    assert told(runner(), cells(19, "clean")) == [[0, 19]]


def test_outcomes_that_are_gone_or_damaged_are_made_again(runner, cells: Plan, tmp_path: Path) -> None:
    """The latter with a line; what is older is taken then."""
    for count in (8, 11):
        runner().run(cells(count, "clean"))
    known = {record.n: record for record in runner().store.read()}
    (tmp_path / f"results/outcomes/{known[11].key}.parquet").write_bytes(b"damage")
    with pytest.warns(UserWarning, match="is damaged"):
        assert told(runner(), cells(19, "clean")) == [[8, 11]]
    (tmp_path / f"results/outcomes/{known[11].key}.parquet").unlink()

    assert told(runner(), cells(18, "clean")) == [[8, 10]]
