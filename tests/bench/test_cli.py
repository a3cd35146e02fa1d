from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bench import runner as runner_module
from bench.cli import common, main
from reports.records import SCHEMA

MODEL = """
import torch
from zoo.cnnf import CNNF
from zoo.cnnf.stages import ConvStage, LinearHead
from zoo.layers import AdaPool, AdaReLU, AdaReLUReading

class Tiny(CNNF):
    iterations = 1

def build():
    torch.manual_seed(0)
    relu = AdaReLU(0.3, AdaReLUReading.SIGNED)
    return Tiny([ConvStage(1, 4, relu, AdaPool()), LinearHead([4 * 14 * 14, 10], relu)], 0, (), 0.3)
"""


@pytest.fixture
def model(tmp_path: Path) -> str:
    path = tmp_path / "tiny.py"
    path.write_text(MODEL)
    return f"{path}:build"


def call(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def run_tiny(model: str, results: Path, *more: object) -> list[str]:
    """Return the arguments of a run of the whole strict suite that takes seconds."""
    sizes = ["--examples", "6", "--spsa-examples", "1"]
    where = ["--device", "cpu", "--results", str(results), "--dataset", "fashion_mnist"]
    return ["run", "--model", model, "--suite", "adversarial", *sizes, *where, *map(str, more)]


def test_help_is_instant_and_imports_no_torch() -> None:
    """`bench --help` answers before anything heavy is imported."""
    code = "import sys, bench.cli; assert not {'torch', 'pandas', 'numpy', 'zoo'} & sys.modules.keys()"

    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    "command", [[], ["run"], ["report"], ["baseline"], ["check"], ["corrupt"], ["train"], ["card"], ["list"]]
)
def test_every_help_has_an_example(command: list[str]) -> None:
    """A newcomer can copy a line."""
    shown = call(*command, "--help")

    assert shown.exit_code == 0
    assert "Example" in shown.output
    assert "\n    bench " in shown.output.split("Example")[1]


@pytest.mark.parametrize(
    ("kind", "name"),
    [("models", "cnnf_cifar"), ("suites", "cnnf-paper"), ("attacks", "native:pgd"), ("datasets", "cifar10")],
)
def test_lists_name_what_there_is(kind: str, name: str) -> None:
    """One line each, its name first."""
    shown = call("list", kind)

    assert shown.exit_code == 0
    assert any(line.startswith(name) for line in shown.output.splitlines())


def test_recipes_are_listed() -> None:
    """One line each, with the budget that a recipe assumes."""
    shown = call("train", "--list")

    assert shown.exit_code == 0
    assert any(line.startswith("cnnf_cifar ") and "GPU" in line for line in shown.output.splitlines())


def test_training_needs_a_recipe() -> None:
    """The way to the list is named."""
    done = call("train")

    assert done.exit_code == 2
    assert "--list" in done.stderr


