"""Tables as data, and their renderers. Renderers return text and never print."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

from reports.metrics import Accuracy, MeanAccuracy, lowest
from reports.terminal import grids
from reports.values import Value, fields, texts

if TYPE_CHECKING:
    from rich.console import Group

DASH = "-"
MISSING = "a dash: no such cell was measured, or it failed"
CSV_FIELDS = ("unit", "value", "low", "high", "correct", "n")


@dataclass(frozen=True)
class Column:
    """One column of values."""

    heading: str
    is_attack: bool = True
    """Whether its values take part in the search for the weakest of a row."""
    group: str = ""
    """What stands above it and its neighbours of the same group, where headers have two lines."""
    under: str = ""
    """What is left to say under the group; the heading without one."""


@dataclass(frozen=True)
class Row:
    """One line of a table; None where there is no record."""

    label: str
    values: tuple[Value | None, ...]


@dataclass(frozen=True)
class Table:
    """Values by row and column, with what a reader must know beside them."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()
    provenance: tuple[str, ...] = ()

    def weakest(self, row: Row) -> Accuracy | MeanAccuracy | None:
        """Return the lowest accuracy among the attacks of a row that ran on most examples."""
        attacked: list[Accuracy | MeanAccuracy] = [
            value
            for value, column in zip(row.values, self.columns, strict=True)
            if column.is_attack and isinstance(value, Accuracy | MeanAccuracy)
        ]
        return lowest(attacked)

    @property
    def footnotes(self) -> tuple[str, ...]:
        """What a dash means, the notes and the provenance."""
        has_dash = any(value is None for row in self.rows for value in row.values)
        return (*((MISSING,) if has_dash else ()), *self.notes, *self.provenance)


def to_markdown(table: Table) -> str:
    """Return GitHub Markdown: a heading, the table, its notes and its provenance."""
    from tabulate import tabulate

    body = tabulate(
        _cells(table, escape_markdown, _markdown_value),
        ["", *(escape_markdown(column.heading) for column in table.columns)],
        tablefmt="github",
        disable_numparse=True,
    )
    notes = "".join(f"- {escape_markdown(note)}\n" for note in table.footnotes)
    return f"### {escape_markdown(table.title)}\n\n{body}\n\n{notes}"


