"""What is measured on a GPU; run by `tox -e gpu`."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.evaluation import Options, candidate_of, run
from bench.progress import SilentProgress
from reports.records import Record, Store

pytestmark = [pytest.mark.gpu, pytest.mark.timeout(900)]


def measured(folder: Path, suite: str, device: str, batch_size: int | None = None) -> dict[str, Record]:
    """Run a suite on a network with two iterations of feedback and return its records by cell."""
    store = Store(folder)
    options = Options(suite=suite, examples=16, device=device, batch_size=batch_size)
    done = run([candidate_of("cnnf_fmnist_std_2", None, None, None)], options, store, SilentProgress())
    assert [record.error for record in done.records if record.error] == []
    return {record.key: record for record in done.records}


@pytest.mark.parametrize("suite", ["smoke", "strongest", "verdict", "consistency", "restoration"])
def test_suites_run(suite: str, tmp_path: Path) -> None:
    """No tensor stays behind on the other device."""
    records = measured(tmp_path, suite, "cuda")

    assert records
    assert all(record.provenance.device != "cpu" for record in records.values())


def test_clean_images_are_answered_as_on_a_cpu(tmp_path: Path) -> None:
    """Sums in another order rarely change an answer: one of 16 images may."""
    here = measured(tmp_path / "cpu", "clean", "cpu")
    there = measured(tmp_path / "gpu", "clean", "cuda")

    assert here.keys() == there.keys()
    assert all(abs(record.correct - there[key].correct) <= 1 for key, record in here.items())


def test_the_same_run_gives_the_same_outcomes(tmp_path: Path) -> None:
    """Image by image, attacks included."""
    stores = [Store(tmp_path / name) for name in ("one", "other")]
    runs = [measured(store.folder, "pgd", "cuda") for store in stores]

    for key in runs[0]:
        first, second = (store.read_outcomes(found[key]) for store, found in zip(stores, runs, strict=True))
        assert first["prediction"].equals(second["prediction"])


def test_batches_of_another_size_change_little(tmp_path: Path) -> None:
    """A GPU may take another algorithm for them; one of 16 images may fall otherwise."""
    whole = measured(tmp_path / "whole", "pgd", "cuda")
    parts = measured(tmp_path / "parts", "pgd", "cuda", batch_size=5)

    assert all(abs(record.correct - parts[key].correct) <= 1 for key, record in whole.items())
