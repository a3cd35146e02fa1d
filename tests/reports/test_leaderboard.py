from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench import exporting
from bench.errors import BenchError
from reports.archive import Archive, Claims
from reports.catalogue import TABLES, made
from reports.cell import Perturbation
from reports.leaderboard import leaderboard, model_info, standings
from reports.records import Store
from reports.values import Remark

from .conftest import attack_on, outcomes

EPSILON = 8 / 255


@pytest.fixture
def folder(record, tmp_path: Path) -> Path:
    """Return results in which AutoAttack and another suite's transfer break different images."""
    store = Store(tmp_path / "results")

    def append(name: str, fallen: set[int], suite: str, epsilon: float = EPSILON, **fields: object) -> None:
        done = Perturbation(
            kind="attack", name=name, backend="native", settings={"norm": "linf", "epsilon": epsilon}
        )
        stands = [example not in fallen for example in range(20)]
        aim = {"source": "cnnf_cifar", "source_weights": "a" * 64, "attack_target": "e2e"} | fields
        made = record(None, sum(stands), 20, suite=suite, perturbation=done, attack_iterations=2, **aim)
        store.append(made, outcomes(stands))

    append("autoattack", {0, 1, 2}, "autoattack")
    append("pgd", {4}, "verdict", source="cnn_cifar")
    append("pgd", set(range(20)), "verdict", epsilon=0.5)
    store.append(record(None, 18, 20, suite="verdict"), outcomes([True] * 18 + [False] * 2))
    return tmp_path / "results"


def test_the_best_known_is_over_all_suites_and_one_threat_model(folder: Path) -> None:
    """Four of twenty fall to an attack and two are wrong clean; what falls at 0.5 is another question."""
    (standing,) = standings(Archive.of([folder], {"cnnf_cifar": Claims("Huang et al.", {})}))

    assert (standing.autoattack.correct, standing.best_known.correct) == (17, 14)
    assert (standing.clean.correct, standing.citation) == (18, "Huang et al.")


def test_it_is_shown_once(folder: Path) -> None:
    """Two suites of one dataset give one leaderboard."""
    archive = Archive.of([folder])
    (table,) = [table for _, tables in made(TABLES, "leaderboard", archive) for table in tables]

    assert table.title == "Leaderboard, cifar10"
    assert table.rows[0].values[3:5] == (Remark("no (4 of 19 run)"), Remark("linf 8/255"))


def test_two_seeds_are_one_leaderboard(stored) -> None:
    """What stands is counted over both, so that a second table would say the same."""
    attacks = (attack_on("pgd", "e2e", EPSILON, 2, seed=seed) for seed in (0, 1))
    archive = stored(*(([True, True, False, False], attack) for attack in attacks))
    (table,) = [table for _, tables in made(TABLES, "leaderboard", archive) for table in tables]

    assert len(table.rows) == 1


def test_every_suite_enters_its_models_and_only_at_its_radius(record, tmp_path: Path) -> None:
    """A model that was only under `strongest` is there; a curve over radii adds and hides nothing."""
    store = Store(tmp_path)

    def append(suite: str, model: str, epsilon: float, iterations: int) -> None:
        settings = {"norm": "linf", "epsilon": epsilon}
        done = Perturbation(kind="attack", name="pgd", backend="native", settings=settings)
        aim = {"source": model, "source_weights": "a" * 64, "attack_target": "e2e", "attack_iterations": 2}
        made = record(
            None, 2, 4, suite=suite, model=model, perturbation=done, iterations=iterations, label=model, **aim
        )
        store.append(made, outcomes([True, True, False, False]))

    append("adversarial", "one", EPSILON, 2)
    append("strongest", "other", EPSILON, 2)
    append("epsilons", "curve", 0.001, 1)
    append("consistency", "one", EPSILON, 1)
    archive = Archive.of([tmp_path])
    (table,) = [table for _, tables in made(TABLES, "leaderboard", archive) for table in tables]

    assert sorted(row.label.split()[0].rstrip(",") for row in table.rows) == ["one", "other"]


def test_robustbenchs_file(folder: Path, tmp_path: Path) -> None:
    """Its layout and its fields, accuracies as text in percent."""
    (path,) = exporting.robustbench(Archive.of([folder]), tmp_path / "out")
    info = json.loads(path.read_text())

    assert path.relative_to(tmp_path / "out").as_posix() == "cifar10/Linf/cnnf_cifar_aaaaaaaa_2_last.json"
    assert (info["clean_acc"], info["autoattack_acc"], info["external"]) == ("90.00", "85.00", "70.00")
    assert (info["eps"], info["dataset"], info["unreliable"]) == ("8/255", "cifar10", False)
    assert info["footnote"] == "4 of 19 checks made; images: clean_acc 20, autoattack_acc 20, external 20"


