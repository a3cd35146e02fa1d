from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner, Result

from bench.cli import main
from bench.runner import Runner
from reports.cell import Cell
from reports.records import Store


def call(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture
def results(runner: Callable[..., Runner], plan: Callable[..., list[Cell]]) -> Path:
    """Return the folder of a small run."""
    made = runner("results")
    made.run(plan("clean"))
    return made.store.folder


@pytest.fixture
def baseline(results: Path, tmp_path: Path) -> Path:
    """Return the baseline of that run."""
    done = call("baseline", results, "--out", tmp_path / "baseline.json")
    assert done.exit_code == 0, done.output
    return tmp_path / "baseline.json"


def edited(results: Path, folder: Path, change: Callable[[int], int]) -> Path:
    """Return a copy of a run whose predictions are changed."""
    source, target = Store(results), Store(folder)
    for record in source.read():
        outcomes = source.read_outcomes(record)
        outcomes["prediction"] = outcomes["prediction"].map(change)
        outcomes["is_correct"] = outcomes["prediction"] == outcomes["label"]
        correct = int(outcomes["is_correct"].sum())
        target.append(record.model_copy(update={"correct": correct}), outcomes)
    return folder


def test_a_run_against_its_own_baseline_passes(results, baseline) -> None:
    """Exit code 0, the answer first, a line of the table for each cell."""
    done = call("check", results, "--baseline", baseline, "--max-flips", 0)

    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("### Regression check: passed (2 unchanged)\n")
    assert "| feedback (avg): clean | unchanged | 8 |" in " ".join(done.stdout.split())


def test_making_a_baseline_says_what_is_in_it(results, tmp_path) -> None:
    """Cells, models and the file."""
    done = call("baseline", results, "--out", tmp_path / "b.json")

    assert done.stdout == f"2 cells of feedback written to {tmp_path / 'b.json'}\n"


def test_changed_answers_fail(results, baseline, tmp_path) -> None:
    """Exit code 1, and the files for CI say the same as the screen."""
    changed = edited(results, tmp_path / "changed", lambda prediction: (prediction + 1) % 10)
    summary, junit = tmp_path / "summary.md", tmp_path / "junit.xml"
    done = call(
        "check",
        changed,
        "--baseline",
        baseline,
        "--max-flips",
        "7",
        "--markdown",
        summary,
        "--junit",
        junit,
    )

    assert done.exit_code == 1
    assert done.stdout == summary.read_text()
    assert "8 of 8 answers changed" in done.stdout
    (suite,) = ElementTree.parse(junit).getroot()
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("2", "2", "0")


def test_a_missing_cell_is_incomplete(baseline, runner, plan) -> None:
    """Exit code 3: fewer cells than the baseline are no pass."""
    made = runner("fewer")
    made.run(plan("clean")[:1])
    done = call("check", made.store.folder, "--baseline", baseline)

    assert done.exit_code == 3
    assert "### Regression check: incomplete (1 incomparable, 1 unchanged)" in done.stdout


def test_published_numbers(runner, plan, candidates) -> None:
    """A run of the authors' protocol against their numbers, which random weights do not reach."""
    named = replace(candidates["plain"], scored=replace(candidates["plain"].scored, name="cnn_cifar"))
    made = runner("published", cnn_cifar=named)
    made.run(
        [
            cell.model_copy(update={"model": "cnn_cifar", "source": cell.source and "cnn_cifar"})
            for cell in plan("cnnf-paper", examples=64, spsa_examples=1, model="plain")
            if cell.examples == 64
        ]
    )
    done = call("check", made.store.folder, "--published")

    assert done.exit_code == 1
    assert "regression: plain: PGD (first): published 42.31 % of 10000, now 0.00 % of 64" in done.stdout
    assert "incomparable: plain: SPSA (first): missing from the results" in done.stdout


def test_several_folders_are_one_run(runner, plan, baseline) -> None:
    """Shards of a run, checked together."""
    first, second = runner("first"), runner("second")
    first.run(plan("clean")[:1])
    second.run(plan("clean")[1:])
    done = call("check", first.store.folder, second.store.folder, "--baseline", baseline)

    assert done.exit_code == 0, done.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name either --baseline FILE or --published"),
        (["--published", "--baseline", "BASELINE"], "name either --baseline FILE or --published"),
        (
            ["--published", "--max-flips", "0"],
            "published numbers tell no single images: leave out --max-fl",
        ),
        (["--published", "--any-seed"], "leave out --any-seed"),
        (
            ["--published"],
            "no record of the suite cnnf-paper is of a model with published numbers: cnn_cifar, ",
        ),
        (["--baseline", "nowhere.json"], "cannot read nowhere.json: No such file or directory"),
        (["--baseline", "BASELINE", "--alpha", "1"], "1.0 is not in the range 0<x<1"),
        (["--baseline", "BASELINE", "--junit", "no/such/folder.xml"], "cannot write no/such/folder.xml"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(results, baseline, arguments, message) -> None:
    """What a user can mend, without a traceback."""
    named = [str(baseline) if argument == "BASELINE" else argument for argument in arguments]
    done = call("check", results, *named)

    assert done.exit_code == 2
    assert message in done.stderr.splitlines()[-1]


def test_a_damaged_baseline_is_one_line(results, baseline) -> None:
    """One digit was edited by hand."""
    text = baseline.read_text()
    baseline.write_text(text.replace('"predictions":[', '"predictions":[1', 1))
    done = call("check", results, "--baseline", baseline)

    assert done.exit_code == 2
    assert "is damaged or was edited: its content is not that of its sha256" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize("command", [["baseline", "--out", "b.json"], ["check", "--published"]])
def test_a_folder_without_records_is_one_line(command, tmp_path) -> None:
    """Nothing was run."""
    done = call(command[0], tmp_path / "empty", *command[1:])

    assert done.exit_code == 2
    assert done.stderr == f"Error: no records in {tmp_path / 'empty'}\n"


def test_a_run_with_a_failed_cell_makes_no_baseline(results, tmp_path) -> None:
    """It would let the cell go unchecked."""
    store = Store(results)
    (first, *_) = store.read()
    cell = first.cell.model_copy(update={"seed": 1})
    failed = {"cell": cell, "key": cell.key, "status": "error", "error": "RuntimeError: no"}
    store.append(first.model_copy(update=failed))
    done = call("baseline", results, "--out", tmp_path / "b.json")

    assert done.exit_code == 2
    assert "cells that failed: 1, the first with RuntimeError: no; run them again" in done.stderr
    assert not (tmp_path / "b.json").exists()


def test_a_check_imports_no_torch(results, baseline) -> None:
    """It works from records alone."""
    code = (
        "import atexit, sys\n"
        "from bench.cli import main\n"
        "atexit.register(lambda: print(sorted({'torch', 'scipy', 'matplotlib'} & sys.modules.keys())))\n"
        f"main(['check', {str(results)!r}, '--baseline', {str(baseline)!r}])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)

    assert done.stdout.splitlines()[-1] == "[]"
