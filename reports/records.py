"""The results folder: one JSON line per finished cell and its per-example outcomes as parquet.

FOLDER/records.jsonl            appended under a file lock, never rewritten
FOLDER/outcomes/KEY.parquet     written whole before its line, checked by the hash in the line
FOLDER/examples/KEY.png         a few of the images that a group of cells was shown, to be looked at
"""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from filelock import FileLock, Timeout
from pydantic import Field, ValidationError

from reports.cell import Cell, Frozen
from reports.files import remove_leftovers, remove_leftovers_of, replace_bytes

if TYPE_CHECKING:
    import pandas as pd

SCHEMA = 2
"""1 did not tell the settings of models."""


class RecordError(ValueError):
    """A results folder that cannot be read or written."""


class Passes(Frozen):
    """Work behind a record: images times network passes, for the whole group that shared it."""

    forward: int
    backward: int
    group: str
    """The same for the records whose cells were evaluated together, and for no others."""


class Provenance(Frozen):
    """Where and with what a record was made."""

    revision: str | None
    """Git commit of the code; None where neither a checkout nor the installed package knows it."""
    is_dirty: bool | None
    versions: dict[str, str]
    device: str
    dtype: str
    batch_size: int
    checkpoint: str
    """Name or file name of the weights."""
    finished_at: str
    """UTC, ISO 8601."""


class Record(Frozen):
    """What happened in one cell. Counts, not percentages."""

    schema_version: int = Field(SCHEMA, alias="schema", serialization_alias="schema")
    key: str
    label: str
    """Name of the scored model in tables."""
    cell: Cell
    status: Literal["ok", "error"]
    n: int
    correct: int
    largest_linf: float | None = None
    """Largest perturbation over examples, in [0, 1] pixel units, measured in float64."""
    largest_l2: float | None = None
    nonfinite: int = 0
    """Examples with a NaN or infinite logit; they count as wrong."""
    outcomes: str | None = None
    """SHA-256 of the parquet file of per-example outcomes."""
    passes: Passes | None = None
    seconds: float
    """Wall time of the group of cells evaluated together."""
    provenance: Provenance
    error: str | None = None
    traceback: str | None = None


