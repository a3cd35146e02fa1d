from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from bench.cards import fill
from bench.cli import main
from bench.errors import BenchError
from bench.models import from_zoo
from reports.records import Store


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Return the folder of a small run of the shipped CNN."""
    folder = tmp_path / "results"
    sizes = ["--examples", "3", "--spsa-examples", "1", "--suite", "smoke"]
    done = CliRunner().invoke(main, ["run", "--model", "cnn_fmnist", *sizes, "--results", str(folder)])
    assert done.exit_code == 0, done.output
    return folder


def test_a_card_takes_what_a_run_measured(results: Path, tmp_path: Path) -> None:
    """Counts and settings of every cell; the rest of the card stays."""
    card = tmp_path / "card.json"
    card.write_text(json.dumps({"sha256": from_zoo("cnn_fmnist").scored.weights, "epochs": 10}))
    done = CliRunner().invoke(main, ["card", str(results), str(card)])
    content = json.loads(card.read_text())
    (clean,) = [found for found in content["accuracies"] if found["attack"] is None]
    steps = sorted(found["attack"]["steps"] for found in content["accuracies"] if found["attack"])

    assert done.exit_code == 0, done.output
    assert content["epochs"] == 10
    assert (clean["n"], clean["readout"], clean["source"]) == (3, "last", None)
    assert steps == [7, 7, 40]


def test_of_several_runs_the_one_on_most_images_counts(results: Path, tmp_path: Path) -> None:
    """Whatever its suite is called; attacks that were not run again stay."""
    card = tmp_path / "card.json"
    card.write_text(json.dumps({"sha256": from_zoo("cnn_fmnist").scored.weights}))
    for examples in ("5", "4"):
        sizes = ["--suite", "clean", "--examples", examples]
        CliRunner().invoke(main, ["run", "--model", "cnn_fmnist", *sizes, "--results", str(results)])
    done = CliRunner().invoke(main, ["card", str(results), str(card)])
    content = json.loads(card.read_text())

    assert done.stdout.startswith("4 accuracies")
    assert [found["n"] for found in content["accuracies"] if found["attack"] is None] == [5]


def test_what_the_card_knew_stays_unless_it_was_measured_again(results: Path, tmp_path: Path) -> None:
    """Results of another day need not be at hand; on as many images the new ones count, on fewer the old."""
    card = tmp_path / "card.json"
    card.write_text(json.dumps({"sha256": from_zoo("cnn_fmnist").scored.weights}))
    records = Store(results).read()
    fill(card, records)
    whole = json.loads(card.read_text())
    assert [found["attack"] and found["attack"]["name"] for found in whole["accuracies"]] == [
        None,
        "pgd",
        "pgd",
        "spsa",
    ]

    whole["accuracies"][0] |= {"n": 2, "correct": 0}
    whole["accuracies"][1] |= {"n": 3, "correct": 77}
    whole["accuracies"][2] |= {"n": 9, "correct": 5}
    card.write_text(json.dumps(whole))
    assert fill(card, records[:-1]) == 4
    mended = json.loads(card.read_text())["accuracies"]
    assert [found["n"] for found in mended] == [3, 3, 9, 1]
    assert mended[1]["correct"] <= 3
    assert mended[2]["correct"] == 5
    assert mended[3] == whole["accuracies"][3]


def test_of_several_seeds_the_lowest_counts(results: Path, tmp_path: Path) -> None:
    """Whatever was run last."""
    card = tmp_path / "card.json"
    card.write_text(json.dumps({"sha256": from_zoo("cnn_fmnist").scored.weights}))
    noted = []
    for seed in ("2", "1", "3"):
        sizes = ["--suite", "adversarial", "--examples", "3", "--spsa-examples", "1", "--seed", seed]
        CliRunner().invoke(main, ["run", "--model", "cnn_fmnist", *sizes, "--results", str(tmp_path / seed)])
    for seeds in ("1", "12", "312"):
        fill(card, [record for seed in seeds for record in Store(tmp_path / seed).read()])
        noted.append(json.loads(card.read_text())["accuracies"])

    assert noted[0] == noted[1] == noted[2]


def test_records_of_other_weights_are_refused(results: Path, tmp_path: Path) -> None:
    """A card never holds the numbers of another checkpoint."""
    card = tmp_path / "card.json"
    card.write_text(json.dumps({"sha256": "0" * 64}))
    done = CliRunner().invoke(main, ["card", str(results), str(card)])

    assert done.exit_code == 2
    assert "no record is of the weights of card.json, SHA-256 000000000000" in done.stderr


def test_a_card_whose_hash_is_no_text(tmp_path: Path) -> None:
    """No record is of such weights."""
    card = tmp_path / "card.json"
    card.write_text('{"sha256": 5}')

    with pytest.raises(BenchError, match=r"no record is of the weights of card\.json, SHA-256 5"):
        fill(card, [])


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"sha256": "a", "accuracies": [1]}', '{"sha256": "a", "accuracies": [{}]}']
)
def test_something_else_than_a_card_is_refused(results: Path, tmp_path: Path, content: str) -> None:
    """One line, and the file stays as it is."""
    card = tmp_path / "card.json"
    card.write_text(content)
    done = CliRunner().invoke(main, ["card", str(results), str(card)])

    assert done.exit_code == 2
    assert "is not a card" in done.stderr
    assert card.read_text() == content


def test_what_is_no_accuracy_under_attack_stays_out(runner, plan, tmp_path: Path) -> None:
    """Corrupted, noisy and probed images have tables of their own."""
    cells = [*plan("restoration", examples=2), *plan("predify-noise", examples=2)]
    shown = [cell for cell in cells if cell.perturbation or cell.probe]
    records = runner().run(shown)
    card = tmp_path / "card.json"
    card.write_text(json.dumps({"sha256": records[0].cell.weights}))

    with pytest.raises(BenchError, match="no record is of the weights"):
        fill(card, records)
    assert fill(card, runner("clean").run([cell for cell in cells if cell not in shown])) == 3
