"""Tables as data, and their renderers. Renderers return text and never print."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reports.metrics import Accuracy, MeanAccuracy

if TYPE_CHECKING:
    from rich.table import Table as RichTable

DASH = "-"


Value = Accuracy | MeanAccuracy


@dataclass(frozen=True)
class Column:
    """One column of accuracies."""

    heading: str
    is_attack: bool = True
    """Whether its values take part in the search for the weakest of a row."""


@dataclass(frozen=True)
class Row:
    """One line of a table; None where there is no record."""

    label: str
    values: tuple[Value | None, ...]


@dataclass(frozen=True)
class Table:
    """Accuracies by row and column, with what a reader must know beside them."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()
    provenance: tuple[str, ...] = ()

    def weakest(self, row: Row) -> Value | None:
        """Return the lowest accuracy among the attacks of a row."""
        attacked = [v for v, c in zip(row.values, self.columns, strict=True) if v and c.is_attack]
        return min(attacked, key=lambda value: value.share, default=None)


def to_markdown(table: Table) -> str:
    """Return GitHub Markdown: a heading, the table, its notes and its provenance."""
    from tabulate import tabulate

    body = tabulate(
        _cells(table, escape_markdown, _markdown_value),
        ["", *(escape_markdown(column.heading) for column in table.columns)],
        tablefmt="github",
        disable_numparse=True,
    )
    notes = "".join(f"- {escape_markdown(note)}\n" for note in (*table.notes, *table.provenance))
    return f"### {escape_markdown(table.title)}\n\n{body}\n\n{notes}"


def to_latex(table: Table) -> str:
    """Return a LaTeX table environment; it needs the package booktabs."""
    import pandas as pd

    headings = ["", *(_latex_escape(column.heading) for column in table.columns)]
    frame = pd.DataFrame(_cells(table, _latex_escape, _latex_value), columns=headings)
    tabular = frame.style.hide(axis="index").to_latex(
        hrules=True, column_format="l" + "c" * len(table.columns)
    )
    notes = "; ".join(_latex_escape(note) for note in (*table.notes, *table.provenance))
    caption = f"\\caption{{{_latex_escape(table.title)}. {notes}.}}"
    return f"\\begin{{table}}\n\\centering\\small\n{tabular}{caption}\n\\end{{table}}\n"


def to_csv(table: Table) -> str:
    """Return one line per value: table, row, column, accuracy and its interval in percent, correct, n."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["table", "row", "column", "accuracy", "low", "high", "correct", "n"])
    for row in table.rows:
        for column, value in zip(table.columns, row.values, strict=True):
            if value is not None:
                numbers = (f"{100 * number:.2f}" for number in (value.share, *value.interval))
                writer.writerow(
                    [table.title, row.label, column.heading, *numbers, f"{value.correct:g}", value.n]
                )
    return text.getvalue()


def to_terminal(table: Table) -> RichTable:
    """Return a rich table with intervals under the values and notes as its caption."""
    from rich.markup import escape
    from rich.table import Table as RichTable

    rich = RichTable(
        title=escape(table.title), caption=escape("\n".join(table.notes)), caption_justify="left"
    )
    rich.add_column("")
    for column in table.columns:
        rich.add_column(column.heading, justify="right")
    for line in _cells(table, escape, _terminal_value):
        rich.add_row(*line, end_section=True)
    return rich


RENDERERS: dict[str, Callable[[Table], str]] = {"markdown": to_markdown, "latex": to_latex, "csv": to_csv}


def render(tables: list[Table], style: str) -> str:
    """Return all tables in one text; CSV has one heading line."""
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
            DASH if value is None else show(value, column.is_attack and value == weakest)
            for value, column in zip(row.values, table.columns, strict=True)
        ]
        lines.append([escape(row.label), *shown])
    return lines


def _texts(value: Value) -> tuple[str, str, str]:
    """Return an accuracy in percent, its interval and its number of examples."""
    low, high = value.interval
    return f"{100 * value.share:.1f}", f"[{100 * low:.1f}, {100 * high:.1f}]", f"n={value.n}"


def _markdown_value(value: Value, is_weakest: bool) -> str:
    number, interval, n = _texts(value)
    return f"{f'**{number}**' if is_weakest else number} {interval} {n}"


def _latex_value(value: Value, is_weakest: bool) -> str:
    number, interval, n = _texts(value)
    number = rf"\textbf{{{number}}}" if is_weakest else number
    return rf"\shortstack{{{number}\\{{\tiny {interval}}}\\{{\tiny {n}}}}}"


def _terminal_value(value: Value, is_weakest: bool) -> str:
    from rich.markup import escape

    number, interval, n = _texts(value)
    return f"{f'[bold]{number}[/]' if is_weakest else number}\n[dim]{escape(interval)}\n{n}[/]"


def escape_markdown(text: str) -> str:
    """Return `text` such that GitHub shows it as it stands."""
    # Only what would be markup: an underscore inside a word and brackets without a link are none.
    return re.sub(r"([\\`*|<>]|(?<!\w)_|_(?!\w)|(?<=\])\()", r"\\\1", text)


def _latex_escape(text: str) -> str:
    special = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    return "".join(special.get(c, f"\\{c}" if c in "&%$#_{}" else c) for c in text)