def test_a_run_ends_with_the_table_and_a_second_one_does_nothing(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Finished cells are never computed again; the table is printed at once."""
    results = tmp_path / "results"
    first = call(*run_tiny(model, results))
    records = (results / "records.jsonl").read_text()
    monkeypatch.setattr(runner_module.Runner, "run", lambda *_: pytest.fail("computed again"))
    second = call(*run_tiny(model, results))

    assert first.exit_code == second.exit_code == 0
    assert second.stdout == first.stdout
    assert (results / "records.jsonl").read_text() == records
    for text in ("clean", "PGD (first)", "SPSA (e2e)", "Transfer", "min", "worst case", "build (avg)"):
        assert text in first.stdout


@pytest.mark.parametrize("style", ["markdown", "latex", "csv", "json"])
def test_reports_print_what_the_run_printed(model: str, tmp_path: Path, style: str) -> None:
    """Markdown on standard output equals the run's; every format can go to a file."""
    results = tmp_path / "results"
    ran = call(
        "run",
        "--model",
        model,
        "--dataset",
        "fashion_mnist",
        "--suite",
        "clean",
        "--examples",
        5,
        "--results",
        results,
    )
    printed = call("report", results, "--format", style)
    written = call("report", results, "--format", style, "--out", tmp_path / "table")

    assert printed.exit_code == written.exit_code == 0
    assert (tmp_path / "table").read_text() == printed.stdout
    assert style != "markdown" or printed.stdout == ran.stdout


def test_a_killed_run_continues_to_the_same_table(model: str, tmp_path: Path) -> None:
    """kill -9 in the middle, then the same command: the table of an undisturbed run."""
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    process = subprocess.Popen(
        [sys.executable, "-m", "bench", *run_tiny(model, killed)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    records = killed / "records.jsonl"
    deadline = time.monotonic() + 120
    while not records.exists() or records.read_bytes().count(b"\n") < 5:
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    done_before = records.read_bytes().count(b"\n")

    continued, undisturbed = call(*run_tiny(model, killed)), call(*run_tiny(model, whole))
    assert continued.exit_code == undisturbed.exit_code == 0
    assert done_before < records.read_bytes().count(b"\n")
    assert continued.stdout == undisturbed.stdout


def test_a_terminated_run_says_so(model: str, tmp_path: Path) -> None:
    """SIGTERM ends a run like Ctrl-C: exit code 130, and what was finished is kept."""
    results = tmp_path / "results"
    minutes = ("--examples", "200", "--spsa-examples", "200")
    process = subprocess.Popen(
        [sys.executable, "-m", "bench", *run_tiny(model, results, *minutes)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 120
    while not (results / "records.jsonl").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.terminate()
    _, messages = process.communicate()

    assert process.returncode == 130
    assert "Interrupted. What was finished is kept" in messages


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_that_a_library_drops_comes_again(
    number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pydantic drops what is raised while it calls back: one signal still ends the work."""
    monkeypatch.setattr(common, "INSIST_AFTER", 0.05)
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]

    def work() -> None:
        with suppress(KeyboardInterrupt):
            signal.raise_signal(number)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            time.sleep(0.01)

    with pytest.raises(SystemExit) as ended, common.terminable():
        work()
    assert ended.value.code == 130
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_failing_cells_give_exit_code_1(tmp_path: Path) -> None:
    """The run goes on, the table is printed, and the exit code tells."""
    path = tmp_path / "fails.py"
    path.write_text(
        "import torch\n"
        "class Fails(torch.nn.Module):\n"
        "    def forward(self, images):\n"
        "        if len(images) > 2: raise RuntimeError('only pairs')\n"
        "        return torch.zeros(len(images), 10)\n"
        "def build(): return Fails()\n"
    )
    done = call(
        "run",
        "--model",
        f"{path}:build",
        "--dataset",
        "fashion_mnist",
        "--suite",
        "clean",
        "--examples",
        5,
        "--results",
        tmp_path / "r",
    )

    assert done.exit_code == 1
    assert "cells that failed: 1;" in done.output
    assert "RuntimeError: only pairs" in done.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "cnnf_cifr"], "unknown model 'cnnf_cifr'; did you mean 'cnnf_cifar'? known: "),
        (
            ["--model", "cnnf_fmnist", "--suite", "adversary"],
            "unknown suite 'adversary'; did you mean 'adversarial'?",
        ),
        (["--model", "cnnf_fmnist", "--checkpoint", "best"], "has no checkpoint 'best'"),
        (["--model", "cnnf_fmnist", "--examples", "0"], "examples must be at least 1, got 0"),
        (
            ["--model", "cnnf_fmnist", "--suite", "smoke", "--severities", "1"],
            "the suite smoke does not heed severities: leave that out",
        ),
        (
            ["--model", "cnnf_fmnist", "--suite", "consistency", "--corruptions", "fog", "--severities", "3"],
            "the suite consistency does not heed kinds of corruptions: leave that out",
        ),
        (
            ["--model", "cnnf_fmnist", "--suite", "clean", "--spsa-examples", "1"],
            "the suite clean does not heed a number of examples for SPSA",
        ),
        (
            ["--model", "cnnf_fmnist", "--suite", "transfer", "--attack-backend", "advertorch"],
            "the suite transfer does not heed an attack backend",
        ),
        (
            ["--model", "cnnf_fmnist", "--suite", "restoration", "--corrupted-data", "CIFAR-10-C"],
            "the suite restoration does not heed published corrupted images",
        ),
        (
            ["--model", f"{__file__}:build", "--dataset", "cifar10", "--checkpoint", "best"],
            "a checkpoint is for a model of the zoo",
        ),
        (
            ["--model", "robustbench:Standard", "--checkpoint", "best"],
            "a checkpoint is for a model of the zoo",
        ),
        (["--model", "cnnf_fmnist", "--examples", "10001"], "has 10000 test images, cannot take 10001"),
        (
            ["--model", "cnnf_fmnist", "--examples", "5", "--spsa-examples", "6"],
            "SPSA must use from 1 to 5 examples",
        ),
        (["--model", "cnnf_fmnist", "--device", "cuda:77"], "device 'cuda:77' cannot be used"),
        (
            ["--model", "cnnf_fmnist", "--device", "tpu"],
            "device must be auto, cpu, cuda or cuda:N, got 'tpu'",
        ),
        (["--model", "cnnf_fmnist", "--iterations", "-1"], "iterations must be at least 0"),
        (["--model", "cnnf_fmnist", "--dataset", "cifar10"], "classifies fashion_mnist, not cifar10"),
        (["--model", "nowhere.py:build"], "no file 'nowhere.py'"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(arguments: list[str], message: str, tmp_path: Path) -> None:
    """What a user can mend is said in one line, without a traceback, and nothing is written."""
    done = call("run", *arguments, "--results", tmp_path / "results")

    assert done.exit_code == 2
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "results").exists()


def test_a_checkpoint_of_another_network_is_one_line(tmp_path: Path) -> None:
    """It is found out when the weights are read, before any cell is computed."""
    from zoo.checkpoint import WEIGHTS

    weights = WEIGHTS / "cnn_fmnist.safetensors"
    done = call("run", "--model", "cnnf_cifar", "--checkpoint", weights, "--results", tmp_path / "r")

    assert done.exit_code == 2
    assert "cnn_fmnist.safetensors does not fit the network" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_results_folder_that_cannot_be_written_is_one_line(model: str, tmp_path: Path) -> None:
    """A file in its place, for instance."""
    (tmp_path / "taken").write_text("")
    done = call(*run_tiny(model, tmp_path / "taken"))

    assert done.exit_code == 2
    assert "cannot write results to" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_newer_results_file_is_one_line(tmp_path: Path) -> None:
    """Reports and runs refuse what a later version wrote."""
    (tmp_path / "records.jsonl").write_text(f'{{"schema": {SCHEMA + 1}}}\n')
    for command in (["report", tmp_path], ["run", "--model", "cnnf_fmnist", "--results", tmp_path]):
        done = call(*command)
        assert done.exit_code == 2
        assert f"has schema {SCHEMA + 1}, this version knows {SCHEMA}: upgrade" in done.stderr


def test_an_empty_folder_has_no_report(tmp_path: Path) -> None:
    """Instead of an empty table."""
    done = call("report", tmp_path)

    assert done.exit_code == 2
    assert "no records in" in done.stderr


def test_a_folder_in_use_is_said(model: str, tmp_path: Path) -> None:
    """A second run on one folder says why it does not start."""
    from reports.records import Store

    with Store(tmp_path / "r").run_lock(timeout=0):
        done = call(*run_tiny(model, tmp_path / "r"))

    assert done.exit_code == 2
    assert "another run is using" in done.stderr
