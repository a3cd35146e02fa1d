"""All tables and figures of an archive as files, and whether files are what the records give."""

from __future__ import annotations

from pathlib import Path

from reports.archive import Archive
from reports.catalogue import FIGURES, TABLES, made
from reports.drawing import draw
from reports.figures import Figure, to_json
from reports.files import replace_bytes
from reports.tables import RENDERERS, SUFFIXES, Table, render

INDEX = "index.md"
PICTURES = ("pdf", "svg", "png")


def texts_of(archive: Archive) -> dict[str, str]:
    """Return the tables in all formats, the data of the figures, and an index: path -> text.

    Raises:
        RecordError: If outcomes are missing or damaged.
    """
    return _texts(all_tables(archive), all_figures(archive))


def _texts(tables: dict[str, list[Table]], figures: dict[str, Figure]) -> dict[str, str]:
    texts = {
        f"tables/{name}.{SUFFIXES[style]}": render(found, style)
        for name, found in tables.items()
        for style in RENDERERS
    }
    texts |= {f"figures/{name}.json": to_json(figure) for name, figure in figures.items()}
    return texts | {INDEX: _index(tables, figures)}


def all_tables(archive: Archive) -> dict[str, list[Table]]:
    """Return every table by the name of its file."""
    return {stem: shown for name in TABLES for stem, shown in made(TABLES, name, archive)}


def all_figures(archive: Archive) -> dict[str, Figure]:
    """Return every figure by the name of its file."""
    return {stem: figure for name in FIGURES for stem, figure in figures_named(archive, name).items()}


def figures_named(archive: Archive, name: str) -> dict[str, Figure]:
    """Return the figures of a name in `reports.catalogue.FIGURES` by the name of their file."""
    return {
        stem if len(shown) == 1 else f"{stem}_{k}": figure
        for stem, shown in made(FIGURES, name, archive)
        for k, figure in enumerate(shown, 1)
    }


def write(archive: Archive, folder: Path) -> list[Path]:
    """Write every table and figure into a folder and return the files.

    The same records give the same bytes with the same version of matplotlib; texts with any.

    Raises:
        RecordError: If outcomes are missing or damaged.
        OSError: If the folder cannot be written.
    """
    figures = all_figures(archive)
    contents = {path: text.encode() for path, text in _texts(all_tables(archive), figures).items()}
    for name, figure in figures.items():
        contents |= {f"figures/{name}.{style}": picture for style, picture in draw(figure).items()}
    for path, content in contents.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        replace_bytes(folder / path, content)
    return [folder / path for path in contents]


def differences(archive: Archive, folder: Path) -> list[str]:
    """Return a line for every file in a folder that is not what the records give.

    Pictures are compared by the data beside them, for their bytes depend on matplotlib's version.

    Raises:
        RecordError: If outcomes are missing or damaged.
    """
    wanted = texts_of(archive)
    pictures = {
        path.removesuffix("json") + style
        for path in wanted
        if path.startswith("figures/")
        for style in PICTURES
    }
    lines = []
    for path, text in sorted(wanted.items()):
        file = folder / path
        if not file.is_file():
            lines.append(f"{path}: missing")
        elif file.read_bytes() != text.encode():
            lines.append(f"{path}: differs from the records")
    lines += [f"{path}: missing" for path in sorted(pictures) if not (folder / path).is_file()]
    known = wanted.keys() | pictures
    for room in ("tables", "figures"):
        found = sorted(path.relative_to(folder).as_posix() for path in (folder / room).glob("*"))
        lines += [f"{path}: no record gives it" for path in found if path not in known]
    return lines


def _index(tables: dict[str, list[Table]], figures: dict[str, Figure]) -> str:
    lines = ["# Tables and figures", "", "Made by `bench report RESULTS --all`; do not edit.", ""]
    for name, shown in tables.items():
        formats = ", ".join(f"[{suffix}](tables/{name}.{suffix})" for suffix in SUFFIXES.values())
        lines.append(f"- {'; '.join(table.title for table in shown)}: {formats}")
    for name, figure in figures.items():
        formats = ", ".join(f"[{style}](figures/{name}.{style})" for style in (*PICTURES, "json"))
        lines += ["", f"## {figure.title}", "", f"![{figure.title}](figures/{name}.png)", "", formats, ""]
        lines += [f"- {note}" for note in (*figure.notes, *figure.provenance)]
    return "\n".join(lines) + "\n"
