from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from zoo.feedback import FeedbackModel
from zoo.predictive_coding import (
    Balance,
    Normalised,
    PredictiveCodingNetwork,
    count_cells,
    count_cells_by_perturbation,
    pcn_cifar,
    predify,
    pvgg16,
)
from zoo.predictive_coding.dynamics import Recall, update
from zoo.predictive_coding.passing import encoder_shapes


class Two(nn.Module):
    """Two stages; the second rectifies in place, and a function does so after the first."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 4, 3, padding=1)
        self.norm1 = nn.BatchNorm2d(4)
        self.conv2 = nn.Conv2d(4, 6, 3, stride=2, padding=1)
        self.act2 = nn.ELU(inplace=True)
        self.head = nn.Linear(6, 5)

    def forward(self, images: Tensor) -> Tensor:
        feature = F.elu(self.norm1(self.conv1(images)), inplace=True)
        return self.head(self.act2(self.conv2(feature)).mean((2, 3)))


def decoders() -> list[nn.Module]:
    return [
        nn.ConvTranspose2d(4, 1, 3, padding=1),
        nn.Sequential(nn.ConvTranspose2d(6, 4, 4, 2, 1), nn.Tanh()),
    ]


def two(**settings: Any) -> PredictiveCodingNetwork:
    """Return a predictive-coding network whose every term matters."""
    defaults = {"beta": 0.4, "lambda_": [0.3, 0.2], "alpha": 0.5, "scaling": "scaled"}
    return predify(Two(), encoders=["norm1", "act2"], decoders=decoders(), **(defaults | settings)).double()


def images(n: int = 3) -> Tensor:
    return torch.randn(n, 1, 8, 8, dtype=torch.float64)


def test_update_by_hand() -> None:
    """Each term of equation 2 has its weight; without a prediction the memory takes feedback's part."""
    drive, memory, feedback, gradient = (torch.tensor([[value]]) for value in (1.0, 10.0, 100.0, 1000.0))
    balance = Balance(0.5, 0.2, 0.01)

    assert update(drive, Recall(memory, feedback, gradient), balance).item() == pytest.approx(
        0.5 * 1 + 0.2 * 100 + 0.3 * 10 - 0.01 * 1000
    )
    assert update(drive, Recall(memory, None, gradient), balance).item() == pytest.approx(
        0.5 * 1 + 0.5 * 10 - 0.01 * 1000
    )


def test_one_timestep_by_hand() -> None:
    """With one value a layer everything can be computed on paper, for both scalings."""
    backbone = nn.Sequential(nn.Conv2d(1, 1, 1, bias=False), nn.Conv2d(1, 1, 1, bias=False), nn.Flatten())
    made = [nn.ConvTranspose2d(1, 1, 1, bias=False), nn.ConvTranspose2d(1, 1, 1, bias=False)]
    for module, weight in zip([*backbone[:2], *made], (2.0, 3.0, 0.5, 0.25), strict=True):
        nn.init.constant_(module.weight, weight)
    settings = {"beta": 0.5, "lambda_": [0.3, 0], "alpha": 0.1, "prediction_cells": [4, 16]}
    image = torch.ones(1, 1, 1, 1)

    # First pass: e_1 = 2, e_2 = 6; d_0 = 1, d_1 = 1.5. Squared errors: 0 and 0.25, whose gradients are
    # 0 and 2 * (1.5 - 2) * 0.25 = -0.25.
    for scaling, root in (("plain", 1.0), ("scaled", 4.0)):
        model = predify(backbone, encoders=["0", "1"], decoders=made, scaling=scaling, **settings)
        e1 = 0.5 * 2 + 0.3 * 1.5 + 0.2 * 2
        e2 = 0.5 * 3 * e1 + 0.5 * 6 - 0.1 * -0.25 / root
        first, second = model.walk(image, 1)

        assert first.prediction_errors.flatten().tolist() == [0, 0.25]
        assert [e.item() for e in second.representations] == pytest.approx([e1, e2])
        assert second.logits.item() == pytest.approx(e2)


def test_the_first_pass_is_the_backbone() -> None:
    """Before any feedback the model is the network it was made of."""
    backbone = Two().double().eval()
    model = predify(backbone, encoders=["norm1", "act2"], decoders=decoders()).double()
    batch = images()

    torch.testing.assert_close(model.unroll(batch, 0)[0], backbone(batch), rtol=0, atol=0)
    assert isinstance(model, FeedbackModel)


