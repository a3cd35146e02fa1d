"""What `bench report` makes of results folders: records alone, never torch."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import zoo
from bench.errors import BenchError, UnknownName
from reports.archive import Archive, Claims
from reports.files import replace_bytes, replace_text
from reports.records import RecordError

if TYPE_CHECKING:
    from reports.catalogue import Kind
    from reports.figures import Figure
    from reports.tables import Table


def open_archive(folders: Sequence[Path]) -> Archive:
    """Return the records of folders, with what the authors of the zoo's models published.

    Raises:
        BenchError: If a folder has no records, or unreadable ones.
    """
    with mendable():
        partners = {name: entry.partner for name, entry in zoo.ENTRIES.items() if entry.partner}
        return Archive.of(folders, published(), partners)


def published() -> dict[str, Claims]:
    """Return what the authors of the zoo's models say they reach."""
    return {
        name: Claims(entry.citation, entry.published)
        for name, entry in zoo.ENTRIES.items()
        if entry.published
    }


def main_tables(archive: Archive) -> list[Table]:
    """Return the tables that are printed when none is named."""
    from reports.catalogue import tables_of

    with mendable():
        return tables_of(archive.records, archive)


def named_tables(archive: Archive, name: str) -> list[Table]:
    """Return all tables of a name in `reports.catalogue.TABLES`.

    Raises:
        BenchError: If there is no such table, or the records give none.
    """
    from reports.catalogue import TABLES, made

    if name not in TABLES:
        raise UnknownName("table", name, TABLES)
    with mendable():
        tables = [table for _, shown in made(TABLES, name, archive) for table in shown]
    if not tables:
        raise _nothing("table", name, TABLES[name], archive)
    return tables


def named_figures(archive: Archive, name: str) -> dict[str, Figure]:
    """Return all figures of a name in `reports.catalogue.FIGURES`, by the name of their file.

    Raises:
        BenchError: If there is no such figure, or the records give none.
    """
    from reports.catalogue import FIGURES
    from reports.writing import figures_named

    if name not in FIGURES:
        raise UnknownName("figure", name, FIGURES)
    with mendable():
        figures = figures_named(archive, name)
    if not figures:
        raise _nothing("figure", name, FIGURES[name], archive)
    return figures


def _nothing(what: str, name: str, kind: Kind[Any], archive: Archive) -> BenchError:
    """Return why records give no table or figure of a name."""
    from reports.subjects import failures

    found = [record for record in archive.records if record.cell.suite in kind.suites]
    if not found:
        return BenchError(f"no record for the {what} {name}; it shows {' and '.join(kind.suites)}")
    suites = ", ".join(dict.fromkeys(record.cell.suite for record in found))
    why = "; ".join([*([f"it needs {kind.needs}"] if kind.needs else []), *failures(found)])
    return BenchError(f"the records of {suites} give no {what} {name}" + (f"; {why}" if why else ""))


def write_figures(figures: dict[str, Figure], out: Path) -> list[Path]:
    """Write figures into a folder in every format, or the only one into a file by its suffix.

    Raises:
        BenchError: If `out` cannot be written, or is one file for several figures.
    """
    from reports.drawing import draw
    from reports.figures import to_json

    def files(figure: Figure) -> dict[str, bytes]:
        return {**draw(figure), "json": to_json(figure).encode()}

    style = out.suffix.removeprefix(".")
    if not style:
        wanted = {
            out / f"{name}.{suffix}": content
            for name, figure in figures.items()
            for suffix, content in files(figure).items()
        }
    elif len(figures) > 1:
        raise BenchError(f"there are {len(figures)} figures: name a folder instead of {out}")
    else:
        made = files(next(iter(figures.values())))
        if style not in made:
            raise UnknownName("picture format", style, made)
        wanted = {out: made[style]}
    with mendable():
        for path, content in wanted.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            replace_bytes(path, content)
    return list(wanted)


def write_all(archive: Archive, folder: Path) -> list[Path]:
    """Write every table and figure into a folder, and return the files.

    Raises:
        BenchError: If the folder cannot be written, or outcomes are missing.
    """
    from reports.writing import write

    with mendable():
        return write(archive, folder)


def write_page(archive: Archive, file: Path) -> None:
    """Write the page of all records, with the cards of their weights.

    Raises:
        BenchError: If the file cannot be written, or outcomes are missing.
    """
    from reports.page import render_page

    with mendable():
        cards = cards_of({record.cell.weights for record in archive.records})
        replace_text(file, render_page(archive, cards))


def cards_of(weights: set[str]) -> dict[str, dict[str, Any]]:
    """Return the cards of shipped weights with these hashes, by model."""
    folder = Path(zoo.__file__).parent / "weights"
    known = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    return {card["model"]: card for card in known if card["sha256"] in weights}


@contextmanager
def mendable() -> Iterator[None]:
    """Turn what a user can mend into a BenchError."""
    try:
        yield
    except RecordError as error:
        raise BenchError(str(error)) from error
    except OSError as error:
        known = f"cannot write {error.filename}: {error.strerror}"
        raise BenchError(known if error.filename else f"cannot write: {error}") from error
