from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from bench.models import Candidate
from bench.suites import Scored
from reports.records import Record, Store, finished

from .conftest import images


def predictions(runner, records: list[Record]) -> dict[str, list[int]]:
    """Return the predictions of every cell by its key."""
    return {record.key: runner.store.read_outcomes(record)["prediction"].tolist() for record in records}


def candidate(name: str, model: object) -> Candidate:
    return Candidate(Scored(name, name, 0), name, "fashion_mnist", "made", lambda: model)


class Fixed:
    """Always the same logits, but what `spoil` makes of them."""

    def __init__(self, spoil=lambda logits: logits) -> None:
        self.spoil = spoil

    def unroll(self, images, iterations):
        logits = torch.zeros(1, len(images), 10) + images.mean((1, 2, 3))[None, :, None]
        return self.spoil(logits)


class Counting:
    """Answers the class t after t iterations, and the first answer weighs most in their mean."""

    def unroll(self, images, iterations):
        passes = range(iterations + 1)
        logits = torch.stack([torch.eye(10)[t] * (10 - t) for t in passes])
        return logits[:, None].expand(-1, len(images), -1)


def test_a_cell_is_read_after_its_own_iterations(runner, plan) -> None:
    """Cells of several iteration counts share one unroll to the largest."""
    cells = [
        cell.model_copy(update={"model": "m", "weights": "m"})
        for cell in plan("corruptions")
        if cell.perturbation is None
    ]
    made = runner(m=candidate("m", Counting()))
    answers = {
        (record.cell.readout, record.cell.iterations): made.store.read_outcomes(record)["prediction"].unique()
        for record in made.run(cells)
    }

    assert {key: answer.tolist() for key, answer in answers.items()} == {
        ("last", 0): [0],
        ("last", 1): [1],
        ("last", 2): [2],
        ("avg", 1): [0],
        ("avg", 2): [0],
    }


@pytest.mark.parametrize("batch_size", [1, 7])
def test_batch_size_changes_no_prediction(runner, plan, batch_size) -> None:
    """The same cells in batches of 1, 7 and 64, in float64, give the same answers."""
    cells = plan("cnnf-paper", examples=10, spsa_examples=2)
    whole = runner("whole", 64, torch.float64)
    parts = runner("parts", batch_size, torch.float64)

    assert predictions(whole, whole.run(cells)) == predictions(parts, parts.run(cells))


def test_corruptions_belong_to_the_seed_and_the_place_in_the_dataset(runner, plan) -> None:
    """Neither the batch an image is in nor its place there decides its noise; another seed does."""
    kinds = ("gaussian_noise", "glass_blur")
    cells = [
        cell
        for cell in plan("corruptions", examples=10)
        if cell.perturbation
        and cell.perturbation.name in kinds
        and cell.perturbation.settings["severity"] == 5
    ]

    def changes(folder: str, batch_size: int, seed: int = 0) -> dict[str, list[float]]:
        made = runner(folder, batch_size)
        records = made.run([cell.model_copy(update={"seed": seed}) for cell in cells])
        assert {record.status for record in records} == {"ok"}
        return {str(r.cell.perturbation): made.store.read_outcomes(r)["l2"].tolist() for r in records}

    whole = changes("whole", 64)
    assert len(whole) == 2
    assert changes("parts", 7) == whole
    other = changes("other", 64, seed=1)
    assert all(other[name] != whole[name] for name in whole)


def test_a_subset_is_a_prefix(runner, plan) -> None:
    """Half of the examples draw and answer as they do among all of them."""

    def answers(folder: str, examples: int) -> list[list[int]]:
        made = runner(folder, 64, torch.float64)
        records = made.run(plan("cnnf-paper", examples=examples, spsa_examples=1))
        return [made.store.read_outcomes(record)["prediction"].tolist() for record in records]

    for half, whole in zip(answers("half", 6), answers("whole", 12), strict=True):
        assert half == whole[: len(half)]