@pytest.mark.parametrize("scaling", ["plain", "scaled"])
def test_unroll_is_a_pure_function(scaling: str) -> None:
    """Earlier calls and batch mates change nothing, and the module's state is untouched."""
    model = two(scaling=scaling, alpha=20 if scaling == "plain" else 0.5)
    batch = images()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    together = model.unroll(batch, 3)
    list(model.walk(images(), 2))
    alone = torch.cat([model.unroll(image[None], 3) for image in batch], dim=1)

    assert together.shape == (4, 3, 5)
    assert (together[0] - together[3]).abs().max() > 1e-3
    torch.testing.assert_close(alone, together, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(model.unroll(batch, 3), together, rtol=0, atol=0)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_batch_mates_matter_only_in_the_public_plain_update() -> None:
    """compat="public" divides the plain error by the batch, so alpha there is one of n times ours."""
    weights = two().state_dict()
    batch = images(2)

    def unrolled(batch: Tensor, **settings: Any) -> Tensor:
        model = two(**settings)
        model.load_state_dict(weights)
        return model.unroll(batch, 2)

    public = unrolled(batch, scaling="plain", alpha=20, compat="public")
    torch.testing.assert_close(public, unrolled(batch, scaling="plain", alpha=10), rtol=1e-12, atol=1e-12)
    alone = unrolled(batch[:1], scaling="plain", alpha=20, compat="public")
    assert (public[:, :1] - alone).abs().max() > 1e-3
    assert torch.equal(unrolled(batch, compat="public"), unrolled(batch))


def test_fewer_iterations_are_a_prefix_and_the_walk_shows_them() -> None:
    """Unrolling further leaves earlier iterations as they are; the walk's logits are the unroll's."""
    model, batch = two(), images()
    unrolled = model.unroll(batch, 3)

    torch.testing.assert_close(unrolled[:2], model.unroll(batch, 1), rtol=0, atol=0)
    steps = list(model.walk(batch, 3))
    torch.testing.assert_close(torch.stack([s.logits for s in steps]), unrolled, rtol=0, atol=0)
    for step in steps:
        targets = (batch, *step.representations[:-1])
        for n, (target, prediction) in enumerate(zip(targets, step.predictions, strict=True)):
            error = (prediction - target).square().mean((1, 2, 3))
            torch.testing.assert_close(step.prediction_errors[:, n], error)


@pytest.mark.parametrize("scaling", ["plain", "scaled"])
def test_the_gradient_is_that_of_finite_differences(scaling: str) -> None:
    """By default an attacker sees the whole gradient, the error term's included."""
    model = two(scaling=scaling, alpha=20 if scaling == "plain" else 0.5)
    batch = images(2).requires_grad_()
    direction = torch.randn(2, 5, dtype=torch.float64)

    def loss(at: Tensor) -> Tensor:
        return (model.unroll(at, 3)[-1] * direction).sum()

    (gradient,) = torch.autograd.grad(loss(batch), batch)
    for place in [(0, 0, 0, 0), (0, 0, 3, 5), (1, 0, 7, 7), (1, 0, 4, 2)]:
        step = torch.zeros_like(batch)
        step[place] = 1e-5
        with torch.no_grad():
            difference = (loss(batch + step) - loss(batch - step)) / 2e-5
        assert gradient[place].item() == pytest.approx(difference.item(), rel=1e-6, abs=1e-9)


def test_a_constant_error_term_hides_gradient() -> None:
    """error_gradient="constant" changes no logits, only what an attacker sees of them."""
    full, constant = two(), two(error_gradient="constant")
    constant.load_state_dict(full.state_dict())
    batch = images(2).requires_grad_()
    logits = full.unroll(batch, 2), constant.unroll(batch, 2)
    gradients = [torch.autograd.grad(each[-1].sum(), batch)[0] for each in logits]

    torch.testing.assert_close(logits[0], logits[1], rtol=0, atol=0)
    assert (gradients[0] - gradients[1]).abs().max() > 1e-3 * gradients[0].abs().max()


@pytest.mark.parametrize("without_gradients", [torch.no_grad, torch.inference_mode])
def test_no_gradients_are_needed(without_gradients: Callable[[], Any]) -> None:
    """The error term is computed also where nothing is recorded, and to the same numbers."""
    model, batch = two(), images()
    with without_gradients():
        silent = model.unroll(batch, 2)

    assert not silent.requires_grad
    torch.testing.assert_close(silent, model.unroll(batch, 2), rtol=0, atol=0)


def test_the_callers_backbone_is_left_alone() -> None:
    """No hook, no changed mode, no changed weight, no frozen parameter; ours stays in evaluation mode."""
    backbone = Two()
    before = copy.deepcopy(backbone.state_dict())
    model = predify(backbone, encoders=["norm1", "act2"], decoders=[None, None], input_size=(1, 8, 8))
    model.train().unroll(images().float(), 2)

    assert all(not module._forward_hooks for module in backbone.modules())
    assert backbone.training
    assert all(parameter.requires_grad for parameter in backbone.parameters())
    assert backbone.act2.inplace
    assert all(torch.equal(before[name], value) for name, value in backbone.state_dict().items())
    assert not model.backbone.norm1.training
    assert model.decoders[0].training


def test_in_place_work_does_not_reach_the_representations() -> None:
    """What a backbone overwrites after an encoder is not the encoder's memory."""
    torch.manual_seed(1)
    in_place = nn.Sequential(nn.Conv2d(1, 3, 3, padding=1), nn.ReLU(inplace=True), nn.Flatten())
    not_in_place = copy.deepcopy(in_place)
    not_in_place[1].inplace = False
    made = [nn.ConvTranspose2d(3, 1, 3, padding=1)]
    first, second = (
        predify(net, encoders=["0"], decoders=made, beta=0.3, alpha=0.5, scaling="scaled")
        for net in (in_place, not_in_place)
    )
    batch = torch.randn(2, 1, 6, 6)

    torch.testing.assert_close(first.unroll(batch, 2), second.unroll(batch, 2), rtol=0, atol=0)
    assert next(first.walk(batch, 0)).representations[0].min() < 0


def test_a_failing_pass_leaves_nothing_behind() -> None:
    """After a call, also after an error inside the backbone, its modules are an ordinary network again."""
    model, batch = two(), images()
    first = model.unroll(batch, 1)[0]
    torch.testing.assert_close(model.backbone(batch), first, rtol=0, atol=0)
    working, model.backbone.head = model.backbone.head, nn.Linear(7, 5).double()
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        model.unroll(batch, 1)
    model.backbone.head = working

    torch.testing.assert_close(model.backbone(batch), first, rtol=0, atol=0)


def test_looking_at_shapes_leaves_no_hooks() -> None:
    """The shapes of a backbone's encoders are seen by hooks that are gone afterwards."""
    backbone = Two().eval()

    assert encoder_shapes(backbone, ["norm1", "act2"], torch.zeros(1, 1, 8, 8)) == [(4, 8, 8), (6, 4, 4)]
    assert all(not module._forward_hooks for module in backbone.modules())


def test_threads_do_not_see_each_other() -> None:
    """Two calls of one model at once give what they give one after the other."""
    model = two()
    batches = [images() for _ in range(4)]
    expected = [model.unroll(batch, 3) for batch in batches]
    found: list[list[Tensor]] = [[] for _ in batches]

    def work(n: int) -> None:
        found[n].extend(model.unroll(batches[n], 3) for _ in range(5))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(len(batches))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    for n, answers in enumerate(found):
        assert len(answers) == 5
        assert all(torch.equal(answer, expected[n]) for answer in answers)


def test_copies_are_independent_models() -> None:
    """A deep copy answers as its original does."""
    model, batch = two(), images()

    torch.testing.assert_close(copy.deepcopy(model).unroll(batch, 2), model.unroll(batch, 2), rtol=0, atol=0)


def test_a_backbone_may_be_used_again() -> None:
    """A backbone taken from another predictive-coding network does not bring its encoders along."""
    used = predify(Two(), encoders=["norm1", "act2"], decoders=decoders()).backbone
    model = predify(used, encoders=["act2"], decoders=[nn.ConvTranspose2d(6, 1, 4, 2, 1)])

    assert model.unroll(images().float(), 1).shape == (2, 3, 5)
    assert used.norm1._forward_hooks


@pytest.mark.parametrize(("build", "size"), [(pcn_cifar, 32), (pvgg16, 64)])
def test_a_timestep_costs_one_pass_and_two_of_the_decoders(
    build: Callable[[], Normalised], size: int
) -> None:
    """No second backbone pass hides anywhere: FLOPs are those of forward, decoders and error gradient."""
    with torch.device("meta"):
        model = build().model
        assert isinstance(model, PredictiveCodingNetwork)
        batch = torch.zeros(1, 3, size, size)

    def flops(run: Callable[[], Any]) -> int:
        with FlopCounterMode(display=False) as counter:
            run()
        return counter.get_total_flops()

    with torch.no_grad():
        representations = next(model.walk(batch, 0)).representations
        backbone = flops(lambda: model.unroll(batch, 0))
        pairs = list(zip(model.decoders, representations, strict=True))
        decoding = flops(lambda: [decoder(e) for decoder, e in pairs])
        timestep = (flops(lambda: model.unroll(batch, 2)) - backbone) / 2

    assert timestep <= 1.05 * (backbone + 2 * decoding)


UP = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)
PVGG16 = [
    (64, 3, 5, 1, 2),
    (128, 64, 10, 2, 4),
    (256, 128, 14, 2, 6),
    (512, 256, 14, 2, 6),
    (512, 512, 14, 2, 6),
]


