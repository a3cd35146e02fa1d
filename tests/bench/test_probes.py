"""What is measured beside the answer, and the picture that goes with it."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

import bench
from bench import restoration_picture
from bench.cli import main
from bench.errors import BenchError
from bench.models import Candidate
from bench.probes import consistency, projection, restoration
from bench.suites import Scored
from reports.cell import key_of
from zoo.cnnf import four_conv
from zoo.plain import Plain

from .conftest import images, tiny

CLEAN = torch.full((2, 1, 2, 2), 0.5)


class Shown:
    """A model that shows the steps it was made with."""

    def __init__(self, *steps: object) -> None:
        self.steps = steps

    def unroll(self, images, iterations):
        return torch.stack([step.logits for step in self.steps])

    def walk(self, images, iterations):
        return iter(self.steps[: iterations + 1])


def step(**held: object) -> SimpleNamespace:
    return SimpleNamespace(logits=torch.zeros(2, 3), **held)


def test_restoration_is_the_distance_to_the_clean_image() -> None:
    """Of the perturbed image at first, then of what the feedback makes of it, clipped to [0, 1]."""
    made = CLEAN + torch.tensor([0.1, 2.0])[:, None, None, None]
    seen = restoration(Shown(step(image=None), step(image=made)), CLEAN, CLEAN - 0.2, 1)

    assert seen.logits.shape == (2, 2, 3)
    torch.testing.assert_close(seen.measures["distance"], torch.tensor([[0.2, 0.2], [0.1, 0.5]]))


def test_restoration_needs_feedback_to_the_pixels() -> None:
    """A feedback that ends above them makes no image."""
    with pytest.raises(ValueError, match="needs feedback that reaches the pixels"):
        restoration(four_conv(2), torch.rand(1, 1, 28, 28), torch.rand(1, 1, 28, 28), 1)


def test_consistency_compares_each_feature_with_its_reconstruction() -> None:
    """||g_k - h_{k-1}|| / ||h_{k-1}||, worked out on what the network shows."""
    torch.manual_seed(0)
    model, shown = tiny(), torch.rand(3, 1, 28, 28)
    seen = consistency(model, shown, shown, 2)
    steps = list(model.walk(shown, 2))
    expected = [
        (now.reconstruction - before.feature).flatten(1).norm(dim=1) / before.feature.flatten(1).norm(dim=1)
        for before, now in pairwise(steps)
    ]

    assert seen.measures["mismatch"][0].isnan().all()
    torch.testing.assert_close(seen.measures["mismatch"][1:], torch.stack(expected))
    assert torch.equal(seen.logits, model.unroll(shown, 2))


def test_projection_is_one_less_the_correlation() -> None:
    """0 for the same representation up to scale and offset, 2 for its opposite, NaN for a constant one."""
    reference = torch.tensor([[1.0, 2.0, 4.0], [0.0, 1.0, 3.0]])

    def walk(images, iterations):
        is_clean = images is CLEAN
        yield step(
            representations=(
                reference if is_clean else 3 * reference + 1,
                reference if is_clean else -reference,
                reference if is_clean else torch.ones(2, 3),
            )
        )

    seen = projection(SimpleNamespace(walk=walk, unroll=None), CLEAN, CLEAN + 0.1, 0)

    torch.testing.assert_close(seen.measures["distance_1"], torch.zeros(1, 2), atol=1e-6, rtol=0)
    torch.testing.assert_close(seen.measures["distance_2"], torch.full((1, 2), 2.0))
    assert seen.measures["distance_3"].isnan().all()


def test_a_probe_changes_no_answer(runner, plan) -> None:
    """Cells with and without a probe share their images and agree; only the former have the measure."""
    probed = plan("restoration")
    plain = [cell.model_copy(update={"probe": None}) for cell in probed]
    made = runner()
    records = made.run([*probed, *plain])
    tables = {record.key: made.store.read_outcomes(record) for record in records}

    for one, other in zip(probed, plain, strict=True):
        assert one.images_key == other.images_key
        assert one.draw_key == other.draw_key
        assert tables[one.key]["prediction"].tolist() == tables[other.key]["prediction"].tolist()
        assert tables[one.key]["distance"].notna().all()
        assert "distance" not in tables[other.key]


def test_restoration_of_a_network_without_feedback_is_refused(plan) -> None:
    """There is nothing to restore with, and one line says so before anything runs."""
    with pytest.raises(BenchError, match="plain has no feedback"):
        plan("restoration", model="plain")


@pytest.mark.parametrize(
    ("suite", "model", "reason"),
    [
        ("restoration", four_conv(2), "it needs feedback that reaches the pixels"),
        ("restoration", Plain(torch.nn.Flatten()), "looks at the steps of walk"),
        ("consistency", Shown(*[step(image=CLEAN)] * 3), "is a measure of CNN-F"),
    ],
)
def test_a_model_that_does_not_show_what_is_looked_at_is_refused(runner, plan, suite, model, reason) -> None:
    """One line names it before anything is evaluated, also of the model that would do."""
    candidate = Candidate(Scored("other", "other", 2), "other", "fashion_mnist", "made", lambda: model)
    fitting = plan(suite)
    cells = [cell.model_copy(update={"model": "other", "weights": "other"}) for cell in fitting]
    made = runner(other=candidate)

    with pytest.raises(BenchError, match=f"^other does not fit the suite {suite}: .*{reason}"):
        made.run([*fitting, *cells])
    assert made.store.read() == []


@pytest.mark.parametrize(("suite", "model"), [("consistency", "pcn_fmnist"), ("restoration", "cnnf_fmnist")])
def test_suites_that_do_not_fit_end_with_one_line(suite: str, model: str, tmp_path: Path) -> None:
    """It is something to mend, no cell that failed: exit code 2, from Python a BenchError."""
    fitting = ["--model", "cnnf_fmnist_std_1", "--model", model, "--device", "cpu", "--examples", "2"]
    done = CliRunner().invoke(main, ["run", "--suite", suite, *fitting, "--results", str(tmp_path)])

    assert done.exit_code == 2
    assert done.stderr.startswith(f"Error: {model} does not fit the suite {suite}: ")
    assert len(done.stderr.splitlines()) == 1
    with pytest.raises(BenchError, match="does not fit the suite"):
        bench.evaluate(model, suite=suite, examples=2, device="cpu")


def test_the_picture_shows_what_was_measured(runner, candidates, plan, tmp_path) -> None:
    """One column of corrupted, restored and clean images per corruption; a second call draws nothing.

    The file tells what it was made with; what is made with another seed is another file.
    """

    def loaded(cell):
        return SimpleNamespace(images=images(cell)[0])

    machine = runner().machine
    cells = plan("restoration")
    path = restoration_picture.draw(candidates["feedback"], cells, loaded, machine, tmp_path)
    written = path.stat().st_mtime_ns

    assert path.name == f"restoration-feedback-{key_of(cells)[:12]}.png"
    assert np.asarray(Image.open(path)).std() > 10
    assert "weights: feedback (drawn, sha256 00000000" in Image.open(path).text["Description"]
    assert restoration_picture.draw(candidates["feedback"], cells, loaded, machine, tmp_path) == path
    assert path.stat().st_mtime_ns == written
    others = [cell.model_copy(update={"seed": 1}) for cell in cells]
    assert restoration_picture.draw(candidates["feedback"], others, loaded, machine, tmp_path) != path