def test_halves_of_the_cells_give_the_same_numbers(runner, plan) -> None:
    """Order and sharding change nothing: what a cell says does not depend on the cells beside it."""
    cells = plan("cnnf-paper", examples=4, spsa_examples=1)
    whole, halves = runner("whole", dtype=torch.float64), runner("halves", dtype=torch.float64)
    expected = predictions(whole, whole.run(cells))
    found = halves.run(cells[1::2][::-1]) + halves.run(cells[::2])

    assert predictions(halves, found) == expected


def test_sharing_halves_the_work(runner, plan) -> None:
    """The paper's matrix costs at most 55 % of the passes that its cells cost one by one."""
    cells = plan("cnnf-paper", examples=2, spsa_examples=1)

    def passes(records: list[Record]) -> int:
        by_group = {r.passes.group: r.passes for r in records}
        return sum(p.forward + p.backward for p in by_group.values())

    together = passes(runner("together").run(cells))
    one_by_one = sum(passes(runner("alone").run([cell])) for cell in cells)

    assert together <= 0.55 * one_by_one


def test_passes_are_counted_by_hand(runner, plan) -> None:
    """PGD-7 end to end on 4 images and 2 iterations: 7 * 4 * 3 passes each way, and 4 * 3 to score."""
    cells = [c for c in plan("cnnf-paper", examples=4) if c.attack_target == "e2e" and c.examples == 4]
    record = runner().run(cells)[0]

    assert (record.passes.forward, record.passes.backward) == (7 * 4 * 3 + 4 * 3, 7 * 4 * 3)


def test_a_failing_group_is_recorded_and_the_rest_goes_on(runner, plan, candidates) -> None:
    """The error stands in the record in one line, with its traceback; finished cells are unharmed."""

    def fail(logits):
        raise RuntimeError("no\nmemory of this")

    cells = plan("clean", model="plain")
    broken = cells[0].model_copy(update={"model": "broken", "weights": "broken"})
    records = runner(broken=candidate("broken", Fixed(fail))).run([broken, *cells])

    assert [record.status for record in records] == ["error", *["ok"] * len(cells)]
    assert records[0].error == "RuntimeError: no memory of this"
    assert "in fail" in records[0].traceback
    assert records[0].n == 0


def test_failed_cells_run_again_and_finished_ones_do_not(runner, plan) -> None:
    """A second run finds the error and retries it; its success replaces it."""
    cell = plan("clean", model="plain")[0].model_copy(update={"model": "m", "weights": "m"})
    is_broken = [True]

    def sometimes(logits):
        if is_broken[0]:
            raise RuntimeError("not yet")
        return logits

    made = runner(m=candidate("m", Fixed(sometimes)))
    made.run([cell])
    assert not finished(made.store.read())
    is_broken[0] = False
    made.run([cell])
    assert [record.status for record in made.store.read()] == ["ok"]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_logits_that_are_not_finite_count_as_wrong(runner, plan, value) -> None:
    """argmax would call a row of NaN class 0; here it is no answer at all."""

    def spoil(logits):
        logits[0, ::2, 3] = value
        return logits

    cell = plan("clean", model="plain")[0].model_copy(update={"model": "m", "weights": "m"})
    made = runner(m=candidate("m", Fixed(spoil)))
    (record,) = made.run([cell])
    outcomes = made.store.read_outcomes(record)

    assert record.nonfinite == 4
    assert outcomes["prediction"].tolist()[::2] == [-1] * 4
    assert not outcomes["is_correct"][::2].any()
    # Tied logits answer class 0, which is the label of the first image only.
    assert record.correct == 0


def test_running_out_of_memory_only_costs_time(runner, plan) -> None:
    """A batch that does not fit is halved until it does, and gives the same numbers."""
    sizes = []

    class Small(Fixed):
        def unroll(self, images, iterations):
            sizes.append(len(images))
            if len(images) > 4:
                raise torch.OutOfMemoryError("CUDA out of memory")
            if len(images) > 3:
                raise RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED")
            return super().unroll(images, iterations)

    cell = plan("clean", model="plain")[0].model_copy(update={"model": "m", "weights": "m"})
    made = runner(m=candidate("m", Small()))
    (record,) = made.run([cell])

    assert (record.status, record.n, record.nonfinite) == ("ok", 8, 0)
    # What has failed once is not tried again.
    assert sizes == [8, 4, 2, 2, 2, 2]
    assert record.provenance.batch_size == 2
    assert record.passes.forward == 8
    assert made.store.read_outcomes(record)["example"].tolist() == list(range(8))


