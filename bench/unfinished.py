"""What the first examples of a group of cells gave, kept while it runs: a killed run need not begin it anew.

FOLDER/unfinished/IMAGES_KEY.zip    replaced now and then, removed when the records of the group are written
"""

from __future__ import annotations

import io
import json
import time
import warnings
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import ZipFile

from bench import provenance
from bench.meter import Meter
from reports.cell import Cell, key_of
from reports.files import remove_leftovers, replace_file
from reports.records import Passes, Provenance

if TYPE_CHECKING:
    import pandas as pd

EVERY = 60.0
"""Seconds between two writings of a group; what takes less is never written."""
STATE = "state.json"


@dataclass(frozen=True)
class Part:
    """The first examples of a group.

    Attributes:
        outcomes: Of each cell of the group, in its order, with one row per example.
        passes: Work so far.
        seconds: Wall time so far.
    """

    outcomes: Sequence[pd.DataFrame]
    passes: Passes
    seconds: float


class Unfinished:
    """The unfinished groups of a results folder.

    Args:
        folder: The results folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "unfinished"
        self._touched = time.monotonic()

    def read(self, group: Sequence[Cell], made_with: Provenance) -> Part | None:
        """Return what is kept of a group, if it was made by the same code on the same kind of machine.

        What was made otherwise, and a file that is damaged, gives a warning and counts as none.
        """
        self._touched = time.monotonic()
        path = self._path(group)
        if not path.is_file():
            return None
        try:
            with ZipFile(path) as file:
                state = json.loads(file.read(STATE))
                if not {cell.key for cell in group} <= {*state["cells"]}:
                    return None
                if difference := provenance.difference(state["made_with"], made_with):
                    warnings.warn(f"{path} was made with other {difference}: begun anew", stacklevel=2)
                    return None
                tables = [_read_table(file, cell.key) for cell in group]
            return Part(tables, Passes.model_validate(state["passes"]), float(state["seconds"]))
        except Exception as error:
            # zipfile, pyarrow and pydantic raise whatever they stumble on.
            reason = str(error).split("\n")[0] or type(error).__name__
            warnings.warn(f"{path} is damaged, its cells begin anew: {reason}", stacklevel=2)
            return None

    def is_due(self) -> bool:
        """Return whether it is time to write the group that was last read or written."""
        return time.monotonic() - self._touched >= EVERY

    def write(self, group: Sequence[Cell], part: Part, made_with: Provenance) -> None:
        """Keep the first examples of a group, in place of what was kept of it before.

        A folder that cannot be written gives a warning: the run itself can do without.
        """
        path = self._path(group)
        state = {
            "made_with": provenance.marks(made_with),
            "cells": [cell.key for cell in group],
            "passes": part.passes.model_dump(),
            "seconds": part.seconds,
        }
        content = io.BytesIO()
        with ZipFile(content, "w") as file:
            file.writestr(STATE, json.dumps(state))
            for cell, table in zip(group, part.outcomes, strict=True):
                file.writestr(f"{cell.key}.parquet", table.to_parquet(None, index=False, compression="zstd"))
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(path, lambda target: target.write(content.getvalue()))
        except OSError as error:
            warnings.warn(f"{path} cannot be written: {error.strerror or error}", stacklevel=2)
        self._touched = time.monotonic()

    def remove(self, group: Sequence[Cell]) -> None:
        """Forget a group, and the folder with the last one."""
        if (path := self._path(group)).is_file():
            path.unlink()
        self._tidy()

    def remove_finished(self, keys: Collection[str]) -> None:
        """Forget what killed processes left of groups all of whose cells are finished, and half files."""
        if not self._folder.is_dir():
            return
        remove_leftovers(self._folder)
        for path in self._folder.glob("*.zip"):
            # A damaged one is told of when its group is asked for.
            with suppress(Exception):
                with ZipFile(path) as file:
                    cells = json.loads(file.read(STATE))["cells"]
                if set(cells) <= set(keys):
                    path.unlink()
        self._tidy()

    def _tidy(self) -> None:
        if self._folder.is_dir() and not any(self._folder.iterdir()):
            self._folder.rmdir()

    def _path(self, group: Sequence[Cell]) -> Path:
        return self._folder / f"{group[0].images_key}.zip"


class Growing:
    """The outcomes of a group of cells as they come, batch by batch, after those of its first examples.

    Args:
        kept: Where they are kept meanwhile.
        group: Cells that share their images.
        begun: What is known of its first examples.
        made_with: What makes them.
        meters: Of the models involved.
        least: Examples that are not worth keeping, and whose pictures are not drawn yet.
    """

    def __init__(
        self,
        kept: Unfinished,
        group: Sequence[Cell],
        begun: Part | None,
        made_with: Provenance,
        meters: Sequence[Meter],
        least: int,
    ) -> None:
        self._kept = kept
        self._group = group
        self._made_with = made_with
        self._meters = list({id(meter.work): meter for meter in meters}.values())
        self._before = self._work()
        self._least = least
        self._started = time.perf_counter()
        self._begun = begun
        self._outcomes = [[table] for table in begun.outcomes] if begun else [[] for _ in group]

    @property
    def examples(self) -> int:
        """How many there are so far."""
        return sum(map(len, self._outcomes[0]))

    @property
    def earlier_seconds(self) -> float:
        """Wall time of the run that the first ones are from."""
        return self._begun.seconds if self._begun else 0.0

    def add(self, tables: Sequence[pd.DataFrame]) -> None:
        """Add the outcomes of a batch, one table per cell, and keep them if it is time to."""
        for growing, table in zip(self._outcomes, tables, strict=True):
            growing.append(table)
        if self.examples >= self._least and self._kept.is_due():
            self._kept.write(self._group, self.part(), self._made_with)

    def part(self) -> Part:
        """Return all so far."""
        import pandas as pd

        forward, backward = (now - then for now, then in zip(self._work(), self._before, strict=True))
        if self._begun is not None:
            forward, backward = forward + self._begun.passes.forward, backward + self._begun.passes.backward
        return Part(
            [pd.concat(tables, ignore_index=True) for tables in self._outcomes],
            Passes(forward=forward, backward=backward, group=key_of(self._group)),
            self.earlier_seconds + time.perf_counter() - self._started,
        )

    def _work(self) -> tuple[int, int]:
        return sum(m.work.forward for m in self._meters), sum(m.work.backward for m in self._meters)


def _read_table(file: ZipFile, key: str) -> pd.DataFrame:
    import pandas as pd

    return pd.read_parquet(io.BytesIO(file.read(f"{key}.parquet")))
