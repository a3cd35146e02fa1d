"""Kinds and severities of corruptions as a person names them; without torch."""

from __future__ import annotations

from bench.errors import BenchError, UnknownName
from corruptions.names import BENCHMARK_CORRUPTIONS, FAMILIES, SEVERITIES

GROUPS: dict[str, tuple[str, ...]] = {
    "all": tuple(name for names in FAMILIES.values() for name in names),
    "benchmark": BENCHMARK_CORRUPTIONS,
}
"""Names that stand for several kinds."""


def parse_kinds(text: str) -> tuple[str, ...]:
    """Return the kinds that are named, separated by commas, in the catalogue's order.

    Raises:
        UnknownName: If there is no such kind.
    """
    chosen: set[str] = set()
    for word in _words(text):
        if word not in GROUPS and word not in GROUPS["all"]:
            raise UnknownName("corruption", word, [*GROUPS, *GROUPS["all"]])
        chosen.update(GROUPS.get(word, (word,)))
    return tuple(name for name in GROUPS["all"] if name in chosen)


def parse_severities(text: str) -> tuple[int, ...]:
    """Return the severities that are named, separated by commas, in ascending order.

    Raises:
        BenchError: If one is not from 1 to 5.
    """
    known = {str(severity): (severity,) for severity in SEVERITIES} | {"all": SEVERITIES}
    chosen: set[int] = set()
    for word in _words(text):
        if word not in known:
            raise BenchError(f"severity must be from 1 to 5, several as in 1,3,5, or all, got {word!r}")
        chosen.update(known[word])
    return tuple(sorted(chosen))


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",")]
