from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from reports.archive import Archive
from reports.catalogue import tables_of
from reports.cell import Perturbation
from reports.corruption_figures import corruption_bars, severity_curves
from reports.metrics import (
    ALEXNET_CLEAN_ERROR,
    ALEXNET_ERRORS,
    Accuracy,
    MeanAccuracy,
    mean_corruption_error,
    mean_error,
    relative_mean_corruption_error,
    wilson,
)
from reports.overview import overview
from reports.records import Store

from .conftest import outcomes

WRONG = {(kind, severity): [False, False] for kind in ALEXNET_ERRORS for severity in range(1, 6)}
"""Two images, wrong under every kind at every severity."""


def corrupted(kind: str, severity: int, backend: str = "native") -> dict[str, object]:
    """Return the fields of a cell that shows a corruption."""
    done = Perturbation(kind="corruption", name=kind, backend=backend, settings={"severity": severity})
    return {"suite": "corruptions", "perturbation": done}


@pytest.fixture
def shown(record, tmp_path: Path):
    """Return a function that stores records of hits per kind and severity, and gives their tables."""
    store = Store(tmp_path)

    def tables(
        hits: dict[tuple[str, int], list[bool]],
        clean: int = 2,
        n: int = 2,
        dataset: str = "cifar10",
        backends: Mapping[str, Sequence[str]] | None = None,
    ):
        records = [record(None, clean, n, suite="corruptions", dataset=dataset)]
        for (kind, severity), right in hits.items():
            for backend in (backends or {}).get(kind, ["native"]):
                cell = corrupted(kind, severity, backend)
                made = record(None, sum(right), len(right), dataset=dataset, **cell)
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


@pytest.mark.parametrize("lost", [(1, 2, 3, 4), (5,)])
def test_no_mean_corruption_error_of_some_severities(shown, lost: tuple[int, ...]) -> None:
    """AlexNet's errors are over all five: at severity 5 alone every network would look worse than it is."""
    hits = {(kind, severity): [True, False] for kind in ALEXNET_ERRORS for severity in range(1, 6)}
    for severity in lost:
        del hits["fog", severity]
    notes = shown(hits, dataset="imagenet")[0].notes

    assert not any("normalised by AlexNet" in note for note in notes)
    assert "CNN-F (last): no mean corruption error, which is over severities 1 to 5 of every kind" in notes
    assert any("mean error over the 15 kinds 50.0 %" in note for note in notes)


def test_on_imagenet_the_error_is_also_relative_to_alexnet(shown) -> None:
    """Always wrong, hand-computed: the mean of 1 over AlexNet's errors; elsewhere there is no such number."""
    expected = 100 * sum(1 / error for error in ALEXNET_ERRORS.values()) / 15
    notes = shown(WRONG, dataset="imagenet")[0].notes

    assert any(f"mean corruption error {expected:.1f} %" in note for note in notes)


@pytest.mark.parametrize(("backend", "is_comparable"), [("official", True), ("native", False)])
def test_the_error_of_images_made_here_is_told_from_published_ones(backend, is_comparable, shown) -> None:
    """AlexNet met the published images: other bytes of the same kinds give another number."""
    backends = dict.fromkeys(ALEXNET_ERRORS, (backend,))
    notes = shown(WRONG, dataset="imagenet", backends=backends)[0].notes
    (told,) = [note for note in notes if "mean corruption error" in note]

    assert told.endswith("normalised by AlexNet's errors") == is_comparable
    assert ("of images made here, AlexNet's of published ones: not comparable" in told) != is_comparable


@pytest.mark.parametrize("fog", [("native", "official"), ("native",)])
def test_no_mean_corruption_error_of_two_origins(fog, shown) -> None:
    """A mean over published images and ones made here would be a third number."""
    backends = dict.fromkeys(ALEXNET_ERRORS, ("official",)) | {"fog": fog}
    notes = shown(WRONG, dataset="imagenet", backends=backends)[0].notes

    assert not any("normalised by AlexNet" in note for note in notes)
    assert any("no mean corruption error of published images and images made here" in note for note in notes)


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
    """By hand: 1 and 0.5 have variance 0.125 where hits and misses have 0.1875, so two count as three."""
    assert MeanAccuracy((1.0, 0.5)).interval == pytest.approx(wilson(2.25, 3))


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


