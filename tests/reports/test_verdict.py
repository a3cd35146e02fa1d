"""Checks that compare attacks, on records made by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
import pytest

from reports.archive import Archive
from reports.catalogue import tables_of
from reports.cell import Perturbation
from reports.records import Record, Store
from reports.statistics import mcnemar
from reports.tables import render
from reports.values import Doubted
from reports.verdict import Check, inspections, verdict_of
from reports.verdict.evidence import Evidence
from reports.verdict.paired import Paired

from .conftest import outcomes

N = 100
PGD = {"norm": "linf", "epsilon": 0.03, "steps": 10, "step_size": 0.0075, "random_start": True, "restarts": 1}


def test_the_paired_test_by_hand() -> None:
    """Seven to nothing is 1 in 128; examples that only one attack has met do not count."""
    first = dict.fromkeys(range(10), True)
    second = {k: k >= 7 for k in range(9)}
    test = Paired.of(first, second)

    assert test == Paired(n=9, only_first=0, only_second=7)
    assert test.p_value == pytest.approx(1 / 128)
    assert Paired(100, 3, 3).p_value == mcnemar(3, 3) > 0.5


@pytest.fixture
def attacked(record, tmp_path: Path) -> Callable[..., Record]:
    """Return a function that stores a record of an attack under which the given examples fall."""
    store = Store(tmp_path)

    def made(
        fallen: Sequence[int],
        target: str = "e2e",
        name: str = "pgd",
        n: int = N,
        columns: dict[str, object] | None = None,
        source: str = "cnnf_cifar",
        suite: str = "verdict",
        changes: dict[str, object] | None = None,
        **settings: object,
    ) -> Record:
        done = Perturbation(kind="attack", name=name, backend="native", settings=PGD | settings)
        stands = [example not in set(fallen) for example in range(n)]
        iterations = 0 if target == "first" else 2
        made_by = {"perturbation": done, "source": source, "source_weights": "a" * 64}
        aim = {"attack_target": target, "attack_iterations": iterations}
        frame = outcomes(stands).assign(linf=0.03, l2=1.0, lowest=0.0, highest=1.0, label=range(n))
        frame = frame.assign(**(columns or {}))
        return store.append(
            record(None, sum(stands), n, suite=suite, **made_by, **aim, **(changes or {})), frame
        )

    return made


@pytest.fixture
def verdict(tmp_path: Path) -> Callable[[], dict[str, Check]]:
    """Return a function to the verdict on what is stored."""
    return lambda: {c.name: c for c in verdict_of(Store(tmp_path).read(), Store(tmp_path))}


CASES = {
    "single step": {"steps": 1, "step_size": 0.03, "random_start": False},
    "steps": {"steps": 20},
    "restarts": {"restarts": 3},
    "other targets": {"target": "first"},
    "noise": {"target": "first", "name": "noise"},
    "gradient-free": {"name": "spsa"},
    "transfer": {"target": "first", "source": "cnn_cifar"},
}
"""Check -> the attack whose strength it fears."""


@pytest.mark.parametrize("name", CASES)
def test_an_attack_that_should_not_help_and_does(name: str, attacked, verdict) -> None:
    """Twelve more fall to it: the check fails, and doubts the informed attack's number."""
    trusted = attacked(range(40))
    attacked(range(52), **CASES[name])
    finding = verdict()[name].finding

    assert finding.status == "FAIL"
    assert trusted.key in finding.doubted
    assert "12" in finding.numbers


def cascade(*targets: str, last: str = "apgd") -> dict[str, object]:
    """Return the settings of a cascade whose members have these targets; the last may be another attack."""
    attacks = ["apgd"] * (len(targets) - 1) + [last]
    return {
        f"{k}.{name}": value
        for k, (attack, target) in enumerate(zip(attacks, targets, strict=True), 1)
        for name, value in (("attack", attack), ("target", target))
    }


def test_a_cascade_on_several_targets_takes_no_side(attacked, verdict) -> None:
    """What falls only to it may fall to a longer climb on the answer, or to a member that aims elsewhere."""
    trusted = attacked(range(40))
    attacked(range(52), name="strongest", **cascade("e2e", "first"))
    alone = verdict()
    attacked(range(52), target="first")

    assert alone["per example"].finding.status == "not run"
    assert alone["other targets"].finding.status == "not run"
    assert alone["objective"].finding.numbers == "2 of 2 gradient attacks aim at what is scored"
    assert verdict()["per example"].finding.doubted == {trusted.key}


