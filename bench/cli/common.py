"""What the commands share."""

from __future__ import annotations

import _thread
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import click

from bench.errors import BenchError

if TYPE_CHECKING:
    from bench.progress import Progress

SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 110}

INSIST_AFTER = 5.0
"""Seconds after which an interruption that was dropped is raised again."""

progress_option = click.option(
    "--progress",
    "progress_style",
    default="auto",
    type=click.Choice(["auto", "live", "plain", "none"]),
    help="How progress is shown; auto is live in a terminal.",
)


class Group(click.Group):
    """Shows what a user can mend as one line, without a traceback."""

    def invoke(self, context: click.Context) -> Any:
        """Invoke a command and map what it raises to an exit code."""
        try:
            return super().invoke(context)
        except BenchError as error:
            click.echo(f"Error: {error}", err=True)
            context.exit(2)
        except KeyboardInterrupt:
            click.echo("Interrupted.", err=True)
            context.exit(130)


def show_progress(style: str, stack: ExitStack) -> Progress:
    """Return the progress display of a style, entered on `stack`."""
    from bench.progress import LiveProgress, PlainProgress, SilentProgress

    if style == "none":
        return SilentProgress()
    if style == "live" or (style == "auto" and sys.stderr.isatty()):
        return stack.enter_context(LiveProgress())
    return PlainProgress()


@contextmanager
def terminable() -> Iterator[None]:
    """Let Ctrl-C, and SIGTERM, which pre-empted jobs get, end work that the same command continues.

    They raise KeyboardInterrupt in the block, and outside SystemExit with code 130.

    What is raised while a library written in C calls back into Python (pydantic's serialiser, a finaliser)
    can be dropped there, and the work would go on: so it is raised again every few seconds.
    """
    asked, left = threading.Event(), threading.Event()

    def interrupt(*_: object) -> None:
        asked.set()
        raise KeyboardInterrupt

    def insist() -> None:
        asked.wait()
        while not left.wait(INSIST_AFTER):
            _thread.interrupt_main()

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    insisting = threading.Thread(target=insist, daemon=True)
    insisting.start()
    try:
        yield
    except KeyboardInterrupt:
        click.echo("Interrupted. What was finished is kept; the same command continues.", err=True)
        sys.exit(130)
    finally:
        left.set()
        asked.set()
        insisting.join()
        for number, handler in before.items():
            signal.signal(number, handler)
