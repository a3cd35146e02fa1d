"""The attacks beside PGD and SPSA: what they reach, what they may not do, and what they depend on."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import attacks
from attacks import Draws
from attacks.apgd import KEPT, _Climb, checkpoints_of
from attacks.square import _bumps
from bench.data import evaluation_images
from zoo.checkpoint import load

SETTINGS: dict[str, dict[str, Any]] = {
    "native:apgd": {"steps": 20, "early_stop": False},
    "native:apgd dlr": {"steps": 20, "loss": "dlr", "early_stop": False},
    "native:apgd targeted": {"steps": 20, "loss": "dlr_targeted", "targets": 3, "early_stop": False},
    "native:momentum": {"steps": 60, "step_size": 0.02, "restarts": 2},
    "native:noise": {"samples": 4000},
    "native:square": {"queries": 2000},
    "pyautoattack:apgd": {"steps": 30},
    "pyautoattack:apgd targeted": {"steps": 30, "loss": "dlr_targeted", "targets": 3},
    "pyautoattack:fab": {"steps": 20, "targets": 3},
    "pyautoattack:square": {"queries": 2000},
}
OPTIMAL = [(name, norm) for name in SETTINGS for norm in ("linf", "l2") if "noise" not in name]
OPTIMAL.remove(("native:square", "l2"))
OPTIMAL.remove(("pyautoattack:square", "linf"))
OPTIMAL.remove(("pyautoattack:square", "l2"))
"""Noise is no search; squares make no single pixel under l2; the package's never cover the last row."""


SHORT = {"steps": 5, "queries": 30, "samples": 5}
"""What is enough where no optimum is asked for."""


def made(name: str, norm: str, epsilon: float, **others: Any) -> attacks.Attack:
    backend, _, attack = name.partition(":")
    settings = {"norm": norm, "epsilon": epsilon} | SETTINGS[name] | others
    return attacks.build(attack.split()[0], backend, settings)


def short(name: str, norm: str, epsilon: float) -> attacks.Attack:
    others = {setting: value for setting, value in SHORT.items() if setting in SETTINGS[name]}
    return made(name, norm, epsilon, **others)


class Linear:
    """Two classes told apart by a hyperplane, two that never win; class 0 is `lead` ahead on grey images."""

    def __init__(self, lead: float) -> None:
        generator = torch.Generator().manual_seed(1)
        self.weights = torch.randn(25, generator=generator, dtype=torch.float64)
        self.lead = lead

    def score(self, images: torch.Tensor) -> torch.Tensor:
        # Elementwise products sum alike in every batch; a matrix product need not.
        return ((images.mean(1).flatten(1) - 0.5) * self.weights.to(images)).sum(1)

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        score = self.score(images)
        never = torch.full_like(score, -1000.0)
        return torch.stack([score + self.lead, -score, never, never - 1], dim=1)

    def dual(self, norm: str) -> float:
        return float(self.weights.abs().sum() if norm == "linf" else self.weights.norm())


def middle_images(count: int = 6, dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, torch.Tensor]:
    """Return images far from the borders of the pixel range, all of class 0."""
    generator = torch.Generator().manual_seed(2)
    images = 0.45 + 0.1 * torch.rand(count, 1, 5, 5, generator=generator, dtype=torch.float64)
    return images.to(dtype), torch.zeros(count, dtype=torch.long)


def draws(images: torch.Tensor, first: int = 0) -> Draws:
    return Draws("test", range(first, first + len(images)), images)