def test_a_cascade_on_the_answer_alone_is_informed(attacked, verdict) -> None:
    """Whatever it breaks, it breaks with gradients of what is scored."""
    attacked(range(40))
    attacked(range(52), name="autoattack", **cascade("e2e", "e2e"))
    attacked(range(50), name="spsa")

    assert verdict()["per example"].finding.status == "pass"


def test_an_attack_that_wants_one_wrong_class_is_no_yardstick(attacked, verdict) -> None:
    """It is harder than any wrong class: a longer one that breaks less is not the strongest to beat."""
    attacked(range(40))
    attacked(range(45), name="spsa")
    alone = verdict()["gradient-free"]
    attacked(range(5), name="targeted_bim", steps=1000)

    after = verdict()
    assert alone.finding.status == "pass"
    assert after["gradient-free"].finding == alone.finding
    assert after["other targets"].finding.status == "not run"


def test_a_cascade_with_square_takes_no_side(attacked, verdict) -> None:
    """PGD leaves 60 and Square breaks 30 of them: AutoAttack, which needs Square for these, hides nothing."""
    attacked(range(40))
    attacked(range(70), name="square")
    alone = verdict()
    both = attacked(range(70), name="autoattack", **cascade("e2e", "e2e", last="square"))
    judged = verdict()

    assert judged["per example"].finding == alone["per example"].finding
    assert judged["per example"].finding.numbers.startswith("30 of 100")
    assert judged["per example"].finding.status == judged["gradient-free"].finding.status == "FAIL"
    assert not any(both.key in check.finding.doubted for check in judged.values())
    assert judged["objective"].finding.numbers == "2 of 2 gradient attacks aim at what is scored"


@pytest.mark.parametrize("name", CASES)
def test_a_few_examples_are_no_alarm(name: str, attacked, verdict) -> None:
    """Four that fall to it alone, against three that fall to the other alone, may be chance."""
    attacked(range(40))
    attacked([*range(3, 40), *range(40, 44)], **CASES[name])

    assert verdict()[name].finding.status == "pass"


@pytest.mark.parametrize("name", ["other targets", "noise", "gradient-free", "transfer"])
def test_too_few_examples_are_said(name: str, attacked, verdict) -> None:
    """Where even the worst outcome could be chance, nothing has been checked."""
    attacked([])
    attacked(range(6), n=6, **CASES[name])

    assert verdict()[name].finding.numbers == "too few examples"


SMALL = ({}, {"target": "first"}, {"steps": 20})


@pytest.mark.parametrize("is_first", [True, False])
def test_a_small_run_silences_nothing(is_first: bool, attacked, verdict, tmp_path: Path) -> None:
    """The same attacks on three images in the same folder leave checks, numbers and doubts as they are."""
    for n in (3, N) if is_first else (N, 3):
        for changes, fallen in zip(SMALL, (40, 52, 53), strict=True):
            attacked(range(fallen) if n == N else [], n=n, **changes)
    archive, store = Archive.of([tmp_path]), Store(tmp_path)
    numbers, checks = tables_of(store.read(), store)

    assert {name: verdict()[name].finding.status for name in ("other targets", "steps")} == {
        "other targets": "pass",
        "steps": "FAIL",
    }
    assert verdict()["ball"].finding.numbers.startswith("300 images")
    assert {value.n for value in numbers.rows[0].values} == {N}
    assert [(t.rows, t.notes) for t in tables_of(archive.records, archive)] == [
        (table.rows, table.notes) for table in (numbers, checks)
    ]


def test_the_worst_case_counts_examples(attacked, verdict) -> None:
    """Two attacks of equal strength that break different images: the mean hides what the union shows."""
    attacked(range(40))
    attacked(range(12, 52), target="first")
    checks = verdict()

    assert checks["other targets"].finding.status == "pass"
    assert checks["per example"].finding.status == "FAIL"
    assert checks["per example"].finding.numbers.startswith("12 of 100")


