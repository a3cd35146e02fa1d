"""Commands that make things: corrupted images and checkpoints."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from bench.cli.common import progress_option, show_progress, terminable


@click.command()
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
    from bench import corrupted_copies

    with ExitStack() as stack:
        stack.enter_context(terminable())
        progress = show_progress(progress_style, stack)
        report = corrupted_copies.corrupt(source, out, corrupted_copies.Options(**options), progress)
    for line in report.lines():
        click.echo(line, err=True)
    if not report.is_complete:
        sys.exit(1)


@click.command()
@click.argument("config", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "--backbone", required=True, metavar="NAME", help="torchvision:NAME, or FILE.py:FACTORY of your own."
)
@click.option("--trust-code", is_flag=True, help="Run the Python code of the configuration.")
def predify(config: Path, backbone: str, trust_code: bool) -> None:
    """Check a predictive-coding configuration, and show the network that it makes of a backbone.

    \b
    Example:
      bench predify config.toml --backbone torchvision:resnet18
    """
    from tabulate import tabulate

    from bench import predify_check

    made = predify_check.check(config, backbone, trust_code)
    click.echo(made.summary())
    click.echo()
    click.echo(tabulate(made.lines(), predify_check.HEADINGS, tablefmt="github", disable_numparse=True))
    for remark in made.remarks:
        click.echo(f"- {remark}")


@click.command()
@click.argument("model")
@click.option("--checkpoint", help="Its weights: a name or a file; by default its first.")
@click.option("--data-dir", type=click.Path(path_type=Path), help="Folder with the training images.")
@click.option("--steps", type=click.IntRange(1), default=200, show_default=True, help="Batches of 64 images.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
def tune(model: str, checkpoint: str | None, data_dir: Path | None, steps: int, device: str) -> None:
    """Choose beta, lambda and alpha of a predictive-coding network on noisy training images.

    \b
    Example:
      bench tune pcn_cifar --data-dir data
    """
    from bench.training import balances

    def report(step: int, loss: float) -> None:
        if step % 10 == 0 or step == steps:
            click.echo(f"step {step}: cross-entropy {loss:.3f}", err=True)

    found = balances.tune(model, checkpoint, data_dir, steps, device=device, report=report)
    click.echo(found.as_toml())


@click.command()
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
@click.option("--progress/--no-progress", default=True, help="Show a bar and one line of JSON per epoch.")
def train(recipe: str | None, is_list: bool, out: Path | None, **options: Any) -> None:
    """Train a checkpoint by a recipe of the zoo or a .toml file of your own.

    The same command continues what was stopped; on a CPU, to the same weights as if it had not been.

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
    with terminable():
        weights = training.train(recipe, out or Path("runs") / Path(recipe).stem, **options)
    click.echo(weights)


@click.command()
@click.argument("trainings", nargs=-1, required=True)
@click.option(
    "--out", required=True, type=click.Path(path_type=Path, file_okay=False), help="Folder to write into."
)
def curves(trainings: tuple[str, ...], out: Path) -> None:
    """Draw how trainings went: folders of `bench train`, cards with a log, or models with such a card.

    \b
    Examples:
      bench curves runs/cnn_fmnist runs/cnnf_fmnist --out curves
      bench curves cnn_fmnist_std --out curves
    """
    from bench.curves import write

    for path in write(trainings, out):
        click.echo(path)
