"""What earlier runs on fewer images gave: a run on more images goes on from there."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Iterable, Sequence

from bench import provenance
from bench.data import LabelledImages
from bench.unfinished import Part
from reports.cell import Cell
from reports.records import Provenance, Record, RecordError, Store


class Earlier:
    """The records of a results folder as the first examples of cells with more of them.

    What happens to an example depends on the cell and on nothing that is evaluated with it.

    Args:
        store: The results folder.
        records: Its records.
        least: Examples with fewer than which one does not go on: their picture would lack some.
    """

    def __init__(self, store: Store, records: Iterable[Record], least: int) -> None:
        self._store = store
        self._series: dict[str, dict[int, Record]] = defaultdict(dict)
        for record in records:
            if record.status == "ok" and record.n >= least:
                self._series[record.cell.series_key][record.n] = record

    def take_over(self, group: Sequence[Cell], images: LabelledImages, made_with: Provenance) -> Part | None:
        """Return the most that is known of a group, and keep the picture of it for the group too.

        It counts if all its cells were evaluated together on the first of these very images, by the same code
        on the same kind of machine. Outcomes that are damaged give a warning and count as none.
        """
        known = [self._series.get(cell.series_key, {}) for cell in group]
        for count in sorted(set.intersection(*map(set, known)), reverse=True):
            records = [records[count] for records in known]
            if count < group[0].examples and self._fits(records, images, made_with):
                try:
                    return self._part(group, records)
                except RecordError as error:
                    warnings.warn(str(error), stacklevel=2)
        return None

    def _fits(self, records: Sequence[Record], images: LabelledImages, made_with: Provenance) -> bool:
        one = records[0]
        first = LabelledImages(images.images[: one.n], images.labels[: one.n])
        return (
            len({(record.passes, record.cell.data) for record in records}) == 1
            and all(map(self._store.has_outcomes, records))
            and not any(provenance.difference(provenance.marks(r.provenance), made_with) for r in records)
            and one.cell.data == first.sha256
        )

    def _part(self, group: Sequence[Cell], records: Sequence[Record]) -> Part:
        one = records[0]
        assert one.passes is not None  # those of records without error are told
        outcomes = [self._store.read_outcomes(record) for record in records]
        if (picture := self._store.read_example(one)) is not None:
            self._store.keep_example(group[0].images_key, picture)
        return Part(outcomes, one.passes, one.seconds)
