"""The command line. It parses, calls, prints and maps errors to exit codes; nothing heavy is imported here.

Exit codes: 0 all cells fine, 1 a cell failed, 2 usage, 130 interrupted.
"""

from __future__ import annotations

import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench.errors import BenchError

if TYPE_CHECKING:
    from bench.progress import Progress
    from reports.records import Record, Store
    from reports.tables import Table

SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 110}


progress_option = click.option(
    "--progress",
    "progress_style",
    default="auto",
    type=click.Choice(["auto", "live", "plain", "none"]),
    help="How progress is shown; auto is live in a terminal.",
)


class _Group(click.Group):
    """Shows what a user can mend as one line, without a traceback."""

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except BenchError as error:
            click.echo(f"Error: {error}", err=True)
            context.exit(2)
        except KeyboardInterrupt:
            click.echo("Interrupted. What was finished is kept; the same command continues.", err=True)
            context.exit(130)


@click.group(cls=_Group, context_settings=SETTINGS)
@click.version_option(package_name="feedback-bench")
def main() -> None:
    """Does recurrent feedback really make image classifiers robust?

    \b
    Example:
      bench run --model cnnf_fmnist --suite adversarial
    """
    warnings.showwarning = lambda message, *_, **__: click.echo(f"Warning: {message}", err=True)


@main.command()
@click.option(
    "--model",
    "model_names",
    multiple=True,
    required=True,
    metavar="NAME",
    help="A zoo model, or FILE.py:FACTORY. May be repeated.",
)
@click.option(
    "--suite",
    default="adversarial",
    show_default=True,
    metavar="NAME",
    help="What to measure; see `bench list suites`.",
)
@click.option(
    "--checkpoint",
    default="shipped",
    show_default=True,
    help="Weights of a zoo model: a name, or a .safetensors or .pt file.",
)
@click.option("--dataset", help="What the classes of your own model are; see `bench list datasets`.")
@click.option("--iterations", type=int, help="Feedback iterations; by default the model's own.")
@click.option(
    "--examples",
    type=int,
    help="Test images to use, from the first; by default what the device can do in minutes.",
)
@click.option("--spsa-examples", type=int, help="The same for SPSA, which costs 1,792 passes an image.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of all random draws.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
@click.option("--batch-size", type=click.IntRange(1), help="Images evaluated at once; changes no number.")
@click.option(
    "--attack-backend",
    "backend",
    default="native",
    show_default=True,
    type=click.Choice(["native", "advertorch"]),
    help="Whose attacks run.",
)
@click.option(
    "--corruptions",
    "corruption_kinds",
    metavar="A,B",
    help="Kinds for the suite corruptions; by default all 19.",
)
@click.option(
    "--severities", metavar="1,3,5", help="Severities for the suite corruptions; by default all five."
)
@click.option(
    "--corrupted-data",
    type=click.Path(path_type=Path),
    help="Folder of CIFAR-10-C as published, shown instead of images made here.",
)
@click.option(
    "--data-dir", type=click.Path(path_type=Path), help="Folder with more than the embedded images."
)
@click.option(
    "--results",
    type=click.Path(path_type=Path),
    default=Path("results"),
    show_default=True,
    help="Folder of records; a run continues what it finds there.",
)
@progress_option
def run(
    model_names: tuple[str, ...],
    checkpoint: str,
    dataset: str | None,
    iterations: int | None,
    corruption_kinds: str | None,
    severities: str | None,
    results: Path,
    progress_style: str,
    **options: Any,
) -> None:
    """Measure models under a suite, and print the table.

    \b
    Examples:
      bench run --model cnnf_fmnist --suite adversarial
      bench run --model my_net.py:build --dataset cifar10 --iterations 2
    """
    from bench import evaluation
    from reports.records import Store

    store = Store(results)
    candidates = [evaluation.candidate_of(name, dataset, checkpoint, iterations) for name in model_names]
    with ExitStack() as stack:
        stack.enter_context(_terminable())
        progress = _progress(progress_style, stack)
        done = evaluation.run(
            candidates,
            evaluation.Options(
                corruptions=_names(corruption_kinds), severities=_severities(severities), **options
            ),
            store,
            progress,
        )
    _print_tables(store, done.cells[0].suite, {candidate.dataset for candidate in candidates})
    if not done.is_complete:
        failed = [record for record in done.records if record.status == "error"]
        click.echo(f"{len(failed)} cells failed; the first: {failed[0].error}", err=True)
        sys.exit(1)


@main.command()
@click.argument("results", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--format",
    "style",
    default="markdown",
    show_default=True,
    type=click.Choice(["markdown", "latex", "csv"]),
)
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), help="File to write instead of printing."
)
def report(results: tuple[Path, ...], style: str, out: Path | None) -> None:
    """Print the tables of one or more results folders.

    \b
    Example:
      bench report results --format latex --out table.tex
    """
    from reports.tables import render

    tables = [table for folder in results for table in _tables(folder)]
    text = render(tables, style)
    if out is None:
        click.echo(text, nl=False)
        return
    try:
        out.write_text(text)
    except OSError as error:
        raise BenchError(f"cannot write {out}: {error.strerror}") from error


