"""What a person sees while training: a bar that moves, and a line of JSON an epoch."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


class Reporter:
    """Prints JSON lines on standard output and a progress bar on standard error, or nothing.

    Args:
        is_shown: False for silence; the bar also stays away where standard error is no terminal.
        steps: Steps in all.
        done: Steps already done.
    """

    def __init__(self, is_shown: bool, steps: int, done: int) -> None:
        console = Console(stderr=True)
        self._is_shown = is_shown
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=not is_shown or not console.is_terminal,
        )
        self._task = self._bar.add_task("starting", total=steps, completed=done)

    def __enter__(self) -> Reporter:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def say(self, text: str) -> None:
        """Print a line on standard error."""
        if self._is_shown:
            self._bar.console.print(text)

    def step(self, done: int) -> None:
        """Move the bar."""
        self._bar.update(self._task, completed=done)

    def epoch(self, row: dict[str, Any]) -> None:
        """Print a row of the log as a line of JSON, and its numbers beside the bar."""
        shown = {
            "loss": "loss",
            "clean_accuracy": "clean",
            "robust_accuracy": "robust",
            "images_per_second": "img/s",
        }
        words = [f"{word} {row[key]:.4g}" for key, word in shown.items() if row.get(key) is not None]
        self._bar.update(self._task, description=f"epoch {row['epoch']}: {', '.join(words)}")
        if self._is_shown:
            print(json.dumps(row), flush=True)


class StopRequest:
    """Whether someone asked to stop."""

    def __init__(self) -> None:
        self.is_made = False


@contextmanager
def listening() -> Iterator[StopRequest]:
    """Turn the first Ctrl-C or termination signal inside into a request; a second one interrupts at once.

    Only the main thread can listen; elsewhere signals do what they always do.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return

    def note(number: int, frame: FrameType | None) -> None:
        if request.is_made:
            raise KeyboardInterrupt
        request.is_made = True

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