@pytest.mark.parametrize(("name", "norm"), OPTIMAL)
def test_attacks_meet_the_optimum_of_a_linear_model(name, norm) -> None:
    """They fool it within 1 % of the distance to the boundary, known in closed form, and never below it."""
    model = Linear(lead=0.6)
    images, labels = middle_images(3)
    distance = (2 * model.score(images) + model.lead) / (2 * model.dual(norm))
    for image, label, radius in zip(images, labels, distance, strict=True):
        for factor, expected in ((1.01, True), (0.99, False)):
            attack = made(name, norm, factor * radius.item())
            found = attack(model, image[None], label[None], draws(image[None]))
            is_fooled = model(found).argmax(1) != label
            assert is_fooled.item() == expected, (factor, radius)


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_attacks_stay_inside_the_threat_model(name, norm, dtype) -> None:
    """Near the borders of the pixel range too, with colour channels innermost, and leave the image alone."""
    generator = torch.Generator().manual_seed(3)
    images = torch.rand(4, 5, 5, 5, generator=generator).round().to(dtype, memory_format=torch.channels_last)
    before, labels = images.clone(), torch.zeros(4, dtype=torch.long)
    found = short(name, norm, 0.3)(Linear(lead=20), images, labels, draws(images))
    change = (found.double() - images.double()).flatten(1)
    size = change.abs().amax(1) if norm == "linf" else change.norm(dim=1)

    assert found.dtype == dtype
    assert (size <= 0.3 + 1e-6).all()
    assert found.min() >= 0
    assert found.max() <= 1
    assert torch.equal(images, before)


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("name", SETTINGS)
def test_batching_changes_no_byte(name, norm) -> None:
    """Batches of 1, 7 and 64 give the same images, whoever else is fooled early.

    Under l2 torch sums the squares of an image alone in another order, so there it is the last digits.
    """
    model = Linear(lead=0.2)
    images, labels = middle_images(64)
    distance = (2 * model.score(images) + model.lead) / (2 * model.dual(norm))
    attack = short(name, norm, distance.median().item())

    def attacked(size: int) -> torch.Tensor:
        return torch.cat(
            [
                attack(model, images[i : i + size], labels[i : i + size], draws(images[i : i + size], i))
                for i in range(0, 64, size)
            ]
        )

    together = attacked(64)
    digits = 0.0 if norm == "linf" else 1e-5 if name.startswith("pyautoattack") else 1e-10
    torch.testing.assert_close(attacked(1), together, rtol=0, atol=digits)
    torch.testing.assert_close(attacked(7), together, rtol=0, atol=digits)
    is_fooled = model(together).argmax(1) != 0
    assert is_fooled.any()
    assert not is_fooled.all()


@pytest.mark.parametrize("name", [name for name in SETTINGS if "fab" not in name])
def test_other_keys_start_elsewhere(name) -> None:
    """The draws are the key's: another seed of a cell gives other images, the same seed the same."""
    model = Linear(lead=20)
    images, labels = middle_images()
    attack = made(name, "l2", 0.1, **{few: 1 for few in SHORT if few in SETTINGS[name]})
    first, again, other = (
        attack(model, images, labels, Draws(key, range(6), images)) for key in ("a", "a", "b")
    )

    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_several_answers_are_attacked_at_once() -> None:
    """An attack on a sum of losses fools all answers of a model, where one on a single answer need not."""
    first, second = Linear(0.3), Linear(0.3)
    second.weights = second.weights.flip(0)
    images, labels = middle_images()

    def both(images: torch.Tensor) -> torch.Tensor:
        return torch.stack([first(images), second(images)])

    for name in ("native:apgd", "native:apgd dlr", "native:square", "native:momentum"):
        found = made(name, "linf", 0.4)(both, images, labels, draws(images))
        assert (both(found).argmax(-1) != 0).all(), name
    found = made("native:apgd", "linf", 0.4)(first, images, labels, draws(images))
    assert (second(found).argmax(-1) == 0).any()


def test_pyautoattack_refuses_several_answers() -> None:
    """It knows one answer per image, and says so."""
    images, labels = middle_images()
    with pytest.raises(ValueError, match="one answer"):
        made("pyautoattack:fab", "linf", 0.1)(lambda x: Linear(1.0)(x)[None], images, labels, draws(images))


@pytest.mark.parametrize("fooling", [[[0.0, 0.5], [0.0, 0.5]], [[float("nan"), 0.0]] * 2])
def test_apgd_keeps_what_fools(fooling: list[list[float]]) -> None:
    """Also where the margins of all answers together are lower than before the attack, or no numbers."""
    before = torch.tensor([[0.0, 9.0], [4.5, 0.0]])[:, None]
    beyond = torch.tensor(fooling)[:, None]

    def classifier(x: torch.Tensor) -> torch.Tensor:
        is_beyond = (x[:, 0, 0] > 0.6)[None]
        return torch.where(is_beyond, beyond, before) + 0 * x.sum()

    images, labels = torch.full((32, 1, 1, 1), 0.5), torch.zeros(32, dtype=torch.long)
    settings = {"norm": "linf", "epsilon": 0.5, "steps": 2, "loss": "ce", "restarts": 16}
    found = attacks.build("apgd", "native", settings)(classifier, images, labels, draws(images))

    assert (found > 0.6).all()


