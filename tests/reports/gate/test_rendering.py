from __future__ import annotations

import io
from xml.etree import ElementTree

import pytest
from rich.console import Console

from reports.gate.paired import CellChange
from reports.gate.published import Unpaired
from reports.gate.rendering import to_junit, to_markdown, to_terminal
from reports.gate.result import CellResult, CheckResult, Status
from reports.metrics import Accuracy, Interval
from reports.values import Claim


def paired(before: int, lost: int, gained: int, flips: int, p: float, adjusted: float) -> CellChange:
    now = Accuracy(before - lost + gained, 1000)
    return CellChange(Accuracy(before, 1000), now, lost, gained, flips, p, adjusted)


@pytest.fixture
def result() -> CheckResult:
    """Return a check in which everything happened at once."""
    found = [
        ("clean", Status.UNCHANGED, paired(872, 0, 0, 0, 1.0, 1.0)),
        ("pgd-7 first", Status.REGRESSION, paired(766, 40, 2, 55, 2.06e-10, 1.2e-9)),
        ("pgd-7 e2e", Status.SUSPICIOUS, paired(700, 1, 30, 40, 1.5e-8, 7.5e-8)),
        ("pgd-40 first", Status.CHANGED, paired(761, 1, 1, 3, 0.75, 1.0)),
        ("fog severity 3", Status.NOISE, paired(761, 1, 0, 1, 0.5, 1.0)),
    ]
    findings = [CellResult(f"my_net (avg): {name}", "adversarial", *rest) for name, *rest in found]
    findings.append(
        CellResult(
            "my_net (avg): spsa-7 first",
            "adversarial",
            Status.INCOMPARABLE,
            reason='failed: RuntimeError: <a | "b"> & \x1b[31m*red*',
        )
    )
    return CheckResult(tuple(findings), ("made otherwise than the baseline: torch 2.6.0, now 2.15.0",))


def test_markdown(result, golden) -> None:
    """The summary of a failing check, read by a person."""
    golden("check.md", to_markdown(result))


def test_junit(result, golden) -> None:
    """The same as JUnit XML."""
    golden("check.xml", to_junit(result))


def test_published_markdown(golden) -> None:
    """A check against published numbers has its own columns."""
    now = Accuracy(440, 1000)
    found = Unpaired(Claim(48.9, 10_000), now, Interval(-0.087, -0.011))
    golden(
        "check_published.md",
        to_markdown(
            CheckResult(
                (
                    CellResult("cnnf_cifar (last): PGD (first)", "cnnf-paper", Status.REGRESSION, found),
                    CellResult(
                        "cnnf_cifar (last): clean", "cnnf-paper", Status.INCOMPARABLE, reason="missing"
                    ),
                )
            )
        ),
    )


def test_junit_is_xml_that_counts(result) -> None:
    """It parses, though a message holds what XML cannot; failures and errors are those of the check."""
    (suite,) = ElementTree.fromstring(to_junit(result))
    cases = suite.findall("testcase")

    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("6", "3", "1")
    assert [len(case.findall("failure")) for case in cases] == [0, 1, 1, 1, 0, 0]
    assert cases[5].find("error").get("message").endswith('<a | "b"> & \ufffd[31m*red*')
    assert cases[0].get("classname") == "bench.adversarial"


def test_a_terminal_shows_every_cell_and_every_change(result) -> None:
    """The table, a line for each change, the notes, and the answer at the end."""
    console = Console(file=io.StringIO(), width=200)
    console.print(to_terminal(result, console.width))
    shown = console.file.getvalue().splitlines()

    assert sum("my_net (avg): pgd-7 e2e " in line for line in shown) == 1
    assert [line.split(":")[0] for line in shown if line.startswith(tuple(Status))] == [
        "regression",
        "suspicious",
        "changed",
        "incomparable",
        "within noise",
    ]
    assert shown[-1] == (
        "Regression check: failed (1 regression, 1 suspicious, 1 changed, 1 incomparable, 1 within noise, "
        "1 unchanged)"
    )


@pytest.mark.parametrize("width", [50, 80, 100])
def test_a_terminal_cuts_nothing_off(result, width: int) -> None:
    """Columns without room stand below the others, with the cells' names."""
    console = Console(file=io.StringIO(), width=width)
    console.print(to_terminal(result, width))
    shown = console.file.getvalue()

    assert "\u2026" not in shown
    assert max(map(len, shown.splitlines())) <= width
    assert all(line[-1] == "\u2502" for line in shown.splitlines() if line[:1] == "\u2502")
    assert all(text in shown for text in (" regression ", " incomparable ", " 76.60 ", " 1.2e-09 "))
