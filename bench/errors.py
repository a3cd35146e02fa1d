"""What a user can mend. The command line shows these as one line, without a traceback.

BenchError          exit code 2
  UnknownName       a name that no catalogue holds
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class BenchError(Exception):
    """Something the user can mend; its message is one line."""


MANY = 50
"""Names that one line can hold; of more only the nearest are shown."""


class UnknownName(BenchError):
    """A name that no catalogue holds."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        names = sorted(known)
        nearest = difflib.get_close_matches(name, names, n=1 if len(names) <= MANY else 3)
        hint = f"; did you mean {' or '.join(map(repr, nearest))}?" if nearest else ";"
        known_names = ", ".join(names) if len(names) <= MANY else f"{len(names)} names"
        super().__init__(f"unknown {kind} {name!r}{hint} known: {known_names}")
