"""Grids that fit a terminal: columns without room stand below the others, so that no number is cut off."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

APART = "|  |"
"""What stands around the column of labels."""


def grids(
    headings: Sequence[str],
    lines: Sequence[Sequence[str]],
    width: int,
    title: str = "",
    styles: Sequence[str] = (),
    is_ruled: bool = False,
) -> list[Table]:
    """Return tables for so many letters a line, each with the labels of all lines and as many columns as fit.

    Args:
        headings: One a column, that of the labels first. All texts are rich's markup.
        lines: The label of each line, and its value in each column; a value is broken at its line ends only.
        width: Letters a line.
        title: What stands above each table.
        styles: Of each line; none for plain ones.
        is_ruled: Whether lines are kept apart by rules.
    """
    from rich.table import Table

    label_width, widths, shares = _layout(headings, lines, width)
    parts = []
    for places in shares:
        part = Table(title=title or None)
        part.add_column(headings[0], width=label_width, overflow="fold")
        for place in places:
            part.add_column(headings[place], justify="right", width=widths[place], overflow="fold")
        for line, style in zip(lines, styles or [""] * len(lines), strict=True):
            part.add_row(line[0], *(line[place] for place in places), end_section=is_ruled, style=style)
        parts.append(part)
    return parts


def _layout(
    headings: Sequence[str], lines: Sequence[Sequence[str]], width: int
) -> tuple[int, list[int], list[list[int]]]:
    """Return the width of the labels, that of each column, and which columns stand side by side.

    Headings and labels are broken between words where all columns have room side by side then.
    """
    labels = [headings[0], *(line[0] for line in lines)]
    longest = max(_widest(label, "\n") for label in labels)
    for apart in ("\n", None):
        widths = [
            max([_widest(heading, apart), *(_widest(line[place], "\n") for line in lines)])
            for place, heading in enumerate(headings)
        ]
        room = width - len(APART) - sum(map(_framed, widths[1:]))
        if room >= max(map(_widest, labels)):
            return min(longest, room), widths, [list(range(1, len(headings)))]
    label_width = min(longest, width // 2)
    return label_width, widths, _side_by_side(widths, width - label_width - len(APART))


def _framed(width: int) -> int:
    """Return what a column takes with the space beside it and one line."""
    return width + len("  |")


def _widest(markup: str, apart: str | None = None) -> int:
    """Return the width of the longest part, or of the longest word."""
    from rich.text import Text

    parts = Text.from_markup(markup).plain.split(apart)
    return max((Text(part).cell_len for part in parts), default=0)


def _side_by_side(widths: Sequence[int], room: int) -> list[list[int]]:
    """Return the places of the columns after the labels that fit in a line together, at least one each."""
    found: list[list[int]] = [[]]
    left = room
    for place, width in enumerate(widths[1:], 1):
        needed = _framed(width)
        if found[-1] and needed > left:
            found.append([])
            left = room
        found[-1].append(place)
        left -= needed
    return found
