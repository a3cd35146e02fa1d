from __future__ import annotations

import pytest

from reports.gate.published import COLUMNS, SUITE, Claim, compare_published
from reports.gate.verdict import Rules, Verdict
from zoo import ENTRIES

PGD = "pgd-7 first"


def claim(percent: float, column: str = "pgd_first", n: int = 10_000, readout: str = "last") -> Claim:
    return Claim("cnnf_cifar", 2, readout, column, percent, n)


@pytest.fixture
def measured(record):
    """Return a function from an attack, a count and changes to a record of the authors' protocol."""
    return lambda attack, correct, n=1000, **changes: record(attack, correct, n, suite=SUITE, **changes)


def statuses(verdict: Verdict) -> list[str]:
    return [str(finding.status) for finding in verdict.findings]


@pytest.mark.parametrize(
    ("column", "attack", "correct", "status", "exit_code"),
    [
        # 49 % of 10,000 and of 1,000: the 98 % interval reaches 3.8 points to either side.
        ("pgd_first", PGD, 490, "unchanged", 0),
        ("pgd_first", PGD, 455, "within noise", 0),
        ("pgd_first", PGD, 440, "regression", 1),
        ("pgd_first", PGD, 540, "suspicious", 1),
        ("clean", None, 540, "improved", 0),
        ("clean", None, 440, "regression", 1),
    ],
)
def test_a_difference_counts_outside_the_interval(
    measured, column, attack, correct, status, exit_code
) -> None:
    """Both numbers of examples make the interval; directions are those of the paired check."""
    verdict = compare_published([claim(49, column)], [measured(attack, correct)], Rules())

    assert (statuses(verdict), verdict.exit_code) == ([status], exit_code)


def test_numbers_by_hand(measured) -> None:
    """The interval of a difference of 80 % of 70 and 60 % of 80, two-sided 95 %, by Newcombe: 5.24 to 33.39."""
    verdict = compare_published([claim(60.0, n=80)], [measured(PGD, 56, 70)], Rules(alpha=0.025))

    assert verdict.findings[0].line == (
        "suspicious: cnnf_cifar (last): PGD (first): published 60.00 % of 80, now 80.00 % of 70 "
        "(+20.00 points, interval [+5.24, +33.39])"
    )


def test_few_published_examples_prove_little(measured) -> None:
    """Nine points are nothing against 64 images, and much against 10,000."""
    record = measured("spsa-7 e2e", 430)
    verdict = compare_published([claim(52, "spsa_e2e", n) for n in (64, 10_000)], [record], Rules())

    assert statuses(verdict) == ["within noise", "regression"]


def test_more_claims_need_wider_intervals(measured) -> None:
    """What is significant alone is not among six (Bonferroni)."""
    records = [measured(PGD, 450), *(measured("pgd-7 e2e", 490, readout=r) for r in ("last", "avg"))]
    one = claim(49)
    others = [claim(49, "pgd_e2e", readout=readout) for readout in ("last", "avg")] * 3

    assert statuses(compare_published([one], records, Rules(alpha=0.02)))[0] == "regression"
    assert statuses(compare_published([one, *others], records, Rules(alpha=0.02)))[0] == "within noise"


def test_a_small_difference_does_not_matter(measured) -> None:
    """However many images show it."""
    record = measured(PGD, 489_000, 1_000_000)

    verdict = compare_published([claim(49.3, n=1_000_000)], [record], Rules())
    assert statuses(verdict) == ["negligible"]


def test_the_level_of_the_intervals_is_told(measured) -> None:
    """98 % for one claim at 0.01 in each direction, 99 % for two."""
    records = [measured(PGD, 490), measured("pgd-7 e2e", 490)]
    notes = [
        compare_published(claims, records, Rules()).notes
        for claims in ([claim(49)], [claim(49), claim(49, "pgd_e2e")])
    ]

    assert notes == [("intervals of level 98 %",), ("intervals of level 99 %",)]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"suite": "adversarial"}, "missing from the results; the suite cnnf-paper measures it"),
        ({"iterations": 3}, "missing from the results; the suite cnnf-paper measures it"),
        ({"status": "error", "error": "RuntimeError: no"}, "failed: RuntimeError: no"),
    ],
)
def test_what_was_not_measured_is_incomparable(record, changes, reason) -> None:
    """Another protocol, another number of iterations, or an error."""
    found = record(PGD, 490, 1000, **({"suite": SUITE} | changes))
    verdict = compare_published([claim(49)], [found], Rules())

    assert verdict.exit_code == 3
    assert verdict.findings[0].reason == reason


def test_two_answers_are_incomparable(measured) -> None:
    """Two checkpoints in one folder."""
    records = [measured(PGD, 490), measured(PGD, 480, weights="b" * 64)]
    verdict = compare_published([claim(49)], records, Rules())

    assert verdict.findings[0].reason == "the results hold 2 versions of it: check the folder of one run"


@pytest.mark.parametrize("name", [name for name, entry in ENTRIES.items() if entry.published])
def test_every_published_number_can_be_compared(name) -> None:
    """Its column is one of ours, and the number of examples behind it is known."""
    entry = ENTRIES[name]
    columns = {column for own in entry.published.values() for column in own}

    assert columns <= COLUMNS.keys() & entry.published_examples.keys()
