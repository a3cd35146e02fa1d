"""Commands that show what was measured."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench.errors import BenchError

if TYPE_CHECKING:
    from reports.archive import Archive


@click.command()
@click.argument("results", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--table", metavar="NAME", help="One table; see `bench list tables`.")
@click.option("--figure", metavar="NAME", help="One figure, into --out; see `bench list figures`.")
@click.option("--all", "is_all", is_flag=True, help="Every table and figure, into the folder --out.")
@click.option(
    "--format",
    "style",
    type=click.Choice(["markdown", "latex", "csv", "json"]),
    help="Format of printed tables, or of one written table; by default by --out's suffix, else markdown.",
)
@click.option("--out", type=click.Path(path_type=Path), help="File or folder to write instead of printing.")
@click.option(
    "--check",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Fail if what --all has written into DIR is not what the records give.",
)
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), help="Page to write: one file.")
def report(
    results: tuple[Path, ...],
    table: str | None,
    figure: str | None,
    is_all: bool,
    style: str | None,
    out: Path | None,
    check: Path | None,
    html: Path | None,
) -> None:
    """Show the records of one or more results folders, by default as the tables of their suites.

    Of a cell in several folders the latest record counts.

    \b
    Examples:
      bench report results --format latex --out table.tex
      bench report results --table matrix
      bench report results --figure epsilons --out epsilons.pdf
      bench report results --all --out docs/results
      bench report results --check docs/results
      bench report results --html page.html
    """
    from bench import reporting

    if sum(map(bool, (table, figure, is_all, check, html))) > 1:
        raise click.UsageError("--table, --figure, --all, --check and --html exclude each other")
    if style and (figure or is_all or check or html):
        raise click.UsageError("--format is for tables alone: --all writes every format")
    if out and (check or html):
        raise click.UsageError(
            "--out means nothing to --check and --html, which name what they read or write"
        )
    archive = reporting.open_archive(results)
    if archive.repeated:
        click.echo(f"{archive.repeated} cells are in several folders: the latest record counts", err=True)
    if check:
        _check(archive, check)
    elif html:
        reporting.write_page(archive, html)
        click.echo(html)
    elif is_all:
        for path in reporting.write_all(archive, _wanted(out, "--all")):
            click.echo(path)
    elif figure:
        for path in reporting.write_figures(
            reporting.named_figures(archive, figure), _wanted(out, "--figure")
        ):
            click.echo(path)
    else:
        _print_tables(archive, table, style or _style_of(out), out)


def _print_tables(archive: Archive, name: str | None, style: str, out: Path | None) -> None:
    from bench import reporting
    from reports.files import replace_text
    from reports.tables import render

    tables = reporting.named_tables(archive, name) if name else reporting.main_tables(archive)
    text = render(tables, style)
    if out is None:
        click.echo(text, nl=False)
        return
    with reporting.mendable():
        replace_text(out, text)


def _style_of(out: Path | None) -> str:
    """Return the format that the name of a file asks for; Markdown for no file and for other names."""
    from reports.tables import SUFFIXES

    styles = {suffix: style for style, suffix in SUFFIXES.items()}
    return styles.get(out.suffix.removeprefix("."), "markdown") if out else "markdown"


def _check(archive: Archive, folder: Path) -> None:
    from bench import reporting
    from reports.writing import differences

    with reporting.mendable():
        lines = differences(archive, folder)
    for line in lines:
        click.echo(line)
    if lines:
        click.echo(
            f"{len(lines)} files differ; `bench report RESULTS --all --out {folder}` writes what the records "
            "give, and what no record gives can be removed",
            err=True,
        )
        sys.exit(1)


def _wanted(out: Path | None, option: str) -> Path:
    if out is None:
        raise BenchError(f"{option} needs --out, where to write")
    return out
