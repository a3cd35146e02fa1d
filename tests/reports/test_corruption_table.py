from __future__ import annotations

from pathlib import Path

import pytest

from reports.catalogue import tables_of
from reports.cell import Perturbation
from reports.metrics import (
    ALEXNET_CLEAN_ERROR,
    ALEXNET_ERRORS,
    Interval,
    MeanAccuracy,
    mean_corruption_error,
    mean_error,
    relative_mean_corruption_error,
)
from reports.records import Store

from .conftest import outcomes


def corrupted(kind: str, severity: int, backend: str = "native") -> dict[str, object]:
    """Return the fields of a cell that shows a corruption."""
    done = Perturbation(kind="corruption", name=kind, backend=backend, settings={"severity": severity})
    return {"suite": "corruptions", "perturbation": done}


@pytest.fixture
def shown(record, tmp_path: Path):
    """Return a function that stores records of hits per kind and severity, and gives their tables."""
    store = Store(tmp_path)

    def tables(hits: dict[tuple[str, int], list[bool]], clean: int = 2, n: int = 2, dataset: str = "cifar10"):
        records = [record(None, clean, n, suite="corruptions", dataset=dataset)]
        for (kind, severity), right in hits.items():
            made = record(None, sum(right), len(right), dataset=dataset, **corrupted(kind, severity))
            records.append(store.append(made, outcomes(right)))
        return tables_of(records, store)

    return tables


def test_a_value_is_the_mean_over_severities(shown) -> None:
    """Two images at two severities: three of four answers right."""
    (table,) = shown({("fog", 1): [True, True], ("fog", 5): [True, False]})
    rows = {row.label: row.values[0] for row in table.rows}

    assert rows["fog"] == MeanAccuracy((1.0, 0.5))
    assert rows["fog"].share == 0.75
    assert rows["clean"].share == 1.0
    assert "images made here; mean over severities 1, 5" in table.notes


def test_the_mean_needs_all_15_kinds(shown) -> None:
    """A mean over some of them would be another number under the same name."""
    some = shown({("fog", 1): [True, True]})[0]
    every = shown({(kind, 1): [kind == "fog", True] for kind in ALEXNET_ERRORS})[0]

    assert not any(row.label == "mean of the 15" for row in some.rows)
    (mean,) = (row.values[0] for row in every.rows if row.label == "mean of the 15")
    assert mean.share == pytest.approx((1 / 15 + 1) / 2)
    assert any("mean error over the 15 kinds 46.7 %, relative mean error" in note for note in every.notes)


def test_extra_kinds_are_listed_apart(shown) -> None:
    """The four validation kinds never enter the mean."""
    table = shown(
        {(kind, 1): [True, True] for kind in [*ALEXNET_ERRORS, "saturate"]}
        | {("saturate", 1): [False, False]}
    )[0]
    labels = [row.label for row in table.rows]
    (mean,) = (row.values[0] for row in table.rows if row.label == "mean of the 15")

    assert labels[-1] == "saturate (extra)"
    assert mean.share == 1.0


def test_on_imagenet_the_error_is_also_relative_to_alexnet(shown) -> None:
    """Always wrong, hand-computed: the mean of 1 over AlexNet's errors; elsewhere there is no such number."""
    wrong = {(kind, 1): [False, False] for kind in ALEXNET_ERRORS}
    expected = 100 * sum(1 / error for error in ALEXNET_ERRORS.values()) / 15
    notes = shown(wrong, dataset="imagenet")[0].notes

    assert any(f"mean corruption error {expected:.1f} %" in note for note in notes)


def test_other_datasets_have_no_mce(shown) -> None:
    """Dividing CIFAR's errors by those of an ImageNet network means nothing."""
    wrong = {(kind, 1): [False, False] for kind in ALEXNET_ERRORS}

    assert not any("mean corruption error" in note for note in shown(wrong)[0].notes)


def test_published_images_are_told_from_ours(record, tmp_path: Path) -> None:
    """A table says where its corrupted images come from."""
    store = Store(tmp_path)
    official = store.append(record(None, 1, 1, **corrupted("fog", 1, "official")), outcomes([True]))
    (table,) = tables_of([official], store)

    assert table.notes[0].startswith("published images;")


def test_the_interval_is_over_examples() -> None:
    """Hand-computed: shares 1 and 0.5 have standard deviation 0.3536, so half a width of 1.96 * 0.25."""
    low, high = MeanAccuracy((1.0, 0.5)).interval

    assert low == pytest.approx(0.75 - 1.959964 * 0.25)
    assert high == 1.0
    assert MeanAccuracy((0.3,)).interval == Interval(0, 1)


def test_alexnet_has_mce_one() -> None:
    """The reference network's own error is the unit, plain and relative; other kinds change nothing."""
    errors = ALEXNET_ERRORS | {"saturate": 0.0}

    assert mean_corruption_error(errors) == pytest.approx(1)
    assert relative_mean_corruption_error(errors, ALEXNET_CLEAN_ERROR) == pytest.approx(1)
    assert mean_error(errors) == pytest.approx(sum(ALEXNET_ERRORS.values()) / 15)


def test_mce_of_a_resnet50() -> None:
    """Errors of ResNet-50 by kind (Hendrycks & Dietterich 2019, table 1, as CE in percent) give its 76.7."""
    published = [80, 82, 83, 75, 89, 78, 80, 78, 75, 66, 57, 71, 85, 77, 77]
    errors = {
        kind: ce / 100 * ALEXNET_ERRORS[kind] for kind, ce in zip(ALEXNET_ERRORS, published, strict=True)
    }

    assert mean_corruption_error(errors) == pytest.approx(0.767, abs=0.005)


def test_a_missing_kind_is_refused() -> None:
    """Fourteen kinds are no mCE."""
    with pytest.raises(ValueError, match="needs 'fog'"):
        mean_corruption_error({kind: 0.5 for kind in ALEXNET_ERRORS if kind != "fog"})
