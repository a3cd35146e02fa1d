from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.gate.baseline import (
    Baseline,
    BaselineCell,
    BaselineError,
    MadeWith,
    make,
    read,
    write,
)
from reports.records import RecordError, Store

from ..conftest import made_cell
from .conftest import predictions


def baseline_of(store: Store) -> Baseline:
    return make(store.read(), store)


def resigned(text: str, **changes: object) -> str:
    """Return a file with other content and the hash of that content, as a newer or a broken writer would."""
    content = json.loads(text) | changes
    del content["sha256"]
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return json.dumps(content | {"sha256": hashlib.sha256(canonical.encode()).hexdigest()})


@pytest.fixture
def text(answered) -> str:
    """Return the file of a run of two cells."""
    return write(baseline_of(answered("run", {None: predictions(5), "pgd-7 first": predictions(5, [1, 3])})))


def test_a_file_holds_what_was_answered(answered, tmp_path: Path) -> None:
    """Cells, answers, labels and versions of the run, and nothing is lost on the way through the file."""
    store = answered("run", {None: [0, 1, 2, -1], "pgd-7 e2e": [3, 1, 0, 2]}, labels=[0, 1, 1, 2])
    made = baseline_of(store)
    (tmp_path / "b.json").write_text(write(made))
    found = read(tmp_path / "b.json")

    assert found == made
    assert [known.cell for known in found.cells] == [r.cell for r in store.read()]
    assert [known.predictions for known in found.cells] == [(0, 1, 2, -1), (3, 1, 0, 2)]
    assert found.labels == {"d" * 64: (0, 1, 1, 2)}
    assert found.made_with == (MadeWith(versions={"torch": "2.6.0"}, device="cpu", dtype="float32"),)


@given(st.lists(st.integers(-1, 999), min_size=1, max_size=30))
def test_any_answers_survive_the_file(tmp_path_factory, answers) -> None:
    """Of a thousand classes as of ten, answers that are no numbers among them."""
    cell = made_cell(examples=len(answers))
    known = BaselineCell(cell=cell, predictions=tuple(answers))
    made = Baseline(made_with=(), labels={cell.data: (0,) * len(answers)}, cells=(known,))
    path = tmp_path_factory.mktemp("baseline") / "b.json"
    path.write_text(write(made))

    assert read(path) == made


def test_a_changed_cell_is_a_changed_line(answered) -> None:
    """What git shows of a new baseline: the line of the cell, and that of the hash."""
    before, after = (
        write(baseline_of(answered(name, {None: predictions(9), "pgd-7 first": predictions(9, wrong)})))
        for name, wrong in (("a", [1]), ("b", [1, 2]))
    )
    changed = [new for old, new in zip(before.splitlines(), after.splitlines(), strict=True) if old != new]

    assert [line[:9] for line in changed] == ['"sha256":', '{"cell":{']


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda text: text[:-30], "is not a baseline, or was cut off"),
        (lambda text: "", "is not a baseline, or was cut off"),
        (lambda text: "[]", "is not a baseline: it names no schema"),
        (lambda text: '{"schema":"1"}', "is not a baseline: it names no schema"),
        (lambda text: text.replace("[0,1,0,1,0]", "[0,1,0,0,0]"), "is damaged or was edited"),
        (
            lambda text: text.replace('"schema":2', '"schema":3'),
            "has schema 3, this version knows 2: upgrade",
        ),
        (
            lambda text: text.replace('"schema":2', '"schema":1'),
            "has schema 1, this version knows 2: it lacks the models' settings, so make it anew",
        ),
        (lambda text: resigned(text, cells=[]), "is not a baseline: cells Tuple should have at least 1"),
        (lambda text: resigned(text, labels={"d" * 64: [0]}), "has other numbers of labels and answers"),
        (lambda text: resigned(text, labels={}), "has other numbers of labels and answers"),
        (lambda text: resigned(text, more=1), "is not a baseline: more Extra inputs are not permitted"),
    ],
)
def test_what_is_no_baseline_is_said_in_one_line(text, spoil, message, tmp_path: Path) -> None:
    """Cut off, edited by hand, of another version, or inconsistent."""
    path = tmp_path / "b.json"
    path.write_text(spoil(text))
    with pytest.raises(BaselineError, match=r"b\.json") as caught:
        read(path)

    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    """With its name."""
    with pytest.raises(BaselineError, match=r"cannot read .*nowhere\.json: No such file"):
        read(tmp_path / "nowhere.json")


def test_a_binary_file_is_said(tmp_path: Path) -> None:
    """A parquet file or a picture, for instance."""
    (tmp_path / "b.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BaselineError, match="is not a baseline, or was cut off"):
        read(tmp_path / "b.json")


def test_a_failed_cell_makes_no_baseline(answered, record) -> None:
    """A baseline without it would let the cell go unchecked ever after."""
    store = answered("run", {None: predictions(4)})
    store.append(record("pgd-7 first", 0, 4, status="error", error="RuntimeError: no memory"))

    with pytest.raises(BaselineError, match="cells that failed: 1, the first with RuntimeError: no memory"):
        baseline_of(store)


@pytest.mark.parametrize("other", [{"weights": "b" * 64}, {"data": "e" * 64}])
def test_two_versions_of_a_cell_make_no_baseline(answered, other) -> None:
    """Nobody could say which of them a later run should be held against."""
    answered("run", {"pgd-7 first": predictions(4)})
    store = answered("run", {"pgd-7 first": predictions(4, [1])}, **other)

    with pytest.raises(BaselineError, match=r"hold 2 versions of cnnf_cifar \(last\): pgd-7 first, of other"):
        baseline_of(store)


def test_labels_that_contradict_their_hash_make_no_baseline(answered) -> None:
    """Two cells of one dataset cannot have different labels."""
    answered("run", {None: [0, 0, 0]})
    store = answered("run", {"pgd-7 first": [0, 0, 0]}, labels=[0, 1, 0])

    with pytest.raises(BaselineError, match="labels of cifar10 differ between cells of one dataset hash"):
        baseline_of(store)


def test_lost_outcomes_make_no_baseline(answered) -> None:
    """A record without its outcomes cannot be paired."""
    store = answered("run", {None: predictions(3)})
    next((store.folder / "outcomes").iterdir()).unlink()

    with pytest.raises(RecordError, match="is missing"):
        baseline_of(store)