def test_what_does_not_fit_is_not_tried_again_in_the_next_group(runner, plan) -> None:
    """Attempts that fail are slow on a GPU; other work, which may need less memory, begins with all."""
    sizes = []

    class Small(Fixed):
        def unroll(self, images, iterations):
            sizes.append(len(images))
            if len(images) > 4:
                raise RuntimeError("CUDA error: out of memory")
            return super().unroll(images, iterations)

    attacked = [c for c in plan("adversarial", model="plain") if c.attack_target == "first"][:2]
    known = {"model": "m", "weights": "m"}
    cells = [plan("clean", model="plain")[0].model_copy(update=known)]
    cells += [c.model_copy(update=known | {"source": "m", "source_weights": "m"}) for c in attacked]
    records = runner(m=candidate("m", Small())).run(cells)

    assert [record.status for record in records] == ["ok"] * 3
    assert [size for size in sizes if size > 4] == [8, 8]


def test_spsa_keeps_to_the_batch_size(runner, plan) -> None:
    """Its 256 images per example are shown in parts, and the numbers are the same."""
    sizes = []

    class Watched(Fixed):
        def unroll(self, images, iterations):
            sizes.append(len(images))
            return super().unroll(images, iterations)

    cell = next(
        c for c in plan("adversarial", model="plain") if c.perturbation and c.perturbation.name == "spsa"
    )
    known = {"model": "m", "weights": "m", "source": "m", "source_weights": "m"}
    made = runner(m=candidate("m", Watched()))
    (record,) = made.run([cell.model_copy(update=known)])

    assert record.status == "ok"
    assert max(sizes) <= made.machine.batch_size


def test_an_image_that_does_not_fit_is_an_error(runner, plan) -> None:
    """Halving ends at one image."""

    def never(logits):
        raise torch.OutOfMemoryError("CUDA out of memory")

    cell = plan("clean", model="plain")[0].model_copy(update={"model": "m", "weights": "m"})
    (record,) = runner(m=candidate("m", Fixed(never))).run([cell])

    assert record.error == "OutOfMemoryError: CUDA out of memory"


def test_an_interrupt_ends_the_run_at_once(runner, plan) -> None:
    """Ctrl-C is not a failing cell."""

    def interrupt(logits):
        raise KeyboardInterrupt

    cell = plan("clean", model="plain")[0].model_copy(update={"model": "m", "weights": "m"})
    made = runner(m=candidate("m", Fixed(interrupt)))
    with pytest.raises(KeyboardInterrupt):
        made.run([cell])
    assert made.store.read() == []


def test_records_measure_what_was_done(runner, plan) -> None:
    """The largest perturbation is epsilon for PGD, and for SPSA at most steps times its learning rate."""
    records = runner().run(plan("cnnf-paper", examples=4))
    pgd = [r for r in records if r.cell.perturbation and r.cell.perturbation.name == "pgd"]
    spsa = [r for r in records if r.cell.perturbation and r.cell.perturbation.name == "spsa"]
    clean = [r for r in records if r.cell.perturbation is None]

    assert all(r.largest_linf == pytest.approx(0.1, abs=1e-6) for r in pgd)
    assert all(0.01 < r.largest_linf <= 7 * 0.005 * 1.03 for r in spsa)
    assert all(r.largest_linf == 0 for r in clean)


def test_a_few_images_are_kept_to_be_looked_at(runner, plan, tmp_path: Path) -> None:
    """One picture a group, of what the models were shown, the same for every batch size."""
    cells = plan("clean", examples=20)
    (record, _) = runner("whole").run(cells)
    runner("halves", batch_size=3).run(cells)
    picture = Store(tmp_path / "whole").read_example(record)
    shown = np.asarray(Image.open(io.BytesIO(picture)))

    assert picture == Store(tmp_path / "halves").read_example(record)
    assert np.array_equal(shown[:, 28:56], images(cells[0])[0][1, :, :, 0])
    assert shown.shape == (28, 8 * 28)
