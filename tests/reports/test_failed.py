"""Folders of which every cell, or every one that a table needs, has failed."""

from __future__ import annotations

from pathlib import Path

import pytest

from reports.archive import Archive
from reports.catalogue import TABLES, made, main_table, tables_of
from reports.records import Record, Store
from reports.subjects import provenance
from reports.values import Remark
from reports.writing import all_figures, texts_of

FAILED = {"status": "error", "error": "RuntimeError: out of memory"}
SUITES = sorted({suite for kind in TABLES.values() for suite in kind.suites})


def kept(record, folder: Path, suite: str, **probe: object) -> Record:
    """Store a clean and an attacked cell that failed, and return the latter."""
    failed = None
    for attack in (None, "pgd-7 e2e"):
        failed = record(attack, 0, suite=suite, largest_linf=None, **FAILED, **probe)
        Store(folder).append(failed)
    assert failed is not None
    return failed


@pytest.mark.parametrize("suite", SUITES)
def test_every_suite_says_that_all_has_failed(record, tmp_path: Path, suite: str) -> None:
    """Its main table and what `--all` writes have the error; no line of the provenance ends in nothing."""
    kept(record, tmp_path, suite)
    archive = Archive.of([tmp_path])
    tables = tables_of(archive.records, archive)
    notes = [note for table in tables for note in (*table.notes, *table.provenance)]

    assert any("out of memory" in note for note in notes)
    assert any(note.startswith("suite ") and "version 1, seed 0" in note for note in notes)
    assert not [note for note in notes if note.endswith(("= ", ": ", "with "))]
    assert any(path.endswith(".md") and "out of memory" in text for path, text in texts_of(archive).items())
    assert all_figures(archive) == {}


def test_only_the_main_table_counts_failed_cells(record, tmp_path: Path) -> None:
    """Once per suite, a row per answer: the other tables of the suite have nothing to show."""
    kept(record, tmp_path, "epsilons")
    archive = Archive.of([tmp_path])
    shown = [table for name in TABLES for _, tables in made(TABLES, name, archive) for table in tables]

    assert main_table("epsilons") == "epsilons"
    assert [(row.label, row.values) for table in shown for row in table.rows] == [
        ("CNN-F (last)", (Remark("2 of 2"),))
    ]


def test_attacks_that_all_failed_are_said_beside_clean_images(record, tmp_path: Path) -> None:
    """A curve over epsilons of clean images alone is none; what became of the rest is told."""
    kept(record, tmp_path, "epsilons")
    Store(tmp_path).append(record(None, 3, 4, suite="epsilons", seed=0, readout="avg"))
    archive = Archive.of([tmp_path])
    (table,) = tables_of(archive.records, archive)

    assert table.rows[0].values == (Remark("2 of 2"),)
    assert "n = 4" in table.provenance


def test_of_no_record_there_is_no_provenance() -> None:
    """Rather than lines without an end."""
    assert provenance([]) == []