@pytest.mark.parametrize(
    ("geometry", "size", "cells"),
    list(zip(PVGG16, (224, 112, 56, 28, 14), (75, 6400, 25088, 50176, 100352), strict=True)),
)
def test_cells_of_pvgg16(geometry: tuple[int, ...], size: int, cells: int) -> None:
    """C is the number of prediction values that one value feeds: here the whole kernel."""
    source, target, kernel, stride, padding = geometry
    with torch.device("meta"):
        decoder = nn.Sequential(nn.ConvTranspose2d(source, target, kernel, stride, padding), nn.ReLU())

    assert count_cells(decoder, (source, size, size)) == cells


@pytest.mark.parametrize(("is_enlarged", "cells"), [(True, 108), (False, 27)])
def test_cells_after_interpolation(is_enlarged: bool, cells: int) -> None:
    """Bilinear doubling spreads a value over 4x4, a 3x3 kernel those over 6x6; 3 channels of each."""
    convolution = nn.ConvTranspose2d(8, 3, 3, padding=1)
    decoder = nn.Sequential(UP, convolution) if is_enlarged else convolution

    assert count_cells(decoder, (8, 16, 16)) == cells


def test_cells_end_at_the_border_and_agree_with_a_perturbation() -> None:
    """The geometry counts what the public package's perturbation of the centre changes."""
    decoder = nn.Sequential(UP, nn.ConvTranspose2d(4, 3, 5, padding=2)).double()
    for size in (2, 3, 8):
        feature = torch.randn(2, 4, size, size, dtype=torch.float64)
        changed = count_cells_by_perturbation(decoder, feature, torch.Generator().manual_seed(0))
        assert count_cells(decoder, (4, size, size)) == changed
    rectified = nn.Sequential(decoder, nn.ReLU())
    assert count_cells_by_perturbation(rectified, feature, torch.Generator().manual_seed(0)) < changed
    with pytest.raises(ValueError, match="cannot count the prediction cells of Linear"):
        count_cells(nn.Linear(2, 2), (4, 2, 2))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"encoders": ["norm2", "act2"]}, r"no module 'norm2'; did you mean 'norm1'"),
        ({"encoders": ["act2", "norm1"]}, r"'norm1' ran before 'act2': list encoders in the order"),
        (
            {"encoders": ["norm1", "head"], "decoders": None},
            r"a decoder from \(5,\) to \(4, 8, 8\), which are no images",
        ),
        ({"encoders": ["norm1"]}, r"decoders must have one value per encoder, 1 in all, got 2"),
        ({"encoders": []}, r"at least one encoder"),
        ({"beta": [0.4]}, r"beta must have one value per encoder, 2 in all, got 1"),
        ({"beta": 0.8, "lambda_": 0.3}, r"sum to at most 1, got 0.8 and 0.3 for 'norm1'"),
        ({"beta": -0.1}, r"at least 0"),
        ({"alpha": float("nan")}, r"alpha must be at least 0, got nan"),
        ({"prediction_cells": [0, 1]}, r"prediction_cells must be above 0"),
        ({"scaling": "cubic"}, r"'cubic' is not a valid Scaling"),
        ({"error_gradient": "none"}, r"'none' is not a valid ErrorGradient"),
        ({"compat": "paper"}, r"compat must be None or 'public', got 'paper'"),
        ({"decoders": None, "input_size": None}, r"default decoders need input_size"),
    ],
)
def test_bad_pieces_are_refused(change: dict[str, Any], message: str) -> None:
    """A network that cannot be is refused with one line that says why."""
    pieces = {"encoders": ["norm1", "act2"], "decoders": decoders(), "input_size": (1, 8, 8)} | change
    with pytest.raises(ValueError, match=message) as caught:
        predify(Two(), **pieces)
    assert "\n" not in str(caught.value)