def test_apgd_agrees_with_its_authors_code() -> None:
    """On a trained network ours fools as many of 64 images as theirs but for one, and many more than FGSM."""
    model = load("cnn_fmnist_std").requires_grad_(False)
    pixels, labels = (torch.from_numpy(part) for part in evaluation_images("fashion_mnist", 64)[:2])
    images = pixels.permute(0, 3, 1, 2) / 255

    def classifier(x: torch.Tensor) -> torch.Tensor:
        return model.unroll(x, 0)[0]

    def fooled(name: str, backend: str, **settings: object) -> int:
        attack = attacks.build(name, backend, {"norm": "linf", "epsilon": 0.03} | settings)
        found = attack(classifier, images, labels, draws(images))
        return int((classifier(found).argmax(1) != labels).sum())

    fgsm = fooled("pgd", "native", steps=1, step_size=0.03, random_start=False)
    for loss in ("ce", "dlr"):
        ours, theirs = (
            fooled("apgd", backend, steps=15, loss=loss) for backend in ("native", "pyautoattack")
        )
        assert ours >= theirs - 1
        assert ours >= fgsm + 5


def test_apgd_halves_and_goes_back_by_hand() -> None:
    """Section 3.2 on four examples at a checkpoint four steps after the last, their best loss 2.

    One rarely rose. One rose without a new best, for the first time, one for the second. One went well.
    """
    images = torch.zeros(4, 1, 1, 1)
    labels = torch.zeros(4, dtype=torch.long)
    climb = _Climb.begin(images, labels, labels, images + 0.5, 0.2)
    climb.best, climb.best_gradient = images + 0.9, images - 1
    climb.gradient = images + 1
    climb.loss, climb.best_loss = torch.ones(4), torch.full((4,), 2.0)
    climb.rises = torch.tensor([2, 4, 4, 3])
    climb.was_halved = torch.tensor([False, False, True, False])
    climb.checked_loss = torch.tensor([1.0, 2.0, 2.0, 1.0])
    climb.adapt(4)
    is_halved = [True, True, False, False]

    assert climb.was_halved.tolist() == is_halved
    for found, halved, kept in (
        (climb.step_size, 0.1, 0.2),
        (climb.current, 0.9, 0.5),
        (climb.gradient, -1, 1),
        (climb.loss, 2, 1),
    ):
        assert found.flatten().tolist() == pytest.approx([halved if half else kept for half in is_halved])
    assert climb.rises.tolist() == [0] * 4
    assert climb.checked_loss.tolist() == [2] * 4


def test_apgd_keeps_steps_in_part_by_hand() -> None:
    """Algorithm 1, line 8: 3/4 of 0.2 downhill, and 1/4 of the 0.2 that it went before."""
    images = torch.full((1, 1, 1, 1), 0.5)
    climb = _Climb.begin(
        images, torch.zeros(1, dtype=torch.long), torch.ones(1, dtype=torch.long), images, 0.2
    )
    climb.current, climb.gradient = images + 0.2, -torch.ones_like(images)
    climb.move(attacks.ThreatModel("linf", 1.0), KEPT)

    assert climb.current.item() == pytest.approx(0.7 - 0.75 * 0.2 + 0.25 * 0.2)


def test_apgd_keeps_its_first_step_whole() -> None:
    """It is twice epsilon long, so that a linear model is at its worst after one."""
    images, labels = middle_images()
    attack = attacks.APGD(attacks.ThreatModel("linf", 0.2), steps=1, early_stop=False)
    found = attack(Linear(0.3), images, labels, draws(images))

    torch.testing.assert_close((found - images).abs(), torch.full_like(images, 0.2))


