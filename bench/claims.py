"""What the authors of the zoo's models claim, as the gate reads it."""

from __future__ import annotations

from collections.abc import Iterable

import zoo
from bench.errors import BenchError
from reports.gate.published import Claim
from reports.records import Record


def of_models(records: Iterable[Record]) -> list[Claim]:
    """Return the claims about every model that records are of.

    Raises:
        BenchError: If nothing was published about any of them.
    """
    names = dict.fromkeys(record.cell.model for record in records)
    claims = [
        Claim(entry.name, entry.iterations, readout, column, percent, entry.published_examples[column])
        for entry in (zoo.ENTRIES[name] for name in names if name in zoo.ENTRIES)
        for readout, columns in entry.published.items()
        for column, percent in columns.items()
    ]
    if not claims:
        known = ", ".join(name for name, entry in zoo.ENTRIES.items() if entry.published)
        raise BenchError(f"nothing was published about {', '.join(names)}; known: {known}")
    return claims