@pytest.fixture
def column(record, tmp_path: Path):
    """Return a function that stores the hits of an answer to fog, on a few images or many."""
    store = Store(tmp_path)

    def stored(hits: dict[int, list[bool]], **changes: object) -> Store:
        for severity, right in hits.items():
            made = record(None, sum(right), len(right), **corrupted("fog", severity), **changes)
            store.append(made, outcomes(right))
        return store

    return stored


def fog(store: Store) -> tuple[dict[str, Accuracy | MeanAccuracy | None], tuple[str, ...]]:
    (table,) = tables_of(store.read(), store)
    (values,) = (row.values for row in table.rows if row.label == "fog")
    return dict(zip((c.heading for c in table.columns), values, strict=True)), table.notes


def test_only_images_that_met_every_severity_count(column) -> None:
    """Forty images at severity 5 and then four at both: the mean is over those four, each severity once."""
    column({5: [False] * 40})
    store = column({1: [True] * 4, 5: [False] * 4})
    values, notes = fog(store)

    assert values == {"CNN-F (last)": MeanAccuracy((0.5,) * 4)}
    assert "fog: 4 of 40 images count, those that every answer has met at every severity" in notes


def test_all_columns_count_the_same_images(column) -> None:
    """One network on six images, another on two of them: only those two can be compared."""
    column({1: [True, True, False, False, False, False]})
    store = column({1: [True, False]}, model="other", label="CNN")
    values, notes = fog(store)

    assert values == {"CNN-F (last)": MeanAccuracy((1.0, 1.0)), "CNN (last)": MeanAccuracy((1.0, 0.0))}
    assert any("2 of 6 images count" in note for note in notes)


def test_a_mean_over_fewer_severities_is_not_shown(column) -> None:
    """Where the hardest severity failed for one network alone, its mean over the rest would flatter it."""
    column({1: [True, True], 5: [False, False]})
    store = column({1: [True, True]}, model="other", label="CNN")
    values, notes = fog(store)

    assert values == {"CNN-F (last)": MeanAccuracy((0.5, 0.5)), "CNN (last)": None}
    assert "CNN (last): no number for fog, which others have met at more severities" in notes


def test_kinds_of_other_severities_are_told_apart(shown) -> None:
    """A note that gave all severities at once would be wrong of each kind."""
    (table,) = shown({("fog", 5): [True, True], ("snow", 1): [True, True], ("snow", 5): [True, False]})

    assert "images made here; mean over severities 5 (fog); mean over severities 1, 5 (snow)" in table.notes


def test_bars_leave_out_what_the_table_does(column) -> None:
    """A bar over other severities beside a whole one would be compared with it."""
    column({1: [True, True], 5: [False, False]})
    store = column({1: [True, True]}, model="other", label="CNN")
    (figure,) = corruption_bars(store.read(), store)

    assert figure.places == ("fog",)
    assert {series.label: [point.value for point in series.points] for series in figure.panels[0].series} == {
        "CNN-F (last)": [50.0],
        "CNN (last)": [],
    }
    assert any("CNN (last): no number for fog" in note for note in figure.notes)


def test_curves_take_the_record_of_most_images(column) -> None:
    """Two images of the same severity, run after forty, say less."""
    for n, right in ((40, 30), (2, 0)):
        store = column({1: [k < right for k in range(n)]})
    for records in (store.read(), store.read()[::-1]):
        (figure,) = severity_curves(records, store)
        assert [point.n for point in figure.panels[0].series[0].points] == [40]


def test_the_overview_is_of_the_same_images_too(column, tmp_path: Path) -> None:
    """What the page shows first is compared first."""
    column({1: [True, True], 5: [False, False]})
    column({1: [True, True]}, model="other", label="CNN")
    lines = {line.answer.label: line.corrupted for line in overview(Archive.of([tmp_path]))}

    assert lines == {"CNN-F": MeanAccuracy((0.5, 0.5)), "CNN": None}