def test_a_decoder_of_the_wrong_shape_is_refused_with_both_shapes() -> None:
    """At once where the image size is known, and else in the first timestep; it never broadcasts."""
    wrong = [decoders()[0], nn.ConvTranspose2d(6, 1, 4, 2, 1)]
    message = r"the decoder of encoder 'act2' turns 6x4x4 into 1x8x8, but encoder 'norm1' is 4x8x8"
    with pytest.raises(ValueError, match=message):
        predify(Two(), encoders=["norm1", "act2"], decoders=wrong, input_size=(1, 8, 8))
    model = predify(Two(), encoders=["norm1", "act2"], decoders=wrong)
    with pytest.raises(ValueError, match=message):
        model.unroll(images().float(), 1)
    with pytest.raises(ValueError, match=r"'norm1' turns 4x8x8 into 2x8x8, but the image is 1x8x8"):
        predify(Two(), encoders=["norm1"], decoders=[nn.Conv2d(4, 2, 1)], input_size=(1, 8, 8))


def test_a_decoder_of_other_channels_is_refused() -> None:
    """PyTorch's reason becomes one line that names the encoder."""
    with pytest.raises(ValueError, match=r"the decoder of encoder 'norm1' does not take 4x8x8: .*channels"):
        predify(Two(), encoders=["norm1"], decoders=[nn.Conv2d(5, 1, 1)], input_size=(1, 8, 8))


