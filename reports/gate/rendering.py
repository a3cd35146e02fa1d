"""A result as a table in a terminal, as Markdown for a CI summary, and as JUnit XML.

Renderers return what they made and never print.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from reports.gate.result import CellResult, CheckResult, Status
from reports.tables import DASH, escape_markdown
from reports.terminal import grids

if TYPE_CHECKING:
    from rich.console import Group

COLOURS = {
    Status.REGRESSION: "bold red",
    Status.SUSPICIOUS: "bold red",
    Status.CHANGED: "bold red",
    Status.INCOMPARABLE: "yellow",
    Status.IMPROVED: "green",
}
NO_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 cannot hold, not even escaped."""


def to_markdown(result: CheckResult) -> str:
    """Return GitHub Markdown: the answer, a line for each cell that changed, the table of all, the notes."""
    from tabulate import tabulate

    headings, lines = _grid(result)
    body = tabulate(
        [[escape_markdown(text) for text in line] for line in lines],
        headings,
        tablefmt="github",
        disable_numparse=True,
        colalign=["left", "left", *["right"] * (len(headings) - 2)],
    )
    changed, notes = (
        "".join(f"- {escape_markdown(text)}\n" for text in texts)
        for texts in ([finding.line for finding in result.changed], result.notes)
    )
    parts = (f"### Regression check: {result.headline}\n", changed, f"{body}\n", notes)
    return "\n".join(part for part in parts if part)


def to_terminal(result: CheckResult, width: int) -> Group:
    """Return the table of all cells, a line for each that changed, notes, the answer: for a terminal."""
    from rich.console import Group
    from rich.markup import escape
    from rich.text import Text

    headings, lines = _grid(result)
    styles = [COLOURS.get(finding.status, "") for finding in result.findings]
    parts = grids(headings, [list(map(escape, line)) for line in lines], width, styles=styles)
    changed = [Text(finding.line, COLOURS.get(finding.status, "")) for finding in result.changed]
    return Group(*parts, *changed, *map(Text, result.notes), Text(f"Regression check: {result.headline}"))


def to_junit(result: CheckResult) -> str:
    """Return JUnit XML: a test case per cell; what fails is a failure, what cannot be compared an error."""
    suite = ElementTree.Element(
        "testsuite",
        name="bench check",
        tests=str(len(result.findings)),
        failures=str(sum(finding.status.fails for finding in result.findings)),
        errors=str(sum(finding.status is Status.INCOMPARABLE for finding in result.findings)),
    )
    for finding in result.findings:
        _add_case(suite, finding)
    if result.notes:
        ElementTree.SubElement(suite, "system-out").text = _allowed("\n".join(result.notes))
    root = ElementTree.Element("testsuites")
    root.append(suite)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="utf-8", xml_declaration=True).decode() + "\n"


def _add_case(suite: ElementTree.Element, finding: CellResult) -> None:
    line = _allowed(finding.line)
    case = ElementTree.SubElement(
        suite, "testcase", classname=f"bench.{_allowed(finding.suite)}", name=_allowed(finding.name)
    )
    if finding.status.fails or finding.status is Status.INCOMPARABLE:
        kind = "failure" if finding.status.fails else "error"
        ElementTree.SubElement(case, kind, type=str(finding.status), message=line)
    elif finding.status is not Status.UNCHANGED:
        ElementTree.SubElement(case, "system-out").text = line


def _allowed(text: str) -> str:
    return NO_XML.sub("\ufffd", text)


def _grid(result: CheckResult) -> tuple[list[str], list[list[str]]]:
    """Return the headings and the lines of the table; a cell without numbers has dashes."""
    figures = [finding.evidence.figures() if finding.evidence else {} for finding in result.findings]
    names = list(dict.fromkeys(name for own in figures for name in own))
    lines = [
        [finding.name, str(finding.status), *(own.get(name, DASH) for name in names)]
        for finding, own in zip(result.findings, figures, strict=True)
    ]
    return ["cell", "status", *names], lines
