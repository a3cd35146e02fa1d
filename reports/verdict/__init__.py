"""Whether robust accuracies can be believed: checks as queries over records (docs/verdict.md)."""

from reports.verdict.catalogue import RULES, Check, doubted, verdict_of, verdicts_on
from reports.verdict.tables import marked, short_form, short_notes, verdict_tables

__all__ = [
    "RULES",
    "Check",
    "doubted",
    "marked",
    "short_form",
    "short_notes",
    "verdict_of",
    "verdict_tables",
    "verdicts_on",
]
