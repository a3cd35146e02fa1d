"""The curves of trainings."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.curves import write
from bench.errors import BenchError
from bench.training import LOG
from bench.training.held_out import STEPS

PICTURES = {f"{name}.{style}" for name in ("accuracy", "loss") for style in ("pdf", "svg", "png", "json")}


def lines(robust: list[float | None]) -> list[dict[str, object]]:
    """Return the log of a training that gets better by the epoch."""
    return [
        {
            "epoch": number,
            "step": 10 * number,
            "loss": 2.0 / number,
            "held_out": 200,
            "clean_accuracy": 1 - 0.5 / number,
            "robust_accuracy": share,
        }
        for number, share in enumerate(robust, 1)
    ]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return the folder of a training that still runs: there is no card yet."""
    made = tmp_path / "runs" / "steep"
    made.mkdir(parents=True)
    (made / LOG).write_text("".join(json.dumps(line) + "\n" for line in lines([0.1, 0.45])))
    return made


@pytest.fixture
def card(tmp_path: Path) -> Path:
    """Return the card of a training without an attack."""
    path = tmp_path / "plain.json"
    path.write_text(json.dumps({"name": "plain", "log": lines([None, None, None])}))
    return path


def points(file: Path) -> dict[str, dict[str, list[tuple[float, float]]]]:
    """Return panel -> training -> (epoch, value)."""
    return {
        panel["title"]: {
            series["label"]: [(point["x"], point["value"]) for point in series["points"]]
            for series in panel["series"]
        }
        for panel in json.loads(file.read_text())["panels"]
    }


def test_a_line_is_a_training(folder: Path, card: Path, tmp_path: Path) -> None:
    """One without an attack has no place among the robust; intervals are over the held-out images."""
    out = tmp_path / "out"
    assert {path.name for path in write([str(folder), str(card)], out)} == PICTURES

    assert points(out / "accuracy.json") == {
        "clean": {"steep": [(1, 50.0), (2, 75.0)], "plain": [(1, 50.0), (2, 75.0), (3, 83.5)]},
        f"PGD-{STEPS} on the first pass": {"steep": [(1, 10.0), (2, 45.0)]},
    }
    assert points(out / "loss.json")[""]["plain"] == [(1, 2.0), (2, 1.0), (3, 0.6667)]
    first = json.loads((out / "accuracy.json").read_text())["panels"][0]["series"][0]["points"][0]
    assert (first["low"], first["high"], first["n"]) == (43.1361, 56.8639, 200)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "holds the log of no finished epoch"),
        ("garbage\n", "neither a card nor the log of a training"),
        ('{"epoch": 1}\n', "neither a card nor the log of a training"),
        (json.dumps(lines([1.5])[0]) + "\n", "neither a card nor the log of a training"),
    ],
)
def test_what_is_no_log_is_refused(folder: Path, tmp_path: Path, content: str, reason: str) -> None:
    """In one line that names the file; nothing is written."""
    (folder / LOG).write_text(content)

    with pytest.raises(BenchError, match=reason) as caught:
        write([str(folder)], tmp_path / "out")

    assert str(folder / LOG) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_what_is_not_there_is_refused(tmp_path: Path) -> None:
    """Nor is a folder without a training."""
    with pytest.raises(BenchError, match=r"is no training: .*log\.jsonl cannot be read"):
        write([str(tmp_path)], tmp_path / "out")
    with pytest.raises(BenchError, match="nowhere is no training"):
        write([str(tmp_path / "nowhere")], tmp_path / "out")


def test_a_model_of_the_zoo_stands_for_its_card(tmp_path: Path) -> None:
    """Ten epochs of a network that was shipped with its log; another card, written before, has none."""
    write(["cnn_fmnist_std"], tmp_path)
    drawn = points(tmp_path / "accuracy.json")

    assert [epoch for epoch, _ in drawn["clean"]["cnn_fmnist_std"]] == [*range(1, 11)]
    with pytest.raises(BenchError, match="holds the log of no finished epoch"):
        write(["cnn_fmnist"], tmp_path)


def test_one_name_is_one_training(folder: Path, card: Path, tmp_path: Path) -> None:
    """Two lines of one name could not be told apart."""
    content = json.loads(card.read_text())
    card.write_text(json.dumps(content | {"name": "steep"}))

    with pytest.raises(BenchError, match="two trainings have the name steep"):
        write([str(folder), str(card)], tmp_path / "out")