def test_a_larger_ball_must_not_hold_more(attacked, verdict) -> None:
    """Accuracy that rises with epsilon puts the number at the larger one in doubt."""
    attacked(range(40))
    larger = attacked(range(20), epsilon=0.06, step_size=0.015)
    finding = verdict()["epsilon"].finding

    assert finding.status == "FAIL"
    assert finding.doubted == {larger.key}


@pytest.mark.parametrize(("standing", "status"), [(1, "pass"), (9, "FAIL")])
def test_nothing_stands_above_chance_without_bounds(standing, status, attacked, verdict) -> None:
    """With ten labels of ten images each, chance is ten; with a hundred of one each, it is one."""
    attacked(range(40))
    attacked(range(N - standing), epsilon=0.5, step_size=0.1)

    assert verdict()["chance"].finding.status == status


def test_an_attack_on_something_else_is_no_adaptive_one(attacked, verdict) -> None:
    """The mean is scored, the last logits are attacked: nobody has attacked what is scored."""
    attacked(range(40), target="e2e_avg")

    assert verdict()["objective"].finding.status == "FAIL"


@pytest.mark.parametrize(
    "columns", [{"linf": 0.0301}, {"linf": float("nan")}, {"lowest": -1e-7}, {"highest": 1.1}]
)
def test_images_outside_are_seen(columns, attacked, verdict) -> None:
    """Beyond epsilon, beyond the pixels, or no number at all."""
    cheating = attacked(range(40), columns=columns)

    assert verdict()["ball"].finding.doubted == {cheating.key}


def test_transfer_from_a_harmless_source_proves_nothing(attacked, verdict) -> None:
    """Images that break fewer than noise does cannot beat a gradient, masked or not."""
    attacked(range(40))
    attacked(range(5), **CASES["transfer"])
    harmless = verdict()["transfer"].finding.status
    attacked(range(20), **CASES["noise"])

    assert harmless == "pass"
    assert verdict()["transfer"].finding.status == "not run"


def test_images_that_are_no_numbers_are_named(attacked, verdict) -> None:
    """A broken network's NaN images have no distance: the excess alone would say that all is well."""
    attacked(range(40), columns={"linf": float("nan")})

    assert verdict()["ball"].finding.numbers == "100 images, largest excess over epsilon 0, 100 are NaN"


def test_doubted_numbers_are_marked(attacked, tmp_path: Path) -> None:
    """The dagger stands beside the number, and a note says why."""
    attacked(range(40))
    attacked(range(52), target="first")
    numbers, checks = tables_of(Store(tmp_path).read(), Store(tmp_path))
    text = render([numbers], "markdown")

    assert "60.0† [" in text
    assert any(
        note.startswith("† CNN-F (last), other targets: of 100, 12 fall only to") for note in checks.notes
    )
    assert checks.rows[0].values[0].text == "not run"


def test_other_suites_have_the_short_form(attacked, tmp_path: Path) -> None:
    """The table of the attack suites marks what it doubts, and counts the checks its records allow."""
    attacked(range(40), suite="adversarial", steps=7)
    attacked(range(52), suite="adversarial", steps=7, target="first")
    (table,) = tables_of(Store(tmp_path).read(), Store(tmp_path))
    headings = [column.heading for column in table.columns]
    shown = dict(zip(headings, table.rows[0].values, strict=True))

    assert isinstance(shown["PGD (e2e)"], Doubted)
    assert not isinstance(shown["PGD (first)"], Doubted)
    assert shown["verdict"].text == "2 of 4 fail"
    assert any(note.endswith("the suite verdict runs all 19") for note in table.notes)
    assert any(note.startswith("† CNN-F (last), other targets") for note in table.notes)


def test_the_short_form_judges_all_suites_of_the_folder(attacked, tmp_path: Path) -> None:
    """What `verdict` has found is said and marked beside `adversarial`, in a run's tables and a report's."""
    own = [attacked(range(40), suite="adversarial", steps=7)]
    attacked(range(52), name="square")
    archive = Archive.of([tmp_path])
    (table,) = tables_of(own, Store(tmp_path))
    reported = [t for t in tables_of(archive.records, archive) if t.title.startswith("adversarial")]
    shown = dict(zip((column.heading for column in table.columns), table.rows[0].values, strict=True))

    assert isinstance(shown["PGD (e2e)"], Doubted)
    assert any(note.startswith("† CNN-F (last), gradient-free: of 100, 12 fall") for note in table.notes)
    assert reported == [table]


