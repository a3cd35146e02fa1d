"""The command that writes records in the formats of others."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("results", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--format",
    "style",
    required=True,
    type=click.Choice(["robustbench"]),
    help="robustbench: its model_info, one JSON file per attacked answer.",
)
@click.option(
    "--out", required=True, type=click.Path(path_type=Path, file_okay=False), help="Folder to write into."
)
def export(results: tuple[Path, ...], style: str, out: Path) -> None:
    """Write what was measured for other benchmarks.

    \b
    Example:
      bench export results --format robustbench --out model_info
    """
    from bench import exporting, reporting

    for path in exporting.FORMATS[style](reporting.open_archive(results), out):
        click.echo(path)
