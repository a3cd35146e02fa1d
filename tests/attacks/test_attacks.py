from __future__ import annotations

from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F

import attacks
from attacks import PGD, SPSA, Draws, ThreatModel
from attacks.ascent import loss_gradient
from attacks.pgd import MomentumPGD
from zoo.cnnf import two_conv

EXAMPLES = 6


class Linear:
    """Two classes told apart by a hyperplane, whose worst case is known in closed form."""

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(1)
        self.weights = torch.randn(12, generator=generator, dtype=torch.float64)

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        score = (images.flatten(1) - 0.5) @ self.weights
        return torch.stack([score, -score], dim=1)


def middle_images() -> tuple[torch.Tensor, torch.Tensor]:
    """Return images far from the borders of the pixel range, and labels of both classes."""
    generator = torch.Generator().manual_seed(2)
    images = 0.4 + 0.2 * torch.rand(EXAMPLES, 3, 2, 2, generator=generator, dtype=torch.float64)
    return images, torch.arange(EXAMPLES) % 2


def draws(images: torch.Tensor) -> Draws:
    return Draws("test", range(len(images)), images)


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("attack", ["pgd", "spsa"])
def test_attacks_meet_the_optimum_of_a_linear_model(norm, attack) -> None:
    """Within 1 % of the closed form: the score falls by epsilon times the dual norm of the weights."""
    model, threat = Linear(), ThreatModel(norm, 0.1)
    images, labels = middle_images()
    if attack == "pgd":
        run = PGD(threat, steps=20, step_size=0.02)
    else:
        run = SPSA(threat, steps=60, samples=512, delta=0.01, learning_rate=0.01)
    adversarial = run(model, images, labels, draws(images))
    sign = 1 - 2.0 * labels
    fall = sign * (model(images) - model(adversarial))[:, 0]
    dual = model.weights.abs().sum() if norm == "linf" else model.weights.norm()

    torch.testing.assert_close(fall, (0.1 * dual).expand(EXAMPLES), rtol=0.01, atol=0)


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("backend", ["native", "advertorch"])
def test_attacks_stay_inside_the_threat_model(norm, backend, advertorch) -> None:
    """Near the borders of the pixel range too, and in float32."""
    model = two_conv(0)
    images = torch.rand(3, 1, 28, 28).round()
    threat = {"norm": norm, "epsilon": 0.3}
    runs = [attacks.build("pgd", backend, threat | {"steps": 5, "step_size": 0.2})]
    if backend == "native":
        runs.append(attacks.build("noise", backend, threat))
    if (backend, norm) != ("advertorch", "l2"):
        spsa = {"steps": 2, "samples": 4, "delta": 0.01, "learning_rate": 0.3}
        runs.append(attacks.build("spsa", backend, threat | spsa))
    for run in runs:
        adversarial = run(lambda x: model.unroll(x, 0)[0], images, torch.tensor([0, 1, 2]), draws(images))
        change = (adversarial.double() - images.double()).flatten(1)
        size = change.abs().amax(1) if norm == "linf" else change.norm(dim=1)
        assert (size <= 0.3 + 1e-6).all()
        assert (size > 0.1).all()
        assert adversarial.min() >= 0
        assert adversarial.max() <= 1


def test_restarts_keep_a_success() -> None:
    """An image that fools at a low loss is kept before one that does not at a higher one."""
    right, wrong = torch.full((10,), 0.7 / 9), torch.zeros(10) + 1e-9
    right[0], wrong[0], wrong[1] = 0.3, 0.45, 0.55

    def classifier(x: torch.Tensor) -> torch.Tensor:
        is_wrong = (x.mean((1, 2, 3)) > 0.5)[:, None]
        return torch.where(is_wrong, wrong.log(), right.log()) + 0 * x.sum()

    images, labels = torch.full((64, 1, 1, 1), 0.5), torch.zeros(64, dtype=torch.long)
    run = PGD(ThreatModel("linf", 0.2), steps=1, step_size=0.01, restarts=16)
    adversarial = run(classifier, images, labels, draws(images))

    assert (classifier(adversarial).argmax(1) != 0).all()


def test_more_restarts_never_lower_the_loss() -> None:
    """Of climbs that all fool, or all do not, each example keeps the one that ends highest."""
    model, threat = two_conv(0), ThreatModel("linf", 0.2)
    images, labels = torch.rand(4, 1, 28, 28), torch.arange(4)

    def loss(restarts: int) -> torch.Tensor:
        run = PGD(threat, steps=2, step_size=0.05, restarts=restarts)
        adversarial = run(lambda x: model.unroll(x, 1)[1], images, labels, draws(images))
        return F.cross_entropy(model.unroll(adversarial, 1)[1], labels, reduction="none")

    one, three = loss(1), loss(3)
    assert (three >= one - 1e-6).all()
    assert (three > one + 1e-6).any()