def to_latex(table: Table) -> str:
    """Return a LaTeX table environment; it needs the package booktabs and nothing else."""
    header = [
        *_latex_groups(table.columns),
        ["", *(_latex_escape(c.under or c.heading) for c in table.columns)],
    ]
    lines = [
        r"\begin{table}",
        r"\centering\scriptsize\setlength{\tabcolsep}{3pt}",
        rf"\begin{{tabular}}{{l{'c' * len(table.columns)}}}",
        r"\toprule",
        *(line if isinstance(line, str) else _latex_line(line) for line in header),
        r"\midrule",
        *map(_latex_line, _cells(table, _latex_escape, _latex_value)),
        r"\bottomrule",
        r"\end{tabular}",
        rf"\caption{{{_latex_escape(table.title)}. {'; '.join(map(_latex_escape, table.footnotes))}.}}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def to_csv(table: Table) -> str:
    """Return one line per value with its unit, interval, counts and provenance; what is missing has none."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["table", "row", "column", *CSV_FIELDS, "provenance"])
    made_with = "; ".join(table.provenance)
    for row in table.rows:
        for column, value in zip(table.columns, row.values, strict=True):
            if value is not None:
                found = fields(value)
                shown = map(found.get, CSV_FIELDS)
                writer.writerow([table.title, row.label, column.heading, *shown, made_with])
    return text.getvalue()


def as_data(table: Table) -> dict[str, Any]:
    """Return a table as what JSON can hold; what is missing is None."""
    return {
        "title": table.title,
        "columns": [column.heading for column in table.columns],
        "rows": [
            {"label": row.label, "values": [value and fields(value) for value in row.values]}
            for row in table.rows
        ],
        "notes": list(table.footnotes),
    }


def to_json(table: Table) -> str:
    """Return a table as a JSON object."""
    return json.dumps(as_data(table), indent=1, allow_nan=False, ensure_ascii=False) + "\n"


def to_terminal(table: Table, width: int) -> Group:
    """Return a table for so many letters a line, with intervals under the values and notes below it."""
    from rich.console import Group
    from rich.markup import escape
    from rich.text import Text

    headings = ["", *(escape(column.heading) for column in table.columns)]
    lines = _cells(table, escape, _terminal_value)
    parts = grids(headings, lines, width, title=escape(table.title), is_ruled=True)
    return Group(*parts, *(Text(f"- {note}", style="dim") for note in table.footnotes))


RENDERERS: dict[str, Callable[[Table], str]] = {
    "markdown": to_markdown,
    "latex": to_latex,
    "csv": to_csv,
    "json": to_json,
}
SUFFIXES = {"markdown": "md", "latex": "tex", "csv": "csv", "json": "json"}


def render(tables: Sequence[Table], style: str) -> str:
    """Return all tables in one text; CSV has one heading line, JSON is one list."""
    if style == "json":
        return json.dumps([as_data(t) for t in tables], indent=1, allow_nan=False, ensure_ascii=False) + "\n"
    parts = [RENDERERS[style](table) for table in tables]
    if style == "csv":
        parts = parts[:1] + [part.split("\n", 1)[1] for part in parts[1:]]
        return "".join(parts)
    return "\n".join(parts)


def _cells(table: Table, escape: Callable[[str], str], show: Callable[[Value, bool], str]) -> list[list[str]]:
    """Return the texts of a table; `show` takes a value and whether it is the weakest of its row."""
    lines = []
    for row in table.rows:
        weakest = table.weakest(row)
        shown = [
            DASH if value is None else show(value, column.is_attack and _is_as_low(value, weakest))
            for value, column in zip(row.values, table.columns, strict=True)
        ]
        lines.append([escape(row.label), *shown])
    return lines


def _is_as_low(value: Value, weakest: Accuracy | MeanAccuracy | None) -> bool:
    """Whether a value is the weakest or ties with it, in doubt or not."""
    if weakest is None or not isinstance(value, Accuracy | MeanAccuracy):
        return False
    return (value.share, value.n) == (weakest.share, weakest.n)


def _latex_groups(columns: Sequence[Column]) -> list[str]:
    """Return the upper header line and the rules under its groups; nothing if no column is in a group."""
    if not any(column.group for column in columns):
        return []
    spans, rules, position = [""], [], 2
    for group, members in groupby(columns, key=lambda column: column.group):
        width = len(list(members))
        if group:
            spans.append(rf"\multicolumn{{{width}}}{{c}}{{{_latex_escape(group)}}}")
            rules.append(rf"\cmidrule(lr){{{position}-{position + width - 1}}}")
        else:
            spans += [""] * width
        position += width
    return [_latex_line(spans), " ".join(rules)]


def _latex_line(texts: Sequence[str]) -> str:
    return rf"{' & '.join(texts)} \\"


def _markdown_value(value: Value, is_weakest: bool) -> str:
    shown = texts(value)
    number = escape_markdown(shown.number)
    return " ".join((f"**{number}**" if is_weakest else number, *shown.details))


def _latex_value(value: Value, is_weakest: bool) -> str:
    shown = texts(value)
    number = _latex_text(shown.number)
    number = rf"\textbf{{{number}}}" if is_weakest else number
    details = "".join(rf"\\{{\tiny {_latex_text(detail)}}}" for detail in shown.details)
    return rf"\shortstack{{{number}{details}}}" if details else number


def _terminal_value(value: Value, is_weakest: bool) -> str:
    from rich.markup import escape

    shown = texts(value)
    details = escape("\n".join(shown.details))
    return f"{f'[bold]{shown.number}[/]' if is_weakest else shown.number}\n[dim]{details}[/]"


def escape_markdown(text: str) -> str:
    """Return `text` such that GitHub shows it as it stands."""
    # Only what would be markup: an underscore inside a word and brackets without a link are none.
    return re.sub(r"([\\`*|<>]|(?<!\w)_|_(?!\w)|(?<=\])\()", r"\\\1", text)


def _latex_escape(text: str) -> str:
    """Return `text` as it stands, wherever it does."""
    # At the start of a line a bracket would be an option of the line break before it.
    return _latex_text(text).replace("[", "{[}")


def _latex_text(text: str) -> str:
    """Return `text` as it stands inside a line."""
    special = {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
    }
    return "".join(special.get(c, f"\\{c}" if c in "&%$#_{}" else c) for c in text)
