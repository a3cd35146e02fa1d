from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from reports import catalogue
from reports.catalogue import FIGURES, TABLES, main_table
from reports.writing import differences, write


@pytest.fixture
def written(little, tmp_path: Path) -> Path:
    """Return a folder of every table and figure."""
    folder = tmp_path / "out"
    write(little, folder)
    return folder


def content(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_every_table_and_figure_in_every_format(written: Path) -> None:
    """And an index that names them all."""
    files = content(written)
    index = (written / "index.md").read_text()

    assert {path for path in files if path.startswith("tables/matrix")} == {
        f"tables/matrix_adversarial_cifar10.{suffix}" for suffix in ("md", "tex", "csv", "json")
    }
    assert {path for path in files if path.startswith("figures/epsilons")} == {
        f"figures/epsilons_epsilons_cifar10.{suffix}" for suffix in ("pdf", "svg", "png", "json")
    }
    assert all(f"({path})" in index for path in files if path != "index.md")
    assert json.loads((written / "figures/epsilons_epsilons_cifar10.json").read_text())["panels"]


def test_written_again_they_are_the_same(little, written: Path, tmp_path: Path) -> None:
    """Byte by byte, pictures too, so that a commit shows what has changed."""
    write(little, tmp_path / "again")

    assert content(written) == content(tmp_path / "again")
    assert differences(little, written) == []


def test_everything_is_made_once(little, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures are drawn from the figures whose data is written."""
    made = []

    def counted(kinds, name, archive):
        made.append(name)
        return catalogue.made(kinds, name, archive)

    monkeypatch.setattr("reports.writing.made", counted)
    write(little, tmp_path)

    assert sorted(made) == sorted([*TABLES, *FIGURES])


def test_what_differs_is_named(little, written: Path) -> None:
    """A number edited by hand, a missing picture, a file that no record gives."""
    table = written / "tables" / "matrix_adversarial_cifar10.md"
    table.write_text(table.read_text().replace("50.0", "51.0"))
    (written / "figures" / "epsilons_epsilons_cifar10.png").unlink()
    shutil.copy(table, written / "tables" / "old.md")

    assert differences(little, written) == [
        "tables/matrix_adversarial_cifar10.md: differs from the records",
        "figures/epsilons_epsilons_cifar10.png: missing",
        "tables/old.md: no record gives it",
    ]


def test_other_records_differ(little, written: Path, stored) -> None:
    """A folder of another run is not mistaken for this one's."""
    other = stored(([True, False], {}))

    assert "tables/paper_adversarial_cifar10.md: differs from the records" in differences(other, written)


def test_versions_and_seeds_do_not_share_a_file(stored, tmp_path: Path) -> None:
    """Where there are several, they are part of the names."""
    write(stored(([True], {}), ([True], {"seed": 1})), tmp_path)

    assert {path.name for path in (tmp_path / "tables").glob("*.md")} == {
        "paper_adversarial_cifar10_seed0.md",
        "paper_adversarial_cifar10_seed1.md",
    }


def test_every_suite_has_a_table_to_print() -> None:
    """A suite that no table claims is shown as the paper's columns."""
    assert main_table("corruptions") == "corruptions"
    assert main_table("adversarial") == "paper"
    assert main_table("of tomorrow") == "paper"
    assert all(name == name.lower() for name in TABLES)