def test_each_restart_is_held_against_the_best_before_it() -> None:
    """Not against the first: the best of four is never below the best of three."""
    model, threat = two_conv(0), ThreatModel("linf", 0.2)
    generator = torch.Generator().manual_seed(0)
    images, labels = torch.rand(24, 1, 28, 28, generator=generator), torch.arange(24) % 10

    def loss(restarts: int) -> torch.Tensor:
        run = PGD(threat, steps=1, step_size=0.01, restarts=restarts)
        adversarial = run(lambda x: model.unroll(x, 0)[0], images, labels, draws(images))
        return F.cross_entropy(model.unroll(adversarial, 0)[0], labels, reduction="none")

    losses = [loss(restarts) for restarts in range(1, 5)]
    assert all((more >= fewer - 1e-6).all() for fewer, more in pairwise(losses))


def test_momentum_by_hand() -> None:
    """Each gradient counts with an L1 norm of one, whatever its own, and the earlier ones stay."""
    step = MomentumPGD(ThreatModel("linf", 1.0), steps=2, step_size=0.1)._update()
    images = torch.full((2, 1, 1, 2), 0.5)
    # Of norm one: (3/4, 1/4) and (-1/4, 3/4), sum (1/2, 1); in another scale (1/4, 3/4) and (3/4, -1/4).
    first = torch.tensor([[3.0, 1.0], [0.001, 0.003]]).reshape(images.shape)
    second = torch.tensor([[-100.0, 300.0], [3.0, -1.0]]).reshape(images.shape)

    assert torch.allclose(step(step(images, first), second), torch.full_like(images, 0.7))


def test_pgd_leaves_the_model_as_it_was() -> None:
    """No gradient is left on a parameter."""
    model = two_conv(0)
    images = torch.rand(2, 1, 28, 28)
    PGD(ThreatModel("linf", 0.1), 2, 0.05)(
        lambda x: model.unroll(x, 0)[0], images, torch.tensor([0, 1]), draws(images)
    )

    assert all(parameter.grad is None for parameter in model.parameters())


def test_the_estimate_on_one_pixel_is_the_gradient() -> None:
    """There a random direction is the only one, whatever its sign."""
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(5, 1, 1, 1, generator=generator, dtype=torch.float64)
    weights, labels = torch.randn(1, 3, generator=generator, dtype=torch.float64), torch.arange(5) % 3

    def classifier(x: torch.Tensor) -> torch.Tensor:
        return x.flatten(1) @ weights

    spsa = SPSA(ThreatModel("linf", 0.1), steps=1, samples=4, delta=1e-3, learning_rate=0.01)
    estimate = spsa.estimated_gradient(classifier, labels, draws(images))(images)

    torch.testing.assert_close(estimate, loss_gradient(classifier, labels)(images), rtol=1e-5, atol=1e-7)


def test_spsa_needs_no_gradient() -> None:
    """It attacks through a step function, which hides every gradient."""
    weights = torch.linspace(-1, 1, 12, dtype=torch.float64)

    def steps(images: torch.Tensor) -> torch.Tensor:
        score = ((images.flatten(1) @ weights) * 50).round().detach() / 50
        return torch.stack([score, -score], dim=1)

    images, labels = middle_images()
    run = SPSA(ThreatModel("linf", 0.1), steps=10, samples=64, delta=0.05, learning_rate=0.03)
    adversarial = run(steps, images, labels, draws(images))

    assert ((1 - 2 * labels) * (steps(images) - steps(adversarial))[:, 0] > 0.2).all()


def test_spsa_climbs_past_answers_that_overflow() -> None:
    """A probe without a finite answer tells nothing: the image that it belongs to stays one, and climbs."""
    weights = torch.linspace(-1, 1, 12, dtype=torch.float64)

    def classifier(images: torch.Tensor) -> torch.Tensor:
        pixels = images.flatten(1)
        score = pixels @ weights + torch.where(pixels[:, 0] > pixels[:, 1] + 0.05, torch.inf, 0.0)
        return torch.stack([score, torch.zeros_like(score)], dim=1)

    images, labels = middle_images()
    images.flatten(1)[:, :2] = 0.5
    run = SPSA(ThreatModel("linf", 0.1), steps=10, samples=64, delta=0.05, learning_rate=0.03)
    adversarial = run(classifier, images, labels, draws(images))

    assert classifier(images).isfinite().all()
    assert adversarial.isfinite().all()
    climbed = (1 - 2 * labels) * ((images - adversarial).flatten(1) @ weights)
    assert (climbed > 0.2).all()


