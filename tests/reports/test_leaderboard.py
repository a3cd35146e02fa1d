from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench import exporting
from bench.errors import BenchError
from reports.archive import Archive, Claims
from reports.catalogue import TABLES, made
from reports.cell import Perturbation
from reports.leaderboard import standings
from reports.records import Store
from reports.values import Remark

from .conftest import outcomes

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
    assert table.rows[0].values[3:5] == (Remark("no"), Remark("linf 8/255"))


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


def test_nothing_to_export_is_said(record, tmp_path: Path) -> None:
    """Clean accuracy alone is no entry."""
    Store(tmp_path).append(record(None, 1, 1), outcomes([True]))

    with pytest.raises(BenchError, match="nothing to export"):
        exporting.robustbench(Archive.of([tmp_path]), tmp_path / "out")
