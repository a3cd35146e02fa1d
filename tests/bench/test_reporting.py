"""`bench report`, and the cells of the suites that it draws, on a network of microseconds."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import zoo
from bench.cli import main
from reports.records import Store


def call(*arguments: object) -> Result:
    """Run the command line in this process."""
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture
def results(runner, plan, tmp_path: Path) -> Path:
    """Return a folder of records of clean images and of self-consistency."""
    made = runner("results")
    made.run([*plan("clean", model="plain"), *plan("consistency"), *plan("clean")])
    return tmp_path / "results"


def test_records_of_consistency_have_a_mismatch(results: Path) -> None:
    """At every iteration but the first pass, on every kind of images."""
    store = Store(results)
    found = [record for record in store.read() if record.cell.probe == "consistency"]

    assert {record.status for record in found} == {"ok"}
    for record in found:
        mismatch = store.read_outcomes(record)["mismatch"]
        assert mismatch.isna().all() if record.cell.iterations == 0 else (mismatch > 0).all()


@pytest.mark.parametrize(("style", "start"), [("markdown", "### Self"), ("latex", "\\begin{table}")])
def test_one_table(results: Path, style: str, start: str) -> None:
    """By its name, printed in the format asked for."""
    done = call("report", results, "--table", "consistency", "--format", style)

    assert done.exit_code == 0
    assert done.stdout.startswith(start)
    assert "mismatch" in done.stdout


@pytest.mark.parametrize(
    ("name", "start"),
    [("t.tex", "\\begin{table}"), ("t.csv", "table,row"), ("t.json", "["), ("t", "### ")],
)
def test_one_file_has_the_format_of_its_suffix(results: Path, tmp_path: Path, name: str, start: str) -> None:
    """Unless another one is asked for."""
    call("report", results, "--out", tmp_path / name)
    call("report", results, "--out", tmp_path / f"other_{name}", "--format", "markdown")

    assert (tmp_path / name).read_text().startswith(start)
    assert (tmp_path / f"other_{name}").read_text().startswith("### ")


def test_one_figure(results: Path, tmp_path: Path) -> None:
    """Into a folder in every format; into a file only if it is alone, in the format of its suffix."""
    folder = call("report", results, "--figure", "consistency", "--out", tmp_path / "pictures")
    refused = call("report", results, "--figure", "consistency", "--out", tmp_path / "one.pdf")

    assert folder.exit_code == 0
    assert len(list((tmp_path / "pictures").iterdir())) == 8
    assert refused.exit_code == 2
    assert "there are 2 figures: name a folder" in refused.stderr


def test_all_and_check(results: Path, tmp_path: Path) -> None:
    """What --all has written passes; an edited table fails with exit code 1 and is named."""
    out = tmp_path / "out"
    written = call("report", results, "--all", "--out", out)
    passed = call("report", results, "--check", out)
    table = out / "tables" / "paper_clean_fashion_mnist.md"
    table.write_text(table.read_text() + "better\n")
    failed = call("report", results, "--check", out)

    assert written.exit_code == passed.exit_code == 0
    assert passed.output == ""
    assert failed.exit_code == 1
    assert failed.stdout == "tables/paper_clean_fashion_mnist.md: differs from the records\n"


def test_a_page(results: Path, tmp_path: Path) -> None:
    """One file, with a row per answer."""
    done = call("report", results, "--html", tmp_path / "page.html")

    assert done.exit_code == 0
    assert '<th scope="row" data-sort="plain">' in (tmp_path / "page.html").read_text()


def test_several_folders(results: Path, tmp_path: Path) -> None:
    """The same cells twice are counted once, and it is said."""
    (tmp_path / "copy").mkdir()
    for file in results.rglob("*"):
        if file.is_file() and not file.name.startswith("."):
            target = tmp_path / "copy" / file.relative_to(results)
            target.parent.mkdir(exist_ok=True)
            target.write_bytes(file.read_bytes())
    once, twice = call("report", results), call("report", results, tmp_path / "copy")

    assert twice.stdout == once.stdout
    assert f"{len(Store(results).read())} cells are in several folders" in twice.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--table", "matrx"], "unknown table 'matrx'; did you mean 'matrix'?"),
        (["--figure", "bars"], "unknown figure 'bars'"),
        (["--table", "corruptions"], "no record for the table corruptions; it shows corruptions"),
        (["--figure", "epsilons", "--out", "x"], "no record for the figure epsilons"),
        (["--figure", "consistency"], "--figure needs --out"),
        (["--all"], "--all needs --out"),
        (["--all", "--table", "matrix"], "exclude each other"),
        (["--all", "--out", "x", "--format", "csv"], "--format is for tables alone"),
        (["--html", "x.html", "--out", "x"], "--out means nothing to --check and --html"),
        (["--check", "x", "--out", "x"], "--out means nothing to --check and --html"),
    ],
)
def test_what_does_not_fit_is_one_line(results: Path, arguments: list[str], message: str) -> None:
    """With exit code 2."""
    done = call("report", results, *arguments)

    assert done.exit_code == 2
    assert message in done.stderr


@pytest.mark.parametrize("arguments", [("--table", "feedback"), ("--figure", "feedback", "--out", "x")])
def test_nothing_to_compare_is_said(runner, plan, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """Records of one network alone are there; what they lack is said."""
    runner("alone").run(plan("clean", model="plain"))
    done = call("report", tmp_path / "alone", *arguments)

    assert done.exit_code == 2
    assert f"the records of clean give no {arguments[0][2:]} feedback; it needs a network with" in done.stderr
    assert "no record" not in done.stderr


def test_a_damaged_outcome_is_one_line(results: Path) -> None:
    """No table is made of files that are not those of the records."""
    for file in (results / "outcomes").iterdir():
        file.write_bytes(b"")
    done = call("report", results, "--table", "consistency")

    assert done.exit_code == 2
    assert "is damaged" in done.stderr


def test_reports_never_import_torch(results: Path, tmp_path: Path) -> None:
    """Tables, figures and page need the records alone."""
    code = (
        "import sys\n"
        "from bench.cli import main\n"
        "main(sys.argv[1:], standalone_mode=False)\n"
        "assert 'torch' not in sys.modules\n"
    )
    command = [sys.executable, "-c", code, "report", str(results), "--html", str(tmp_path / "page.html")]

    subprocess.run(command, check=True)


def test_published_numbers_come_from_the_zoo() -> None:
    """Every entry with claims is one that reports can show, readout by readout."""
    from bench.reporting import published
    from reports.published import CLAIMED

    assert published()["cnnf_cifar"].accuracies["avg"]["pgd_e2e"] == 55.02
    for claims in published().values():
        for columns in claims.accuracies.values():
            assert columns.keys() <= set(CLAIMED.values())


def test_cards_are_those_of_the_weights() -> None:
    """A shipped checkpoint has its card; of other weights there is none."""
    from bench.reporting import cards_of

    known = json.loads((Path(zoo.__file__).parent / "weights" / "cnnf_fmnist.json").read_text())

    assert cards_of({known["sha256"], "0" * 64}) == {"cnnf_fmnist": known}