def test_the_short_form_is_on_the_threat_model_of_its_table(attacked, tmp_path: Path) -> None:
    """More attacks of other suites at another epsilon do not make that the one in question."""
    own = attacked(range(40), suite="adversarial", steps=7)
    attacked(range(52), name="square")
    for steps in (10, 20, 40):
        attacked(range(60), suite="epsilons", steps=steps, epsilon=0.06)
    (table,) = tables_of([own], Store(tmp_path))

    assert any(note.startswith("† CNN-F (last), gradient-free: of 100, 12 fall") for note in table.notes)


@pytest.mark.parametrize(
    "changes", [{"seed": 1}, {"dataset": "cifar100"}, {"readout": "avg"}, {"iterations": 3}]
)
def test_the_short_form_judges_nothing_else(changes, attacked, tmp_path: Path) -> None:
    """What another seed, dataset or answer has shown is not held against this one."""
    own = attacked(range(40), suite="adversarial", steps=7)
    attacked(range(52), name="square", changes=changes)
    (table,) = tables_of([own], Store(tmp_path))

    assert not any(note.startswith("†") for note in table.notes)


def test_records_without_outcomes_prove_nothing(record, tmp_path: Path) -> None:
    """Numbers that others have published cannot be compared per example."""
    checks = verdict_of([record("pgd-7 e2e", 40), record("pgd-7 first", 10)], Store(tmp_path))

    assert {check.finding.status for check in checks} == {"not run"}


def test_inspections_read_what_was_inspected_alone(attacked, record, tmp_path: Path) -> None:
    """The outcomes of attacks, which are many, hold nothing that a probe has measured."""
    for steps in (10, 20):
        attacked(range(40), steps=steps)
    store = Store(tmp_path)
    probed = store.append(record(None, 10, 10, probe="any"), outcomes([True] * 10).assign(margin=1.0))
    read = []

    class Watched:
        def read_outcomes(self, record: Record) -> pd.DataFrame:
            read.append(record.key)
            return store.read_outcomes(record)

    finding = inspections.logit_scale(Evidence.of(store.read(), Watched()))

    assert finding.status == "pass"
    assert read == [probed.key]


@pytest.mark.parametrize(
    ("name", "columns", "status"),
    [
        ("gradients", {"zero_gradient": [1.0] * 5 + [0.0] * 5, "nonfinite_gradient": 0.0}, "FAIL"),
        ("gradients", {"zero_gradient": [1.0] * 3 + [0.0] * 7, "nonfinite_gradient": 0.0}, "pass"),
        ("gradients", {"zero_gradient": [1.0] + [0.0] * 9, "nonfinite_gradient": 0.0}, "pass"),
        ("gradients", {"zero_gradient": 0.0, "nonfinite_gradient": 1.0}, "FAIL"),
        ("finite differences", {"difference_error": 0.02}, "FAIL"),
        ("finite differences", {"difference_error": float("nan")}, "FAIL"),
        ("finite differences", {"difference_error": 1e-8}, "pass"),
        ("logit scale", {"margin": 5e3}, "FAIL"),
        ("logits", {"is_probability": 1.0}, "FAIL"),
        ("deterministic", {"again": 0.1}, "FAIL"),
        ("stateless", {"after_others": 0.0, "permuted": float("nan"), "alone": 1e-7}, "pass"),
        ("stateless", {"after_others": 0.0, "permuted": 0.0, "alone": 0.1}, "FAIL"),
        ("unchanged", {"changed": 1.0}, "FAIL"),
        ("unchanged", {"changed": float("nan")}, "not run"),
    ],
)
def test_inspections(name, columns, status, record, tmp_path: Path, verdict) -> None:
    """Thresholds of what the probes measure; a number that is none never passes."""
    frame = outcomes([True] * 10).assign(**columns)
    Store(tmp_path).append(record(None, 10, 10, suite="verdict", probe="any"), frame)

    assert verdict()[name].finding.status == status