@main.command()
@click.argument("source", metavar="IN", type=click.Path(path_type=Path))
@click.argument("out", metavar="OUT", type=click.Path(path_type=Path))
@click.option(
    "--kinds",
    default="all",
    show_default=True,
    help="Corruptions, separated by commas; all (19) or benchmark (15).",
)
@click.option(
    "--severity", default="3", show_default=True, help="From 1 to 5, several separated by commas, or all."
)
@click.option(
    "--family",
    default="imagenet",
    show_default=True,
    help="Severity table: imagenet (224x224), cifar (32x32) or fashion (28x28 grey).",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of all random draws.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
@click.option(
    "--batch-size",
    type=click.IntRange(1),
    default=512,
    show_default=True,
    help="Images corrupted at once; changes no pixel.",
)
@progress_option
def corrupt(source: Path, out: Path, progress_style: str, **options: Any) -> None:
    """Write corrupted copies of a folder of images or an .npz file.

    The same command continues what was stopped.

    \b
    Examples:
      bench corrupt photos photos-c --kinds fog,snow --severity 1,3,5
      bench corrupt test.npz test-c --family cifar --kinds benchmark
    """
    from bench import corrupting

    with ExitStack() as stack:
        stack.enter_context(_terminable())
        progress = _progress(progress_style, stack)
        report = corrupting.corrupt(source, out, corrupting.Options(**options), progress)
    for line in report.lines():
        click.echo(line, err=True)
    if not report.is_complete:
        sys.exit(1)


@main.command()
@click.argument("recipe", required=False)
@click.option("--list", "is_list", is_flag=True, help="List the recipes and end.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of the run; by default runs/RECIPE.",
)
@click.option("--data-dir", type=click.Path(path_type=Path), help="Folder with the training images.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
@click.option(
    "--epochs", type=click.FloatRange(0, min_open=True), help="Length of the run instead of the recipe's."
)
@click.option(
    "--max-minutes",
    type=click.FloatRange(0, min_open=True),
    help="Stop after so long, with everything saved.",
)
@click.option("--start-from", help="Weights to begin from: MODEL, MODEL:CHECKPOINT or a file.")
@click.option("--progress/--no-progress", default=True, help="Show a bar and a JSON line an epoch.")
def train(recipe: str | None, is_list: bool, out: Path | None, **options: Any) -> None:
    """Train a checkpoint by a recipe of the zoo or a .toml file of your own.

    The same command continues what was stopped, to the same weights as if it had not been.

    \b
    Examples:
      bench train --list
      bench train cnnf_fmnist --data-dir data --out runs/cnnf_fmnist
    """
    from bench import training

    if is_list:
        for name in training.recipe_names():
            click.echo(f"{name:<20}  {training.load_recipe(name)[1].budget}")
        return
    if recipe is None:
        raise click.UsageError("name a recipe, or see them with --list")
    with _terminable():
        weights = training.train(recipe, out or Path("runs") / Path(recipe).stem, **options)
    click.echo(weights)


@main.command()
@click.argument("results", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.argument("card_file", metavar="CARD", type=click.Path(path_type=Path))
def card(results: tuple[Path, ...], card_file: Path) -> None:
    """Write what a checkpoint reaches, by the records of RESULTS, into its card.

    \b
    Example:
      bench card results runs/cnnf_fmnist/cnnf_fmnist.json
    """
    from bench import cards

    count = cards.fill(card_file, [record for folder in results for record in _records(folder)])
    click.echo(f"{count} accuracies written to {card_file}")


@main.command("list")
@click.argument("kind", type=click.Choice(["models", "suites", "attacks", "datasets"]))
def list_(kind: str) -> None:
    """List models, suites, attacks or datasets.

    \b
    Example:
      bench list models
    """
    from bench import catalogue

    names = catalogue.CATALOGUES[kind]()
    width = max(map(len, names))
    for name, summary in names.items():
        click.echo(f"{name:<{width}}  {summary}")


def _names(text: str | None) -> tuple[str, ...] | None:
    return None if text is None else tuple(name.strip() for name in text.split(","))


def _severities(text: str | None) -> tuple[int, ...] | None:
    try:
        return None if text is None else tuple(map(int, text.split(",")))
    except ValueError:
        raise BenchError(f"severities must be numbers from 1 to 5, got {text!r}") from None


def _print_tables(store: Store, suite: str, datasets: set[str]) -> None:
    """Print the tables of a suite: drawn in a terminal, Markdown elsewhere."""
    from reports.tables import render, to_terminal

    records = [r for r in _records(store.folder) if r.cell.suite == suite and r.cell.dataset in datasets]
    tables = _tables_of(records, store)
    if not sys.stdout.isatty():
        click.echo(render(tables, "markdown"), nl=False)
        return
    from rich.console import Console

    console = Console()
    for table in tables:
        console.print(to_terminal(table))


def _tables(folder: Path) -> list[Table]:
    from reports.records import Store

    return _tables_of(_records(folder), Store(folder))


def _tables_of(records: list[Record], store: Store) -> list[Table]:
    from reports.catalogue import tables_of
    from reports.records import RecordError

    try:
        return tables_of(records, store)
    except RecordError as error:
        raise BenchError(str(error)) from error


def _records(folder: Path) -> list[Record]:
    """Return the records of a folder that must have some."""
    from reports.records import RecordError, Store

    try:
        records = Store(folder).read()
    except RecordError as error:
        raise BenchError(str(error)) from error
    if not records:
        raise BenchError(f"no records in {folder}")
    return records


def _progress(style: str, stack: ExitStack) -> Progress:
    from bench.progress import LiveProgress, PlainProgress, SilentProgress

    if style == "none":
        return SilentProgress()
    if style == "live" or (style == "auto" and sys.stderr.isatty()):
        return stack.enter_context(LiveProgress())
    return PlainProgress()


@contextmanager
def _terminable() -> Iterator[None]:
    """Treat SIGTERM, which pre-empted jobs get, like Ctrl-C."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
