"""Records of several results folders as one, with what others have published beside them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from reports.records import Record, RecordError, Store

if TYPE_CHECKING:
    import pandas as pd


class Outcomes(Protocol):
    """Where the per-example outcomes of records lie."""

    def read_outcomes(self, record: Record) -> pd.DataFrame:
        """Return the outcomes of a record.

        Raises:
            RecordError: If they are missing or damaged.
        """
        ...


class Results(Outcomes, Protocol):
    """All records of a folder, or of several, and where their outcomes lie."""

    def read(self) -> list[Record]:
        """Return the records of every suite."""
        ...


@dataclass(frozen=True)
class Claims:
    """What the authors of a model say it reaches."""

    citation: str
    accuracies: Mapping[str, Mapping[str, float]]
    """Readout -> column ("clean", "pgd_first", ...) -> percent."""


Published = Mapping[str, Claims]
"""Model -> what its authors say."""
MEMORY = 2**28
"""Bytes of outcomes that an archive keeps: those of some 4,000 records of 1,000 images."""


class _Memory:
    """Outcomes in memory: tables and figures go through the same ones again and again.

    Once it is full, those that came first stay: who goes through all finds at least these again.
    """

    def __init__(self) -> None:
        self._frames: dict[str, pd.DataFrame] = {}
        self._size = 0

    def get(self, key: str) -> pd.DataFrame | None:
        return self._frames.get(key)

    def keep(self, key: str, frame: pd.DataFrame) -> None:
        size = int(frame.memory_usage().sum())
        if self._size + size <= MEMORY:
            self._frames[key] = frame
            self._size += size


@dataclass(frozen=True)
class Archive:
    """Records, and where to find the rest.

    Attributes:
        records: One per cell.
        published: What others say of the same models.
        repeated: Cells that had a record in more than one folder.
        partners: Model with feedback -> the network without that it is compared with.
    """

    records: tuple[Record, ...]
    stores: Mapping[str, Store] = field(default_factory=dict)
    """Key of a cell -> the folder whose record counts."""
    published: Published = field(default_factory=dict)
    repeated: int = 0
    partners: Mapping[str, str] = field(default_factory=dict)
    _memory: _Memory = field(default_factory=_Memory, init=False, repr=False, compare=False)

    @classmethod
    def of(
        cls,
        folders: Iterable[Path],
        published: Published | None = None,
        partners: Mapping[str, str] | None = None,
    ) -> Archive:
        """Read folders; of a cell in several the latest record without error counts.

        Raises:
            RecordError: If a folder has no records, or unreadable ones.
        """
        found: dict[str, tuple[Record, Store]] = {}
        repeated = set()
        for folder in dict.fromkeys(folders):
            store = Store(folder)
            records = store.read()
            if not records:
                raise RecordError(f"no records in {folder}")
            for record in records:
                if record.key in found:
                    repeated.add(record.key)
                    if _precedence(record) <= _precedence(found[record.key][0]):
                        continue
                found[record.key] = record, store
        # Not in the order in which they were finished, which another run of the same cells may change.
        records = sorted((record for record, _ in found.values()), key=_order)
        return cls(
            tuple(records),
            {key: store for key, (_, store) in found.items()},
            published or {},
            len(repeated),
            partners or {},
        )

    def read(self) -> list[Record]:
        """Return all records, as the `Store` of a single folder does."""
        return list(self.records)

    def read_outcomes(self, record: Record) -> pd.DataFrame:
        """Return the per-example outcomes of a record (`reports.records.Store.read_outcomes`).

        Whoever asks again gets the same values from memory, which must not be changed.
        """
        if record.key not in self.stores:
            raise RecordError(f"the outcomes of {record.label} are in no folder")
        frame = self._memory.get(record.key)
        if frame is None:
            frame = self.stores[record.key].read_outcomes(record)
            self._memory.keep(record.key, frame)
        return frame.copy(deep=False)


def _precedence(record: Record) -> tuple[bool, str]:
    return (record.status == "ok", record.provenance.finished_at)


def _order(record: Record) -> tuple[str, int, str]:
    return (record.cell.model, record.cell.iterations, record.key)