def test_checkpoints_are_the_papers() -> None:
    """p_{j+1} = p_j + max(p_j - p_{j-1} - 0.03, 0.06) from 0 and 0.22 on (section 3.2), by hand."""
    assert checkpoints_of(100) == [22, 41, 57, 70, 80, 87, 93, 99]
    assert checkpoints_of(10) == [3, 5, 6, 7, 8, 9, 10, 10]


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_noise_has_the_size_of_an_attack(norm) -> None:
    """Away from the borders each perturbation is epsilon long."""
    images, labels = middle_images()
    change = made("native:noise", norm, 0.2, samples=3)(Linear(9.0), images, labels, draws(images)) - images
    size = change.flatten(1).abs().amax(1) if norm == "linf" else change.flatten(1).norm(dim=1)

    torch.testing.assert_close(size, torch.full_like(size, 0.2))


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_square_goes_on_from_what_another_found(norm: str) -> None:
    """Never worse than where it starts, inside the ball, and as the same squares anywhere in a batch."""
    images, labels = middle_images(8)
    classifier = Linear(0.0)
    classifier.lead = 2.5 * 0.1 * classifier.dual(norm)
    found = made("native:momentum", norm, 0.1, steps=3)(classifier, images, labels, draws(images))
    square = made("native:square", norm, 0.1, queries=60)
    better = square.refine(classifier, images, found, labels, draws(images))
    part = square.refine(classifier, images[5:], found[5:], labels[5:], draws(images[5:], 5))

    assert (classifier.score(better) <= classifier.score(found)).all()
    assert (classifier.score(better) < classifier.score(found)).any()
    length = torch.linalg.vector_norm((better - images).flatten(1), float(norm[1:]), dim=1)
    assert length.max() <= 0.1 + 1e-9
    assert torch.equal(part, better[5:]) or norm == "l2"
    torch.testing.assert_close(part, better[5:])
    untouched = square.refine(classifier, images, found, labels, draws(images))
    assert torch.equal(untouched, better), "the start was changed"


def test_square_needs_few_queries_under_l2() -> None:
    """It fools a linear model within twice the distance to the boundary."""
    model = Linear(lead=0.6)
    images, labels = middle_images()
    distance = (2 * model.score(images) + model.lead) / (2 * model.dual("l2"))
    attack = made("native:square", "l2", 2 * distance.max().item())

    assert (model(attack(model, images, labels, draws(images))).argmax(1) != 0).all()


@pytest.mark.parametrize("side", [2, 3, 5, 8])
def test_bumps_have_norm_one_and_two_signs(side) -> None:
    """One half pushes up and the other down (equation 2)."""
    bumps = _bumps(side, torch.zeros((), dtype=torch.float64))

    assert bumps.shape == (side, side)
    assert bumps.norm().item() == pytest.approx(1)
    assert (bumps[:, : side // 2] > 0).all()
    assert (bumps[:, side // 2 :] < 0).all()


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("native:apgd", {"loss": "mse"}, "loss must be one of ce, dlr, dlr_targeted, got 'mse'"),
        ("native:apgd", {"targets": 3}, "targets must be 1 under the loss ce, got 3"),
        ("native:square", {"queries": 0}, "queries must be above 0"),
        ("native:square", {"queries": 5, "initial_share": 1.5}, "initial_share must be at most 1"),
        ("native:noise", {"samples": 0}, "samples must be above 0"),
        ("native:momentum", {"steps": 1, "step_size": 0.1, "decay": -1.0}, "decay must be at least 0"),
        ("pyautoattack:apgd", {"early_stop": False}, "early_stop must be true"),
        ("pyautoattack:fab", {"targets": 0}, "targets must be above 0"),
    ],
)
def test_impossible_settings_are_refused(name, settings, message) -> None:
    """The message names the setting and its value."""
    backend, _, attack = name.partition(":")
    with pytest.raises(ValueError, match=message):
        attacks.build(attack, backend, {"norm": "linf", "epsilon": 0.1} | settings)


@pytest.mark.parametrize(("loss", "classes"), [("dlr", 2), ("dlr_targeted", 3)])
def test_ratios_need_enough_classes(loss, classes) -> None:
    """Fewer classes have no third or fourth logit to scale by."""
    images, labels = middle_images()
    attack = attacks.build("apgd", "native", {"norm": "linf", "epsilon": 0.1, "loss": loss})
    with pytest.raises(ValueError, match="needs"):
        attack(lambda x: Linear(1.0)(x)[:, :classes], images, labels, draws(images))
