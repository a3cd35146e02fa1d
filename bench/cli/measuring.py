"""Commands that measure, and that list what there is."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench.cli.common import progress_option, show_progress, terminable

if TYPE_CHECKING:
    from reports.records import Store


@click.command()
@click.option(
    "--model",
    "model_names",
    multiple=True,
    required=True,
    metavar="NAME",
    help="A zoo model, robustbench:NAME, or FILE.py:FACTORY. May be repeated.",
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
    help="Weights of a zoo model: a name, a .safetensors or .pt file, or a folder; by default its first.",
)
@click.option("--dataset", help="Dataset that your own model classifies; see `bench list datasets`.")
@click.option("--iterations", type=int, help="Feedback iterations; by default the model's own.")
@click.option(
    "--examples",
    type=int,
    help="Test images to use, from the first; by default what the device can do in minutes.",
)
@click.option("--spsa-examples", type=int, help="Test images for SPSA, which costs 1,792 passes per image.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of all random draws.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
@click.option(
    "--batch-size",
    type=click.IntRange(1),
    help="Images evaluated at once; the numbers do not depend on it, but for rounding on a GPU.",
)
@click.option(
    "--attack-backend",
    "backend",
    default="native",
    show_default=True,
    type=click.Choice(["native", "advertorch"]),
    help="Whose implementation of the attacks to run.",
)
@click.option(
    "--corruptions",
    "kinds",
    metavar="A,B",
    help="Kinds for the suite corruptions: names, all (19, the default) or benchmark (15).",
)
@click.option(
    "--severities", metavar="1,3,5", help="Severities for the suite corruptions; by default all five."
)
@click.option(
    "--corrupted-data",
    type=click.Path(path_type=Path),
    help="Folder of CIFAR-10-C, CIFAR-100-C or ImageNet-C as published, shown instead of images made here.",
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
    checkpoint: str | None,
    dataset: str | None,
    iterations: int | None,
    kinds: str | None,
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
    from bench.kinds import parse_kinds, parse_severities
    from reports.records import Store

    store = Store(results)
    candidates = [
        evaluation.candidate_of(name, dataset, checkpoint, iterations, options["data_dir"])
        for name in model_names
    ]
    with ExitStack() as stack:
        stack.enter_context(terminable())
        progress = show_progress(progress_style, stack)
        done = evaluation.run(
            candidates,
            evaluation.Options(
                corruptions=None if kinds is None else parse_kinds(kinds),
                severities=None if severities is None else parse_severities(severities),
                **options,
            ),
            store,
            progress,
        )
    _print_tables(store, done.cells[0].suite, {candidate.dataset for candidate in candidates})
    for picture in done.pictures:
        click.echo(f"Picture: {picture}", err=True)
    if not done.is_complete:
        failed = [record for record in done.records if record.status == "error"]
        click.echo(f"cells that failed: {len(failed)}; the first: {failed[0].error}", err=True)
        sys.exit(1)


@click.command()
@click.argument("results", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.argument("card_file", metavar="CARD", type=click.Path(path_type=Path))
def card(results: tuple[Path, ...], card_file: Path) -> None:
    """Write what a checkpoint reaches, by the records of RESULTS, into its card.

    \b
    Example:
      bench card results runs/cnnf_fmnist/cnnf_fmnist.json
    """
    from bench import cards, reporting

    count = cards.fill(card_file, reporting.open_archive(results).records)
    click.echo(f"{count} accuracies written to {card_file}")


@click.command("list")
@click.argument(
    "kind",
    type=click.Choice(["models", "suites", "attacks", "datasets", "tables", "figures", "robustbench"]),
)
def list_(kind: str) -> None:
    """List models, suites, attacks, datasets, tables, figures or the models of RobustBench.

    \b
    Example:
      bench list models
    """
    from bench import catalogue

    names = catalogue.CATALOGUES[kind]()
    width = max(map(len, names))
    for name, summary in names.items():
        click.echo(f"{name:<{width}}  {summary}")


def _print_tables(store: Store, suite: str, datasets: set[str]) -> None:
    """Print the tables of a suite: drawn in a terminal, Markdown elsewhere."""
    from bench import reporting
    from reports.catalogue import tables_of
    from reports.tables import render, to_terminal

    with reporting.mendable():
        records = [r for r in store.read() if r.cell.suite == suite and r.cell.dataset in datasets]
        tables = tables_of(records, store)
    if not sys.stdout.isatty():
        click.echo(render(tables, "markdown"), nl=False)
        return
    from rich.console import Console

    console = Console()
    for table in tables:
        console.print(to_terminal(table, console.width))
