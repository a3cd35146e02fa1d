from __future__ import annotations

import pytest
import torch

from zoo.cnnf import CNNF, four_conv, two_conv, wide_resnet
from zoo.cnnf.stages import ConvStage, LinearHead
from zoo.layers import AdaPool, AdaReLU, AdaReLUReading, Gate, GateGradient, instance_rms_norm

SMALL = [
    pytest.param(lambda **k: four_conv(2, **k), (1, 28, 28), id="four_conv"),
    pytest.param(lambda **k: two_conv(0, **k), (1, 28, 28), id="two_conv"),
    pytest.param(lambda **k: wide_resnet(10, 1, 1, **k), (3, 32, 32), id="wide_resnet"),
]


@pytest.mark.parametrize(("build", "shape"), SMALL)
def test_unroll_is_a_pure_function(build, shape) -> None:
    """Earlier calls and batch mates change nothing, and the module's state is untouched."""
    model: CNNF = build().double()
    images = torch.rand(3, *shape, dtype=torch.float64)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    together = model.unroll(images, 2)
    model.unroll(torch.rand_like(images), 3)
    alone = torch.cat([model.unroll(image[None], 2) for image in images], dim=1)

    assert together.shape == (3, 3, 10)
    torch.testing.assert_close(alone, together, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(model.unroll(images, 2), together, rtol=0, atol=0)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


@pytest.mark.parametrize(("build", "shape"), SMALL)
def test_fewer_iterations_are_a_prefix(build, shape) -> None:
    """Unrolling further adds iterations and leaves the earlier ones as they are."""
    model = build()
    images = torch.rand(2, *shape)

    torch.testing.assert_close(model.unroll(images, 3)[:2], model.unroll(images, 1), rtol=0, atol=0)


def test_without_steps_towards_the_feedback_only_gates_change() -> None:
    """With res_param 0 the fed-back feature stays where it is."""
    model = four_conv(1, res_param=0.0)
    first, second = model.walk(torch.rand(2, 1, 28, 28), 1)

    torch.testing.assert_close(second.feature, first.feature, rtol=0, atol=0)


def test_taps_pair_features_with_reconstructions() -> None:
    """Every tapped feature has a reconstruction of its shape, none on the first pass."""
    for model, shape, count in (
        (four_conv(2), (1, 28, 28), 2),
        (wide_resnet(16, 1, 1), (3, 32, 32), 3),
        (two_conv(0), (1, 28, 28), 0),
    ):
        first, second = model.walk(torch.rand(2, *shape), 1)
        assert len(first.tapped) == len(second.tapped_reconstructions) == count
        assert first.tapped_reconstructions == ()
        assert first.reconstruction is None
        for feature, reconstruction in zip(first.tapped, second.tapped_reconstructions, strict=True):
            assert feature.shape == reconstruction.shape


@pytest.mark.parametrize(("build", "shape"), [SMALL[0], SMALL[2]])
def test_taps_are_one_place_on_the_way_up_and_down(build, shape) -> None:
    """Below a residual block, between AdaReLU and AdaPool of a convolution stage; by hand."""
    model: CNNF = build()
    images = torch.rand(2, *shape)
    first, second = model.walk(images, 1)
    feature, entering, states = 2 * images - 1, [], []
    for layer in model.layers:
        entering.append(feature)
        feature, state = layer.up(feature, None)
        states.append(state)
    signal, leaving = feature, {}
    for i in reversed(range(model.boundary, len(states))):
        signal, _ = model.layers[i].down(signal, states[i])
        leaving[i] = signal

    assert len(first.tapped) == len(model.taps) > 0
    for tap, found, reconstruction in zip(
        model.taps, first.tapped, second.tapped_reconstructions, strict=True
    ):
        layer, expected = model.layers[tap], entering[tap]
        if isinstance(layer, ConvStage):
            expected, _ = layer.relu.up(layer.norm(layer.conv(expected)), None)
            reconstruction = layer.conv.transpose(reconstruction)
        torch.testing.assert_close(found, expected)
        torch.testing.assert_close(reconstruction, leaving[tap])
    torch.testing.assert_close(second.reconstruction, signal)


def test_wide_resnet_takes_any_size() -> None:
    """Progressive training shows the network smaller images, up and down."""
    assert wide_resnet(10, 1, 0).unroll(torch.rand(2, 3, 16, 16), 1).shape == (2, 2, 10)


def test_adarelu_signed_by_hand() -> None:
    """f passes where f and g have the same sign, negative values as negative."""
    relu = AdaReLU(0.0, AdaReLUReading.SIGNED)
    feature = torch.tensor([2.0, 2.0, -3.0, -3.0, 5.0])
    signal = torch.tensor([1.0, -1.0, 1.0, -1.0, 0.0])
    passed, gate = relu.up(feature, Gate(feature.relu(), signal))

    assert passed.tolist() == [2.0, 0.0, 0.0, -3.0, 0.0]
    assert relu.down(torch.ones(5), gate)[0].tolist() == [1.0, 0.0, 0.0, 1.0, 0.0]


def test_adarelu_rectified_by_hand() -> None:
    """ReLU(f) where g >= 0 and ReLU(-f) where g < 0, as on the slides."""
    relu = AdaReLU(0.0, AdaReLUReading.RECTIFIED)
    feature = torch.tensor([2.0, 2.0, -3.0, -3.0, 5.0])
    signal = torch.tensor([1.0, -1.0, 1.0, -1.0, 0.0])
    passed, _ = relu.up(feature, Gate(feature.relu(), signal))

    assert passed.tolist() == [2.0, 0.0, 0.0, 3.0, 5.0]


def test_adarelu_moves_towards_the_signal_first() -> None:
    """With res_param r the feature f + r (g - f) is gated, not f."""
    relu = AdaReLU(0.5, AdaReLUReading.SIGNED)
    passed, _ = relu.up(torch.tensor([-1.0]), Gate(torch.tensor([1.0]), torch.tensor([3.0])))

    assert passed.tolist() == [1.0]


def test_adapool_takes_the_minimum_under_a_negative_signal() -> None:
    """Maximum where g > 0, minimum where g < 0, zero where g is zero; unpooling inverts the choice."""
    pool = AdaPool()
    window = torch.tensor([[1.0, 4.0], [-2.0, 3.0]]).expand(1, 3, 2, 2)
    _, switch = pool.up(window, None)
    signal = torch.tensor([1.0, -1.0, 0.0]).reshape(1, 3, 1, 1)
    _, switch = pool.down(signal, switch)
    pooled, switch = pool.up(window, switch)
    back, _ = pool.down(signal, switch)

    assert pooled.flatten().tolist() == [4.0, -2.0, 0.0]
    assert back[0, 0].flatten().tolist() == [0.0, 1.0, 0.0, 0.0]
    assert back[0, 1].flatten().tolist() == [0.0, 0.0, -1.0, 0.0]
    assert back[0, 2].abs().sum() == 0


def test_adapool_leaves_out_the_last_row_of_an_odd_size() -> None:
    """Like max-pooling; what comes down is as large as what went up."""
    pool, generator = AdaPool(), torch.Generator().manual_seed(0)
    feature = torch.randn(2, 3, 5, 7, generator=generator)
    signal = torch.randn(2, 3, 2, 3, generator=generator)
    _, switch = pool.down(signal, pool.up(feature, None)[1])
    pooled, switch = pool.up(feature, switch)
    back, _ = pool.down(signal, switch)
    windows = feature[:, :, :4, :6].unfold(2, 2, 2).unfold(3, 2, 2).flatten(-2)

    assert torch.equal(pooled, torch.where(signal > 0, windows.amax(-1), windows.amin(-1)))
    assert torch.equal(back[:, :, :4, :6].unfold(2, 2, 2).unfold(3, 2, 2).flatten(-2).sum(-1), signal)
    assert back.shape == feature.shape
    assert back[:, :, 4].abs().sum() == back[:, :, :, 6].abs().sum() == 0


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_flattening_keeps_the_layout_of_signal_and_gradient(layout: torch.memory_format) -> None:
    """In two layouts at once everything takes many times as long."""
    head = LinearHead([4 * 3 * 3, 10], AdaReLU(0.1, AdaReLUReading.SIGNED))
    feature = torch.rand(2, 4, 3, 3).contiguous(memory_format=layout).requires_grad_()
    logits, state = head.up(feature, None)
    signal, _ = head.down(logits, state)
    (gradient,) = torch.autograd.grad(signal.square().sum(), feature)

    assert signal.is_contiguous(memory_format=layout)
    assert gradient.is_contiguous(memory_format=layout)


def test_instance_rms_norm_by_hand() -> None:
    """Channels are divided by their root mean square; an empty channel stays empty and has a gradient."""
    feature = torch.tensor([[[[3.0, 4.0]], [[0.0, 0.0]]]], requires_grad=True)
    normalised = instance_rms_norm(feature)
    normalised.sum().backward()

    torch.testing.assert_close(normalised[0, 0, 0], torch.tensor([3.0, 4.0]) / 12.5**0.5)
    assert normalised[0, 1].abs().sum() == 0
    assert instance_rms_norm(feature[:0]).shape == (0, 2, 1, 2)
    assert feature.grad is not None
    assert feature.grad.isfinite().all()


@pytest.mark.parametrize(
    "build",
    [
        lambda: four_conv(4),
        lambda: four_conv(-1),
        lambda: wide_resnet(41, 2, 5),
        lambda: wide_resnet(40, 0, 5),
        lambda: wide_resnet(10, 1, 4),
        lambda: four_conv(2, adarelu="soft"),
        lambda: four_conv(2).unroll(torch.rand(1, 1, 28, 28), -1),
    ],
)
def test_impossible_networks_are_refused(build) -> None:
    """A setting outside its range raises and does not build something else."""
    with pytest.raises(ValueError, match=r"must be|is not a valid"):
        build()


@pytest.mark.parametrize("adarelu", ["signed", "rectified"])
@pytest.mark.parametrize(("build", "shape"), SMALL)
def test_softened_gates_change_gradients_only(build, shape, adarelu) -> None:
    """Logits and parameters are the same, the first pass is differentiated alike, later ones are not."""
    model: CNNF = build(adarelu=adarelu).double()
    soft = model.softened()
    images = torch.rand(2, *shape, dtype=torch.float64, requires_grad=True)

    torch.testing.assert_close(soft.unroll(images, 2), model.unroll(images, 2), rtol=0, atol=0)
    assert all(a is b for a, b in zip(soft.parameters(), model.parameters(), strict=True))
    gradients = [
        [torch.autograd.grad(network.unroll(images, n)[-1, :, 0].sum(), images)[0] for n in (0, 2)]
        for network in (model, soft)
    ]
    torch.testing.assert_close(gradients[0][0], gradients[1][0], rtol=0, atol=0)
    assert not torch.allclose(gradients[0][1], gradients[1][1], rtol=0.01)
    assert gradients[1][1].isfinite().all()


def test_a_softened_gate_shows_how_to_open_it() -> None:
    """A closed AdaReLU has a gradient with respect to the feature and to the feedback signal."""
    feature = torch.tensor([[1.0, -1.0, 2.0]], requires_grad=True)
    signal = torch.tensor([[-1.0, 2.0, 3.0]], requires_grad=True)
    state = Gate(feature.detach(), signal)
    for gradient, is_open in ((GateGradient.HARD, [False, False, True]), (GateGradient.SOFT, [True] * 3)):
        relu = AdaReLU(0.0, AdaReLUReading.SIGNED, gradient)
        passed, _ = relu.up(feature, state)
        slopes = torch.autograd.grad(passed.sum(), (feature, signal), allow_unused=True)

        assert passed.tolist() == [[0.0, 0.0, 2.0]]
        assert (slopes[0] != 0).tolist() == [is_open]
        assert gradient is GateGradient.HARD or bool((slopes[1] != 0).all())
