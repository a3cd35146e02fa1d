"""Telling a person how far a run is: a live display in a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol, TextIO

Advance = Callable[[int], None]


class Progress(Protocol):
    """What a runner tells; a group is a set of cells evaluated together."""

    def start(self, groups: Sequence[tuple[str, int]]) -> None:
        """Take note of all groups to come, each with its number of examples."""
        ...

    def group(self, name: str, examples: int) -> AbstractContextManager[Advance]:
        """Enter a group; the returned function takes the number of examples just finished."""
        ...

    def failed(self, name: str, reason: str) -> None:
        """Tell that a group failed."""
        ...


class PlainProgress:
    """One line when a group ends."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = stream or sys.stderr
        self.total = self.done = 0

    def start(self, groups: Sequence[tuple[str, int]]) -> None:
        """See Progress."""
        self.total, self.done = len(groups), 0

    @contextmanager
    def group(self, name: str, examples: int) -> Iterator[Advance]:
        """See Progress."""
        started = time.perf_counter()
        yield lambda count: None
        self.done += 1
        seconds = time.perf_counter() - started
        self._say(f"[{self.done}/{self.total}] {name}, {examples} examples: {seconds:.1f} s")

    def failed(self, name: str, reason: str) -> None:
        """See Progress."""
        self._say(f"{name} FAILED: {reason}")

    def _say(self, line: str) -> None:
        print(line, file=self.stream, flush=True)


class SilentProgress:
    """Nothing."""

    def start(self, groups: Sequence[tuple[str, int]]) -> None:
        """See Progress."""

    @contextmanager
    def group(self, name: str, examples: int) -> Iterator[Advance]:
        """See Progress."""
        yield lambda count: None

    def failed(self, name: str, reason: str) -> None:
        """See Progress."""


class LiveProgress:
    """Bars for the current group and for the whole run; use as a context manager."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )
        from rich.progress import Progress as Bars

        self._bars = Bars(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )

    def __enter__(self) -> LiveProgress:
        self._bars.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._bars.stop()

    def start(self, groups: Sequence[tuple[str, int]]) -> None:
        """See Progress."""
        self._all = self._bars.add_task("all groups", total=len(groups))

    @contextmanager
    def group(self, name: str, examples: int) -> Iterator[Advance]:
        """See Progress."""
        started = time.perf_counter()
        task = self._bars.add_task(name, total=examples)
        try:
            yield lambda count: self._bars.update(task, advance=count)
        finally:
            # A suite can have a hundred groups: only the one being worked on keeps its bar.
            self._bars.remove_task(task)
        seconds = time.perf_counter() - started
        self._bars.console.print(
            f"{name}, {examples} examples: {seconds:.1f} s", markup=False, highlight=False
        )
        self._bars.update(self._all, advance=1)

    def failed(self, name: str, reason: str) -> None:
        """See Progress."""
        self._bars.console.print(f"{name} FAILED: {reason}", markup=False)