class Store:
    """A results folder.

    Args:
        folder: Made when first written to.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "records.jsonl"

    def read(self) -> list[Record]:
        """Return the last record of each cell, in the order of their first appearance.

        An error counts where there is no record without one, or only one whose outcomes are gone.

        A last line cut off by a killed process is reported by a warning and left out.

        Raises:
            RecordError: If the file cannot be read, or a line is not a record or was written by another
                version.
        """
        if not self.file.exists():
            return []
        try:
            lines = self.file.read_bytes().split(b"\n")
        except OSError as error:
            raise RecordError(f"cannot read {self.file}: {error.strerror or error}") from error
        if lines.pop():
            warnings.warn(
                f"{self.file}: the last line was cut off and is ignored; its cell runs again", stacklevel=2
            )
        records: dict[str, Record] = {}
        for number, line in enumerate(lines, 1):
            record = self._parse(line, number)
            before = records.get(record.key)
            if record.status == "ok" or before is None or not self._is_good(before):
                records[record.key] = record
        return list(records.values())

    def append(self, record: Record, outcomes: pd.DataFrame | None = None) -> Record:
        """Add one record, its outcomes first, and return it as it was written.

        Both survive a crash at any moment or do not appear at all.

        Raises:
            RecordError: If the folder cannot be written.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if outcomes is not None:
                record = record.model_copy(update={"outcomes": self._write_outcomes(record.key, outcomes)})
            line = record.model_dump_json(by_alias=True).encode() + b"\n"
            with FileLock(self.folder / ".append.lock"):
                self._repair()
                with self.file.open("ab") as file:
                    file.write(line)
                    file.flush()
                    os.fsync(file.fileno())
        except OSError as error:
            raise RecordError(f"cannot write results to {self.folder}: {error.strerror or error}") from error
        return record

    @contextmanager
    def run_lock(self, timeout: float) -> Iterator[None]:
        """Keep other runs off the folder, and remove what killed ones have left half written.

        Raises:
            TimeoutError: If another run still holds it after `timeout` seconds.
            RecordError: If the folder cannot be written.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.folder / ".run.lock", timeout=timeout)
            lock.acquire()
        except Timeout:
            raise TimeoutError(f"another run is using {self.folder}") from None
        except OSError as error:
            raise RecordError(f"cannot write results to {self.folder}: {error.strerror or error}") from error
        try:
            self._tidy()
            yield
        finally:
            lock.release()

    def read_outcomes(self, record: Record) -> pd.DataFrame:
        """Return the per-example outcomes of a record.

        Columns are example, label, prediction, is_correct, the norms linf and l2 of the perturbation, and the
        lowest and highest pixel shown.
        Cells with a probe have the columns of its measures besides (`bench.probes`).

        Raises:
            RecordError: If the file is missing or is not the one the record was written with.
        """
        import pandas as pd

        path = self._outcomes_path(record.key)
        again = "the same `bench run` makes it again"
        if not path.is_file():
            raise RecordError(f"{path} is missing: the outcomes of {record.label} cannot be read; {again}")
        if hashlib.sha256(path.read_bytes()).hexdigest() != record.outcomes:
            raise RecordError(
                f"{path} is damaged: its hash is not the one in records.jsonl; remove it, {again}"
            )
        return pd.read_parquet(path)

    def has_outcomes(self, record: Record) -> bool:
        """Return whether the file of a record's outcomes is there; it may be damaged."""
        return self._outcomes_path(record.key).is_file()

    def keep_example(self, images_key: str, png: bytes) -> None:
        """Keep a picture of some of the images with this key, for people to look at.

        Raises:
            RecordError: If the folder cannot be written.
        """
        path = self.folder / "examples" / f"{images_key}.png"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            replace_bytes(path, png)
        except OSError as error:
            raise RecordError(f"cannot write results to {self.folder}: {error.strerror or error}") from error

    def read_example(self, record: Record) -> bytes | None:
        """Return the picture of the images behind a record, None if none was kept."""
        path = self.folder / "examples" / f"{record.cell.images_key}.png"
        return path.read_bytes() if path.is_file() else None

    def _write_outcomes(self, key: str, outcomes: pd.DataFrame) -> str:
        path = self._outcomes_path(key)
        path.parent.mkdir(exist_ok=True)
        content: bytes = outcomes.to_parquet(None, index=False, compression="zstd")
        replace_bytes(path, content)
        return hashlib.sha256(content).hexdigest()

    def _outcomes_path(self, key: str) -> Path:
        return self.folder / "outcomes" / f"{key}.parquet"

    def _is_good(self, record: Record) -> bool:
        return record.status == "ok" and self.has_outcomes(record)

    def _tidy(self) -> None:
        """Remove temporary files; in the folder itself, where others write too, only those of the records."""
        try:
            remove_leftovers_of(self.file)
            for room in ("outcomes", "examples"):
                remove_leftovers(self.folder / room)
        except OSError as error:
            raise RecordError(f"cannot write results to {self.folder}: {error.strerror or error}") from error

    def _is_whole(self) -> bool:
        """Return whether the last line has its end; only that is read, for the file may be long."""
        with self.file.open("rb") as file:
            if file.seek(0, os.SEEK_END) == 0:
                return True
            file.seek(-1, os.SEEK_END)
            return file.read() == b"\n"

    def _repair(self) -> None:
        """Move a line that a killed process left unfinished to a file of its own."""
        if not self.file.exists() or self._is_whole():
            return
        whole, _, cut_off = self.file.read_bytes().rpartition(b"\n")
        kept = self.folder / "records.cut-off"
        with kept.open("ab") as file:
            file.write(cut_off + b"\n")
        replace_bytes(self.file, whole + b"\n" if whole else b"")
        warnings.warn(f"{self.file}: moved a line that was cut off to {kept.name}", stacklevel=2)

    def _parse(self, line: bytes, number: int) -> Record:
        found = _schema_of(line)
        if found is not None and found != SCHEMA:
            advice = "upgrade" if found > SCHEMA else "it lacks the models' settings, give another folder"
            raise RecordError(
                f"{self.file} line {number} has schema {found}, this version knows {SCHEMA}: {advice}"
            )
        try:
            record = Record.model_validate_json(line)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise RecordError(f"{self.file} line {number} is not a record: {where} {first['msg']}") from error
        if record.key != record.cell.key:
            raise RecordError(f"{self.file} line {number} is not a record: its key is not that of its cell")
        return record


def finished(records: Iterable[Record]) -> dict[str, Record]:
    """Return the records without error by the key of their cell."""
    return {record.key: record for record in records if record.status == "ok"}


def _schema_of(line: bytes) -> int | None:
    import json

    try:
        found = json.loads(line).get("schema")
    except (ValueError, AttributeError):
        return None
    return found if isinstance(found, int) else None