def test_images_of_an_odd_size_are_refused() -> None:
    """Where sizes do not halve evenly the prediction does not fit, and the line shows both."""
    with pytest.raises(ValueError, match=r"turns 6x5x5 into 4x10x10, but encoder 'norm1' is 4x9x9"):
        two().unroll(torch.randn(1, 1, 9, 9, dtype=torch.float64), 1)


def test_encoders_run_once() -> None:
    """A module that runs twice, or never, cannot be an encoder."""
    shared = nn.ReLU()
    twice = nn.Sequential(nn.Conv2d(1, 1, 1), shared, nn.Conv2d(1, 1, 1), shared, nn.Flatten())
    with pytest.raises(ValueError, match=r"'1' ran more than once"):
        predify(twice, encoders=["1"], decoders=[nn.Identity()]).unroll(torch.randn(1, 1, 2, 2), 0)
    unused = Two()
    unused.spare = nn.Identity()
    with pytest.raises(ValueError, match=r"'spare' did not run"):
        predify(unused, encoders=["spare"], decoders=[nn.Identity()]).unroll(images().float(), 0)


def test_encoders_and_logits_are_tensors() -> None:
    """A module that returns something else is named."""

    class Pair(nn.Module):
        def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
            return images, images

    with pytest.raises(TypeError, match="encoder '0' returns no tensor but tuple"):
        predify(nn.Sequential(Pair()), encoders=["0"], decoders=[nn.Identity()]).unroll(images(), 0)
    with pytest.raises(TypeError, match="must return logits, not tuple"):
        predify(nn.Sequential(nn.Identity(), Pair()), encoders=["0"], decoders=[nn.Identity()]).unroll(
            images(), 0
        )


def test_iterations_are_not_negative() -> None:
    """A negative count raises."""
    with pytest.raises(ValueError, match="iterations must be at least 0, got -1"):
        two().unroll(images(), -1)


def test_weights_of_the_update_may_be_learnt() -> None:
    """Tensors may stand in for beta, lambda and alpha: their gradients tune them (the paper's A.7)."""
    model = two()
    learnt = torch.tensor([0.4, 0.3, 0.5], dtype=torch.float64, requires_grad=True)
    model.balances = (Balance(*learnt), Balance(*learnt))
    (gradient,) = torch.autograd.grad(model.unroll(images(), 2)[-1].square().sum(), learnt)

    assert (gradient != 0).all()
