"""Commands that keep what was measured, and that hold a run against it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from reports.gate.result import CheckResult, Rules

BASELINE_ONLY = {
    "max_flips": "--max-flips",
    "compares_weights": "--compare-weights",
    "takes_any_seed": "--any-seed",
}
"""Options that say how examples are paired, which published numbers have none of."""


@click.command()
@click.argument("results", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--out", required=True, type=click.Path(path_type=Path, dir_okay=False), help="File to write, for git."
)
def baseline(results: tuple[Path, ...], out: Path) -> None:
    """Write what a run answered to every image into one file, for `bench check`.

    \b
    Example:
      bench baseline results --out baseline.json
    """
    from bench import reporting
    from reports.gate import baseline as files

    archive = reporting.open_archive(results)
    with reporting.mendable():
        made = files.make(archive.records, archive)
    _write(out, files.write(made))
    models = ", ".join(dict.fromkeys(known.cell.model for known in made.cells))
    click.echo(f"{len(made.cells)} cells of {models} written to {out}")


@click.command()
@click.argument("results", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--baseline",
    "baseline_file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Compare, image by image, with a file of `bench baseline`.",
)
@click.option("--published", is_flag=True, help="Compare with what the models' authors published.")
@click.option(
    "--alpha",
    default=0.01,
    show_default=True,
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="Chance of a false alarm in an unchanged run, over all cells, in each direction.",
)
@click.option(
    "--min-drop",
    default=0.5,
    show_default=True,
    metavar="POINTS",
    type=click.FloatRange(0, 100),
    help="Smallest change that matters, in percentage points of accuracy.",
)
@click.option(
    "--max-flips", type=click.IntRange(0), help="Fail where more answers changed in a cell; 0 is exact."
)
@click.option(
    "--compare-weights",
    "compares_weights",
    is_flag=True,
    help="Compare although weights or settings have changed, after a change of the model on purpose.",
)
@click.option("--any-seed", "takes_any_seed", is_flag=True, help="Compare with a run of another seed.")
@click.option(
    "--allow-rise",
    "allows_rise",
    is_flag=True,
    help="Take a rise under attack or corruption for an improvement instead of a weaker attack.",
)
@click.option(
    "--markdown", metavar="FILE", type=click.Path(path_type=Path), help="Write a summary for CI as well."
)
@click.option("--junit", metavar="FILE", type=click.Path(path_type=Path), help="Write JUnit XML as well.")
def check(
    results: tuple[Path, ...],
    baseline_file: Path | None,
    published: bool,
    markdown: Path | None,
    junit: Path | None,
    **options: Any,
) -> None:
    """Compare a run with a baseline, or with published numbers, for CI.

    Exit codes: 0 nothing is worse, 1 a regression or a suspicious rise, 2 usage, 3 incomplete or
    incomparable.

    \b
    Examples:
      bench check results --baseline baseline.json
      bench check results --published --markdown summary.md --junit junit.xml
    """
    from reports.gate.rendering import to_junit, to_markdown
    from reports.gate.result import Rules

    if published is (baseline_file is not None):
        raise click.UsageError("name either --baseline FILE or --published")
    useless = [option for name, option in BASELINE_ONLY.items() if _is_given(options[name])]
    if published and useless:
        raise click.UsageError(f"published numbers tell no single images: leave out {', '.join(useless)}")
    result = _result(results, baseline_file, Rules(**options))
    for file, render in ((markdown, to_markdown), (junit, to_junit)):
        if file is not None:
            _write(file, render(result))
    _print(result)
    sys.exit(result.exit_code)


def _is_given(value: int | bool | None) -> bool:
    """Tell a flag that is set and a number, zero among them, from what was left out."""
    return value is not None and value is not False


def _result(results: tuple[Path, ...], baseline_file: Path | None, rules: Rules) -> CheckResult:
    from bench import reporting
    from reports.gate.baseline import read
    from reports.gate.paired import compare
    from reports.gate.published import compare_published

    archive = reporting.open_archive(results)
    with reporting.mendable():
        if baseline_file is None:
            return compare_published(archive, rules)
        return compare(read(baseline_file), archive.records, archive, rules)


def _print(result: CheckResult) -> None:
    """Print a result: drawn in a terminal, Markdown elsewhere."""
    from reports.gate.rendering import to_markdown, to_terminal

    if not sys.stdout.isatty():
        click.echo(to_markdown(result), nl=False)
        return
    from rich.console import Console

    console = Console(highlight=False)
    console.print(to_terminal(result, console.width))


def _write(path: Path, text: str) -> None:
    from bench.reporting import mendable
    from reports.files import replace_text

    with mendable():
        replace_text(path, text)