@pytest.fixture
def attacked(record, tmp_path: Path):
    """Return a function that stores an attack on n images, of which the first fall."""

    def made(name: str, n: int, fallen: int = 0, model: str = "m", members: int = 0, steps: int = 1) -> None:
        settings: dict[str, object] = {"norm": "linf", "epsilon": EPSILON, "steps": steps}
        for k in range(1, members + 1):
            settings |= {f"{k}.attack": "apgd", f"{k}.target": "e2e"}
        done = Perturbation(kind="attack", name=name, backend="native", settings=settings)
        stands = [example >= fallen for example in range(n)]
        own = {
            "source": model,
            "source_weights": "a" * 64,
            "attack_target": "e2e",
            "attack_iterations": 2,
        }
        attack = record(None, sum(stands), n, model=model, label=model, perturbation=done, **own)
        Store(tmp_path / "stored").append(attack, outcomes(stands))

    return made


def test_the_first_pass_alone_is_no_entry(record, tmp_path: Path) -> None:
    """It is a control of a network with feedback; a network without has nothing else."""
    settings = {"norm": "linf", "epsilon": EPSILON}
    done = Perturbation(kind="attack", name="pgd", backend="native", settings=settings)
    for model, iterations in (("fed", 0), ("fed", 2), ("bare", 0)):
        own = {"source": model, "source_weights": "a" * 64, "attack_target": "first", "attack_iterations": 0}
        attack = record(None, 2, 4, model=model, label=model, iterations=iterations, perturbation=done, **own)
        Store(tmp_path).append(attack, outcomes([True, True, False, False]))
    found = standings(Archive.of([tmp_path]))

    assert {(entry.answer.model, entry.answer.iterations) for entry in found} == {("bare", 0), ("fed", 2)}


def test_images_that_a_cascade_never_met_do_not_count(attacked, tmp_path: Path) -> None:
    """PGD breaks none of 40, the cascade four of the first ten and SPSA one more of them.

    Five of ten stand, not 35 of forty: an attack that has succeeded has succeeded, on the images that count.
    """
    attacked("pgd", 40)
    attacked("spsa", 5, fallen=5)
    attacked("strongest", 10, fallen=4, members=2)
    (standing,) = standings(Archive.of([tmp_path / "stored"]))

    assert (standing.best_known.correct, standing.best_known.n) == (5, 10)


def test_without_a_cascade_the_longest_informed_attack_tells_which_images_count(
    attacked, tmp_path: Path
) -> None:
    """A longer PGD met ten of forty images; SPSA, which met two, does not make it two."""
    attacked("pgd", 40, fallen=1)
    attacked("spsa", 2)
    attacked("apgd", 10, fallen=3, steps=40)
    (standing,) = standings(Archive.of([tmp_path / "stored"]))

    assert (standing.best_known.correct, standing.best_known.n) == (7, 10)


def test_one_more_attack_never_lets_more_stand(attacked, tmp_path: Path) -> None:
    """A shorter one on the first two of ten images, which both stand, does not make it two of two."""
    attacked("pgd", 10, steps=40)
    attacked("square", 10, fallen=4)
    attacked("apgd", 2, steps=7)
    (standing,) = standings(Archive.of([tmp_path / "stored"]))

    assert (standing.best_known.correct, standing.best_known.n) == (6, 10)


def test_answers_without_a_cascade_stand_last(attacked, tmp_path: Path) -> None:
    """What is 95 % under PGD alone is not ahead of what is 60 % under a cascade."""
    attacked("pgd", 40, fallen=2, model="easy")
    attacked("strongest", 10, fallen=4, members=2, model="hard")

    assert [standing.label.split()[0] for standing in standings(Archive.of([tmp_path / "stored"]))] == [
        "hard",
        "easy",
    ]


@pytest.mark.parametrize(("n", "is_said"), [(40, True), (10, False)])
def test_ranks_on_different_images_are_said(n: int, is_said: bool, attacked, tmp_path: Path) -> None:
    """Of ten images one may keep more than another of forty and yet fewer of these ten."""
    attacked("pgd", n, fallen=n // 2, model="wide")
    attacked("pgd", 10, fallen=4, model="few")
    archive = Archive.of([tmp_path / "stored"])
    (table,) = leaderboard(archive.records, archive)
    notes = [note for note in table.notes if note.startswith("ranks compare different images")]

    assert bool(notes) == is_said
    assert not is_said or notes[0].endswith("best known is on 10 of few (last); 40 of wide (last)")


def test_nothing_checked_is_not_reliable(attacked, tmp_path: Path) -> None:
    """Of a single attack without gradients no check can be made: neither "no" nor false is known."""
    attacked("square", 10, fallen=4)
    archive = Archive.of([tmp_path / "stored"])
    (standing,) = standings(archive)
    (table,) = leaderboard(archive.records, archive)

    assert table.rows[0].values[3] == Remark("not checked")
    assert model_info(standing)["unreliable"] is None


def test_nothing_to_export_is_said(record, tmp_path: Path) -> None:
    """Clean accuracy alone is no entry."""
    Store(tmp_path).append(record(None, 1, 1), outcomes([True]))

    with pytest.raises(BenchError, match="nothing to export"):
        exporting.robustbench(Archive.of([tmp_path]), tmp_path / "out")
