from __future__ import annotations

from pathlib import Path

import pytest

from reports.archive import Archive
from reports.records import RecordError, Store

from .conftest import PROVENANCE, outcomes

EARLY, LATE = (
    PROVENANCE.model_copy(update={"finished_at": f"2026-0{month}-01T00:00:00+00:00"}) for month in (1, 2)
)


def test_the_latest_record_of_a_cell_counts(record, tmp_path: Path) -> None:
    """In whatever order the folders are named, with the outcomes that belong to it, and it is said."""
    for name, correct, made in (("a", 2, LATE), ("b", 1, EARLY)):
        hits = [True] * correct + [False] * (2 - correct)
        Store(tmp_path / name).append(record(None, correct, 2, provenance=made), outcomes(hits))
    for order in (["a", "b"], ["b", "a"]):
        archive = Archive.of(tmp_path / name for name in order)
        (found,) = archive.records

        assert found.correct == 2
        assert archive.read_outcomes(found)["is_correct"].sum() == 2
        assert archive.repeated == 1


def test_a_failure_never_hides_a_number(record, tmp_path: Path) -> None:
    """A later error of the same cell is less than an earlier answer."""
    failed = record(None, 0, 2, provenance=LATE, status="error", error="no")
    Store(tmp_path / "a").append(record(None, 1, 2, provenance=EARLY), outcomes([True, False]))
    Store(tmp_path / "b").append(failed)

    assert [r.status for r in Archive.of([tmp_path / "a", tmp_path / "b"]).records] == ["ok"]
    assert [r.status for r in Archive.of([tmp_path / "b", tmp_path / "a"]).records] == ["ok"]


def test_a_folder_named_twice_is_read_once(record, tmp_path: Path) -> None:
    """It repeats nothing."""
    Store(tmp_path).append(record(None, 1, 2), outcomes([True, False]))

    assert Archive.of([tmp_path, tmp_path]).repeated == 0


def test_the_order_of_records_is_not_that_of_their_making(record, tmp_path: Path) -> None:
    """Two runs of the same cells in another order give the same files."""
    cells = [record(None, 1, 2, readout=readout, iterations=k) for readout in ("avg", "last") for k in (2, 1)]
    for name, order in (("a", cells), ("b", cells[::-1])):
        for cell in order:
            Store(tmp_path / name).append(cell, outcomes([True, False]))

    assert Archive.of([tmp_path / "a"]).records == Archive.of([tmp_path / "b"]).records


def test_outcomes_are_read_once(stored, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second request is answered from memory, and what one caller adds to a table is in nobody else's."""
    archive = stored(([True, False], {}))
    (found,) = archive.records
    first = archive.read_outcomes(found)
    first["added"] = 1
    monkeypatch.setattr(Store, "read_outcomes", None)
    again = archive.read_outcomes(found)

    assert again["is_correct"].tolist() == [True, False]
    assert "added" not in again


def test_memory_has_an_end(stored, monkeypatch: pytest.MonkeyPatch) -> None:
    """What finds no room is read again, whatever is kept."""
    archive = stored(([True], {"readout": "last"}), ([False], {"readout": "avg"}))
    one, other = archive.records
    monkeypatch.setattr("reports.archive.MEMORY", int(archive.read_outcomes(one).memory_usage().sum()))
    hits = [archive.read_outcomes(record)["is_correct"].tolist() for record in (one, other, other)]
    monkeypatch.setattr(Store, "read_outcomes", None)

    assert hits[1] == hits[2] != hits[0]
    assert archive.read_outcomes(one)["is_correct"].tolist() == hits[0]
    with pytest.raises(TypeError):
        archive.read_outcomes(other)


def test_what_is_missing_is_said(record, tmp_path: Path) -> None:
    """An empty folder, and outcomes that lie nowhere."""
    with pytest.raises(RecordError, match="no records in"):
        Archive.of([tmp_path / "none"])
    with pytest.raises(RecordError, match="outcomes of CNN-F are in no folder"):
        Archive(()).read_outcomes(record(None, 1, 2))