def test_pgd_equals_advertorch_from_the_same_start(advertorch) -> None:
    """Our image is that of advertorch's LinfPGDAttack to 1e-6, with its own random start."""
    from advertorch.attacks import LinfPGDAttack

    model = two_conv(0).double().requires_grad_(False)
    images, labels = torch.rand(4, 1, 28, 28, dtype=torch.float64), torch.arange(4)

    def classifier(x: torch.Tensor) -> torch.Tensor:
        return model.unroll(x, 2)[2]

    theirs = LinfPGDAttack(
        classifier,
        torch.nn.CrossEntropyLoss(reduction="sum"),
        eps=0.1,
        nb_iter=7,
        eps_iter=0.0355,
        rand_init=True,
    )
    torch.manual_seed(3)
    expected = theirs.perturb(images, labels)
    torch.manual_seed(3)
    noise = torch.zeros_like(images).uniform_(-1, 1)

    class SameNoise(Draws):
        def uniform(self, shape):
            return (noise + 1) / 2

    ours = PGD(ThreatModel("linf", 0.1), 7, 0.0355)(
        classifier, images, labels, SameNoise("", range(4), images)
    )
    torch.testing.assert_close(ours, expected.detach(), rtol=0, atol=1e-6)


def test_spsa_equals_advertorch_along_the_same_directions(advertorch) -> None:
    """Fed the directions that LinfSPSAAttack draws, our SPSA makes its image."""
    from advertorch.attacks import LinfSPSAAttack

    model = two_conv(0).double().requires_grad_(False)
    images, labels = torch.rand(3, 1, 28, 28, dtype=torch.float64), torch.arange(3)
    samples, steps = 16, 4

    def classifier(x: torch.Tensor) -> torch.Tensor:
        return model.unroll(x, 1)[1]

    theirs = LinfSPSAAttack(
        classifier,
        eps=0.1,
        delta=0.005,
        lr=0.03,
        nb_iter=steps,
        nb_sample=samples,
        max_batch_size=samples,
        loss_fn=torch.nn.CrossEntropyLoss(reduction="none"),
    )
    torch.manual_seed(4)
    expected = theirs.perturb(images, labels)
    torch.manual_seed(4)

    class SameDirections(Draws):
        def signs(self, shape):
            one = torch.empty(samples, 1, *shape[1:], dtype=torch.float64).bernoulli_().mul_(2).sub_(1)
            return one.transpose(0, 1).expand(3, -1, -1, -1, -1)

    run = SPSA(ThreatModel("linf", 0.1), steps=steps, samples=samples, delta=0.005, learning_rate=0.03)
    ours = run(classifier, images, labels, SameDirections("", range(3), images))
    torch.testing.assert_close(ours, expected, rtol=0, atol=1e-6)


def test_the_advertorch_backend_repeats_itself(advertorch) -> None:
    """Its SPSA depends on the example's own seed, not on batch mates or torch's global generator."""
    model = two_conv(0).double().requires_grad_(False)
    images, labels = torch.rand(3, 1, 28, 28, dtype=torch.float64), torch.arange(3)
    settings = {
        "norm": "linf",
        "epsilon": 0.1,
        "steps": 2,
        "samples": 4,
        "delta": 0.005,
        "learning_rate": 0.05,
    }
    run = attacks.build("spsa", "advertorch", settings)

    def classifier(x: torch.Tensor) -> torch.Tensor:
        return model.unroll(x, 0)[0]

    together = run(classifier, images, labels, Draws("key", [0, 1, 2], images))
    torch.rand(5)
    alone = run(classifier, images[1:2], labels[1:2], Draws("key", [1], images))
    torch.testing.assert_close(alone, together[1:2], rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("pgd", {"steps": 0, "step_size": 0.1}, "steps must be above 0, got 0"),
        ("pgd", {"steps": 1, "step_size": -1.0}, "step_size must be above 0"),
        ("pgd", {"steps": 1, "step_size": 0.1, "restarts": 2, "random_start": False}, "need random_start"),
        (
            "spsa",
            {"steps": 1, "samples": 1, "delta": 0.0, "learning_rate": 0.1},
            "delta must be above 0",
        ),
    ],
)
def test_impossible_settings_are_refused(name, settings, message) -> None:
    """The message names the setting and its value."""
    with pytest.raises(ValueError, match=message):
        attacks.build(name, "native", {"norm": "linf", "epsilon": 0.1} | settings)


def test_unknown_attacks_list_what_is_known() -> None:
    """A name that no catalogue holds is answered with those there are."""
    with pytest.raises(LookupError, match="unknown attack native:fgsm; known: advertorch:pgd"):
        attacks.build("fgsm", "native", {"norm": "linf", "epsilon": 0.1})
