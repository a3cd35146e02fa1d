from __future__ import annotations

import pytest

from reports.archive import Archive, Claims
from reports.gate.published import SUITE, compare_published
from reports.gate.result import CheckResult, Rules
from reports.records import Record, RecordError

PGD = "pgd-7 first"


def against(claims: dict[str, float], *records: Record, **rules: object) -> CheckResult:
    """Return the check of records against claims about the last readout of their model."""
    published = {"cnnf_cifar": Claims("A et al.", {"last": claims})}
    return compare_published(Archive(records, published=published), Rules(**rules))


@pytest.fixture
def measured(record):
    """Return a function from an attack, a count and changes to a record of the authors' protocol."""
    return lambda attack, correct, n=1000, **changes: record(attack, correct, n, suite=SUITE, **changes)


def statuses(result: CheckResult) -> list[str]:
    return [str(finding.status) for finding in result.findings]


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
    result = against({column: 49}, measured(attack, correct))

    assert (statuses(result), result.exit_code) == ([status], exit_code)


def test_numbers_by_hand(measured) -> None:
    """Newcombe's interval of 440 of 1,000 less 4,900 of 10,000 at 98 %, both Wilson intervals by hand.

    Wilson at z = 2.3263: [0.40390, 0.47674] and [0.47838, 0.50163]; -0.05 - hypot(0.03610, 0.01163) and
    -0.05 + hypot(0.03674, 0.01162).
    """
    (finding,) = against({"pgd_first": 49}, measured(PGD, 440)).findings

    assert finding.line == (
        "regression: CNN-F (last): PGD (first): published 49.00 % of 10000, now 44.00 % of 1000 "
        "(-5.00 points, interval [-8.79, -1.15])"
    )


def test_few_published_examples_prove_little(measured) -> None:
    """SPSA is known on 640 images, PGD on 10,000: five points are within noise, or not."""
    result = against(
        {"pgd_e2e": 49, "spsa_e2e": 49},
        measured("pgd-7 e2e", 440, data="e" * 64),
        measured("spsa-7 e2e", 440, data="e" * 64),
    )

    assert statuses(result) == ["regression", "within noise"]


def test_more_claims_need_wider_intervals(measured) -> None:
    """What is significant alone is not among four (Bonferroni)."""
    records = [measured(PGD, 450), *(measured(a, 490) for a in (None, "pgd-7 e2e", "spsa-7 e2e"))]
    one, four = {"pgd_first": 49}, dict.fromkeys(("pgd_first", "clean", "pgd_e2e", "spsa_e2e"), 49)

    assert statuses(against(one, *records)) == ["regression"]
    assert "regression" not in statuses(against(four, *records))


def test_a_small_difference_does_not_matter(measured) -> None:
    """However many images show it."""
    record = measured(PGD, 470_000, 1_000_000)

    assert statuses(against({"pgd_first": 49}, record, min_drop=2.5)) == ["negligible"]


def test_the_level_of_the_intervals_is_told(measured) -> None:
    """98 % for one claim at 0.01 in each direction, 99 % for two."""
    records = [measured(PGD, 490), measured("pgd-7 e2e", 490)]

    assert against({"pgd_first": 49}, *records).notes == ("intervals of level 98 %",)
    assert against({"pgd_first": 49, "pgd_e2e": 49}, *records).notes == ("intervals of level 99 %",)


@pytest.mark.parametrize(
    ("others", "reason"),
    [
        ([], "missing from the results"),
        ([{"status": "error", "error": "RuntimeError: no"}], "failed: RuntimeError: no"),
        ([{}, {"seed": 1}], "the results hold 2 versions of it: check the folder of one run"),
    ],
)
def test_what_has_no_one_answer_is_incomparable(measured, others, reason) -> None:
    """A claim that the run did not get to, failed at, or answered twice."""
    records = [measured(PGD, 490, **changes) for changes in others]
    result = against({"clean": 49, "pgd_first": 49}, measured(None, 490), *records)

    assert result.exit_code == 3
    assert statuses(result) == ["unchanged", "incomparable"]
    assert result.findings[1].reason == reason


def test_a_network_without_feedback_is_attacked_once(measured) -> None:
    """Its attack end to end is that on the first pass: one claim, one finding."""
    result = against({"pgd_first": 49}, measured(PGD, 490, iterations=0))

    assert [finding.name for finding in result.findings] == ["CNN-F: PGD (first)"]


def test_another_protocol_is_refused(record) -> None:
    """The strict suite has another epsilon; its numbers say nothing about the claims."""
    with pytest.raises(RecordError, match="no record of the suite cnnf-paper is of a model with published"):
        against({"pgd_first": 49}, record(PGD, 490, 1000, suite="adversarial"))
