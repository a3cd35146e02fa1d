"""The command line. It parses, calls, prints and maps errors to exit codes; nothing heavy is imported here.

Exit codes: 0 all cells fine, 1 a cell or a check failed, 2 usage, 3 a check was incomplete, 130 interrupted.
"""

from __future__ import annotations

import warnings

import click

from bench.cli.checking import baseline, check
from bench.cli.common import SETTINGS, Group
from bench.cli.exporting import export
from bench.cli.making import corrupt, curves, predify, train, tune
from bench.cli.measuring import card, list_, run
from bench.cli.reporting import report

__all__ = ["main"]


@click.group(cls=Group, context_settings=SETTINGS)
@click.version_option(package_name="feedback-bench")
def main() -> None:
    """Does recurrent feedback really make image classifiers robust?

    \b
    Example:
      bench run --model cnnf_fmnist --suite adversarial
    """
    warnings.showwarning = lambda message, *_, **__: click.echo(f"Warning: {message}", err=True)


for command in (run, report, export, baseline, check, corrupt, predify, train, curves, tune, card, list_):
    main.add_command(command)
