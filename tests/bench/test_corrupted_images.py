from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from bench import data
from bench.cli import main
from reports.records import Store


def call(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def run(results: Path, *more: object) -> Result:
    return call(
        "run",
        "--model",
        "cnnf_fmnist",
        "--suite",
        "corruptions",
        "--examples",
        3,
        "--results",
        results,
        *more,
    )


def test_a_run_on_images_made_here(tmp_path: Path) -> None:
    """Kind, severity, iteration and readout each have a record; the clean images are among them."""
    done = run(tmp_path, "--corruptions", "gaussian_noise,pixelate", "--severities", "1,5")
    cells = [record.cell for record in Store(tmp_path).read()]
    noisy = [
        r for r in Store(tmp_path).read() if r.cell.perturbation and r.cell.perturbation.name != "pixelate"
    ]

    assert done.exit_code == 0, done.output
    assert len(cells) == (2 * 2 + 1) * 3
    assert {(c.iterations, c.readout) for c in cells} == {(0, "last"), (1, "last"), (1, "avg")}
    assert all(record.largest_linf > 0.02 for record in noisy)
    assert "| gaussian_noise" in done.stdout


def test_the_same_images_whatever_is_asked_beside_them(tmp_path: Path) -> None:
    """One kind alone has the records it has among others, so the second run computes only what is new."""
    run(tmp_path, "--corruptions", "fog", "--severities", "3")
    before = {record.key for record in Store(tmp_path).read()}
    run(tmp_path, "--corruptions", "fog,contrast", "--severities", "3")

    assert before < {record.key for record in Store(tmp_path).read()}
    assert len((tmp_path / "records.jsonl").read_text().splitlines()) == 9


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """Return a folder in CIFAR-10-C's layout: every image is its severity."""
    folder = tmp_path / "CIFAR-10-C"
    folder.mkdir()
    severity = np.repeat(np.arange(1, 6, dtype=np.uint8), 10_000)
    np.save(folder / "fog.npy", np.broadcast_to(severity[:, None, None, None], (50_000, 32, 32, 3)))
    np.save(folder / "labels.npy", np.tile(data.evaluation_images("cifar10", 1000).labels, 50))
    return folder


def test_a_run_on_published_images(published: Path, tmp_path: Path) -> None:
    """The record says that the images are official, and its data hash is theirs."""
    arguments = [
        "run",
        "--model",
        "cnn_cifar",
        "--suite",
        "corruptions",
        "--examples",
        2,
        "--results",
        tmp_path / "r",
    ]
    done = call(*arguments, "--corruptions", "fog", "--severities", "2", "--corrupted-data", published)
    records = Store(tmp_path / "r").read()
    (official,) = [record for record in records if record.cell.perturbation]
    expected = data.LabelledImages(
        np.full((2, 32, 32, 3), 2, np.uint8), data.evaluation_images("cifar10", 2).labels
    )

    assert done.exit_code == 0, done.output
    assert official.cell.perturbation.backend == "official"
    assert official.cell.data == expected.sha256
    assert "published images; mean over severities 2" in done.stdout


def test_the_predify_suites_show_published_images(published: Path, tmp_path: Path) -> None:
    """They share their corruptions with the suite of that name."""
    options = ["--model", "pcn_cifar", "--iterations", 1, "--suite", "predify-corruptions", "--examples", 2]
    chosen = ["--corruptions", "fog", "--severities", "2", "--corrupted-data", published]
    done = call("run", *options, *chosen, "--results", tmp_path / "r")
    shown = {r.cell.perturbation.backend for r in Store(tmp_path / "r").read() if r.cell.perturbation}

    assert done.exit_code == 0, done.output
    assert shown == {"official"}


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("cnnf_fmnist", "holds images of 32x32x3, those of fashion_mnist are 28x28x1"),
        ("cnn_cifar", "are not those of the first 2 images of cifar10: is it another set, or incomplete?"),
    ],
)
def test_a_set_of_another_dataset_is_told(model: str, message: str, published: Path, tmp_path: Path) -> None:
    """Images of another size, or labels that are not the dataset's, would give numbers without a meaning."""
    np.save(published / "labels.npy", np.zeros(50_000, np.uint8))
    options = ["--model", model, "--suite", "corruptions", "--corruptions", "fog", "--examples", "2"]
    done = call("run", *options, "--corrupted-data", published, "--results", tmp_path / "r")

    assert done.exit_code == 2
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--corruptions", "fogg"], "unknown corruption 'fogg'; did you mean 'fog'?"),
        (["--severities", "0"], "severity must be from 1 to 5, several as in 1,3,5, or all, got '0'"),
        (
            ["--severities", "strong"],
            "severity must be from 1 to 5, several as in 1,3,5, or all, got 'strong'",
        ),
        (["--corrupted-data", "nowhere"], "nowhere"),
    ],
)
def test_bad_requests_are_one_line(arguments: list[str], message: str, tmp_path: Path) -> None:
    """Nothing is computed for a request that cannot be met."""
    done = run(tmp_path / "r", *arguments)

    assert done.exit_code == 2
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
